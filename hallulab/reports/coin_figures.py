"""Figures of the coin experiment: one draw's exact pmf with its estimates, and a training as it goes."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from hallulab.experiments.coins import CoinPoint, CoinResult
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, state_colour, styled
from hallulab.scoring.coins import EstimatorVerdict

ESTIMATOR_TITLES = {
    "bayes_mean": "average",
    "bayes_mean_rounded": "rounded average",
    "bayes_mean_ceil": "average, rounded up",
    "mode": "most likely count",
}
ESTIMATOR_SYMBOLS = {"bayes_mean_rounded": "circle", "bayes_mean_ceil": "triangle-up", "mode": "diamond"}
NETWORK = state_colour(0)
PUBLIC_CODE = state_colour(1)
CLOSE = 0.06
"""reference lines nearer than this share one label"""


def pmf_figure(
    pmf: ArrayLike,
    estimators: Sequence[EstimatorVerdict],
    *,
    flipped: ArrayLike | None = None,
) -> go.Figure:
    """The exact pmf of the number of heads, what each estimator answers, the line that decides.

    Args:
        pmf: shape (n_coins + 1,).
        estimators: the answers for these coins, each with its verdict.
        flipped: how often each number of heads came up, shape (n_coins + 1,), when the coins were flipped.
    """
    probabilities = np.asarray(pmf, dtype=float)
    threshold = float(np.exp(estimators[0].verdict.states[0].threshold))
    heads = np.arange(len(probabilities))
    top = max(float(probabilities.max()), threshold)
    figure = go.Figure()
    for is_inside, colour, name in ((True, INSIDE, "plausible"), (False, OUTSIDE, "a hallucination")):
        chosen = (probabilities > threshold) == is_inside
        figure.add_bar(
            x=heads[chosen], y=probabilities[chosen], marker_color=colour, opacity=0.85, width=0.7,
            name=f"answering this is {name}", legendrank=1,
            hovertemplate="%{x} heads: probability %{y:.3f}<extra></extra>",
        )  # fmt: skip
    _add_flips(figure, flipped)
    _add_estimates(figure, estimators, top)
    figure.add_hline(y=threshold, line={"color": NEUTRAL, "dash": "dash", "width": 2})
    figure.add_annotation(
        text=f"dashed line: δ = {threshold:.3f}", xref="paper", yref="paper", x=0, y=1.02,
        xanchor="left", yanchor="bottom", showarrow=False,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="number of heads", dtick=max(1, len(heads) // 12), range=[-0.6, len(heads) - 0.4]
    )
    figure.update_yaxes(title_text="probability", range=[0, 1.32 * top])
    styled(figure, height_px=400)
    return figure.update_layout(barmode="overlay", legend={"y": -0.24, "yanchor": "top"}, margin={"t": 30})


def loss_figure(result: CoinResult) -> go.Figure:
    """Squared error over the epochs, training and held-out, above the least any estimator can reach."""
    figure = go.Figure()
    for seed in result.started_seeds:
        points = result.round_points(seed)
        latest = seed == result.started_seeds[-1]
        trained = [point for point in points if point.train_loss is not None]
        _add_curve(figure, trained, "train_loss", "training", NETWORK, shown=latest)
        _add_curve(figure, points, "validation_loss", "held out", PUBLIC_CODE, shown=latest, dash="dot")
    least = result.exact["least_squared_error"]
    _add_reference(figure, f"least possible {least:.3f}", least)
    figure.update_yaxes(title_text="squared error", rangemode="tozero")
    return _over_epochs(figure, result)


def probability_figure(result: CoinResult) -> go.Figure:
    """How often the network's answer is right, and how often it δ-hallucinates, beside the exact values."""
    figure = go.Figure()
    shifted = result.settings.choices.law == "shifted"
    for seed in result.started_seeds:
        points = result.round_points(seed)
        latest = seed == result.started_seeds[-1]
        _add_curve(
            figure,
            points,
            "conditional_probability_data_law",
            "P(its answer is right)",
            NETWORK,
            shown=latest,
        )
        if shifted:
            _add_curve(
                figure, points, "conditional_probability", "as the public code scores it", PUBLIC_CODE,
                shown=latest, dash="dot",
            )  # fmt: skip
        _add_curve(
            figure, points, "hallucination_rate", "hallucination rate", OUTSIDE, shown=latest, dash="dash"
        )
    for label, values in _grouped(_references(result)):
        _add_reference(figure, label, *values)
    figure.update_yaxes(title_text="share", range=[0, 1])
    return _over_epochs(figure, result)


def _add_flips(figure: go.Figure, flipped: ArrayLike | None) -> None:
    counts = np.zeros(0) if flipped is None else np.asarray(flipped, dtype=float)
    if not counts.sum():
        return
    figure.add_scatter(
        x=np.arange(len(counts)), y=counts / counts.sum(), mode="markers",
        name=f"{int(counts.sum()):,} flips",
        marker={"symbol": "line-ew", "size": 34, "line": {"color": state_colour(2), "width": 4}},
        hovertemplate="%{x} heads came up in %{y:.3f} of the flips<extra></extra>",
    )  # fmt: skip


def _add_estimates(figure: go.Figure, estimators: Sequence[EstimatorVerdict], top: float) -> None:
    """Whole answers as markers in rows above the bars, the Bayes mean as a line between them."""
    for estimator in estimators:
        title = ESTIMATOR_TITLES[estimator.name]
        if estimator.name == "bayes_mean":
            figure.add_scatter(
                x=[estimator.answer] * 2, y=[0, 1.3 * top], mode="lines", name=title,
                line={"color": state_colour(3), "width": 3, "dash": "dot"},
                hovertemplate=f"{title}: {estimator.answer:g} heads<extra></extra>",
            )  # fmt: skip
            continue
        row = list(ESTIMATOR_SYMBOLS).index(estimator.name)
        figure.add_scatter(
            x=[estimator.answer], y=[top * (1.08 + 0.08 * row)], mode="markers", name=title,
            marker={
                "symbol": ESTIMATOR_SYMBOLS[estimator.name], "size": 13, "color": NEUTRAL,
                "line": {"color": "white", "width": 1},
            },
            hovertemplate=f"{title}: {estimator.answer:g} heads<extra></extra>",
        )  # fmt: skip


def _references(result: CoinResult) -> list[tuple[str, float]]:
    """Exact values that the network's curve is compared with, for its own rounding."""
    exact, key = result.exact, "conditional_probability"
    if result.settings.choices.rounding == "nearest":
        return [("best possible", exact["mode"][key]), ("rounded average", exact["bayes_mean_rounded"][key])]
    ceil = exact["bayes_mean_ceil"]
    return [
        ("best possible", exact["mode"][key]),
        ("average, rounded up", ceil[key]),
        ("the same, by the public code's law", ceil["conditional_probability_shifted_law"]),
    ]


def _grouped(references: Sequence[tuple[str, float]]) -> list[tuple[str, list[float]]]:
    """References with almost the same value under one label, so that labels do not overlap."""
    groups: list[tuple[str, list[float]]] = []
    for name, value in references:
        label = f"{name} {value:.3f}"
        if groups and abs(groups[-1][1][-1] - value) < CLOSE:
            label, values = f"{groups[-1][0]} · {label}", [*groups.pop()[1], value]
            groups.append((label, values))
        else:
            groups.append((label, [value]))
    return groups


def _add_reference(figure: go.Figure, label: str, *values: float) -> None:
    """A line at each value; the label stands on the first, which is the highest."""
    for value, text in zip(values, (label, *[None] * (len(values) - 1)), strict=True):
        figure.add_hline(
            y=value, line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
            annotation={"text": text, "xanchor": "right", "yanchor": "bottom", "font": {"size": 11}}
            if text
            else None,
        )  # fmt: skip


def _add_curve(
    figure: go.Figure,
    points: Sequence[CoinPoint],
    field: str,
    name: str,
    colour: str,
    *,
    shown: bool,
    dash: str = "solid",
) -> None:
    """One round's curve; earlier rounds stay faint behind the latest, which alone is in the legend."""
    figure.add_scatter(
        x=[point.epoch for point in points], y=[getattr(point, field) for point in points],
        mode="lines+markers" if len(points) < 3 else "lines",
        name=name, legendgroup=name, showlegend=shown, opacity=1 if shown else 0.35,
        line={"color": colour, "width": 2.5, "dash": dash},
        text=[f"seed {point.seed}, n = {point.n:,}" for point in points],
        hovertemplate=f"{name}<br>epoch %{{x:.2f}}: %{{y:.4f}}<br>%{{text}}<extra></extra>",
    )  # fmt: skip


def _over_epochs(figure: go.Figure, result: CoinResult) -> go.Figure:
    figure.update_xaxes(title_text="epoch", range=[0, result.settings.epochs])
    styled(figure, height_px=330)
    return figure.update_layout(legend={"y": -0.26, "yanchor": "top"}, margin={"t": 16})
