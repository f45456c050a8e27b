"""Figures of the coin experiment: one draw's exact pmf with its estimates, and a training as it goes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from hallulab.experiments.coin_over_rounds import EpochBand
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow
from hallulab.reports.coin_curves import (
    Curve,
    Dot,
    DotPanel,
    Panel,
    dot_panels,
    loss_panel,
    share_panel,
)
from hallulab.reports.coin_words import estimator_title, run_title
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, faint, state_colour, styled
from hallulab.reports.numbers import between, decimal
from hallulab.scoring.coins import EstimatorVerdict

ESTIMATOR_SYMBOLS = {"bayes_mean_rounded": "circle", "bayes_mean_ceil": "triangle-up", "mode": "diamond"}
NETWORK = state_colour(0)
LINE_ROOM = 1.3
"""the line that decides may stand this far above the highest bar before the figure shows all probabilities"""
NETWORK_HEIGHT = 1.3
"""of the networks' lines, over the highest bar"""
EDGE = 0.5
"""how far beyond the possible counts, in heads, an answer is still drawn in its place"""
PANEL_HEIGHT_PX = 215
PANEL_GAP_PX = 92
"""holds the upper panel's ticks and the lower panel's legend, which takes three rows on a phone"""
MARGIN_PX = {"l": 52, "r": 12, "t": 26, "b": 44}
LEGEND_ROW_PX = 22
DOT_ROW_PX, DOT_GAP_PX = 24, 58
DOT_MARGIN_PX = {"l": 8, "r": 16, "t": 58, "b": 30}


def pmf_figure(
    pmf: ArrayLike,
    estimators: Sequence[EstimatorVerdict],
    *,
    flipped: ArrayLike | None = None,
    network_answers: Sequence[float] = (),
) -> go.Figure:
    """The exact pmf of the number of heads, what each estimator answers, the line that decides.

    Args:
        pmf: shape (n_coins + 1,).
        estimators: the answers for these coins, each with its verdict.
        flipped: how often each number of heads came up, shape (n_coins + 1,), when the coins were flipped.
        network_answers: heads that trained networks say for these coins, before any rounding; what is far outside
            the possible counts is drawn at the edge, its value on hover, and what is no number is left out.
    """
    probabilities = np.asarray(pmf, dtype=float)
    threshold = float(np.exp(estimators[0].verdict.states[0].threshold))
    heads = np.arange(len(probabilities))
    top = _scale_top(probabilities, threshold)
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
    _add_network_answers(figure, network_answers, n_coins=len(heads) - 1, top=top)
    figure.add_hline(y=threshold, line={"color": NEUTRAL, "dash": "dash", "width": 2})
    figure.add_annotation(
        text=f"δ = {threshold:.3f}", xref="paper", x=1, y=threshold, xanchor="right", showarrow=False,
        font={"color": "white"}, bgcolor="#4b5563", borderpad=3,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="number of heads", dtick=max(1, len(heads) // 12), range=[-0.6, len(heads) - 0.4]
    )
    figure.update_yaxes(title_text="probability", range=[0, 1.52 * top])
    styled(figure, height_px=400)
    return figure.update_layout(barmode="overlay", legend={"y": -0.24, "yanchor": "top"}, margin={"t": 30})


def training_figure(results: Sequence[CoinResult]) -> go.Figure:
    """Figure 3 of [LHZSL]: loss above, P(the answer is right) and hallucinations below, over the epochs.

    Mean over the rounds with its 95 % band, single rounds faint behind it, exact values as labelled lines.

    Args:
        results: one column each, side by side; finished, running or not begun.
    """
    margin = MARGIN_PX if len(results) == 1 else MARGIN_PX | {"t": MARGIN_PX["t"] + LEGEND_ROW_PX}
    height_px = 2 * PANEL_HEIGHT_PX + margin["t"] + margin["b"] + PANEL_GAP_PX
    figure = make_subplots(
        rows=2,
        cols=len(results),
        vertical_spacing=PANEL_GAP_PX / (2 * PANEL_HEIGHT_PX + PANEL_GAP_PX),
        horizontal_spacing=0.16 / len(results),
        column_titles=[run_title(result.settings) for result in results] if len(results) > 1 else None,
    )
    figure.update_annotations(yshift=LEGEND_ROW_PX)
    styled(figure, height_px=height_px)
    for column, result in enumerate(results, start=1):
        for row, panel in enumerate((loss_panel(result), share_panel(result)), start=1):
            _add_panel(figure, panel, row, column)
        figure.update_xaxes(title_text="epoch", row=2, col=column)
    bottom = PANEL_HEIGHT_PX / (2 * PANEL_HEIGHT_PX + PANEL_GAP_PX)
    legend = {"orientation": "h", "x": 0, "yanchor": "bottom", "font": {"size": 11}, "tracegroupgap": 0}
    return figure.update_layout(
        margin=margin,
        legend=legend | {"y": 1.0},
        legend2=legend | {"y": bottom},
        uirevision="training",
    )


def comparison_figure(rows: Sequence[SummaryRow]) -> go.Figure:
    """Whether any objective lowers hallucination without losing accuracy: a dot with its interval for each.

    Filled: the network, mean over rounds with the 95 % interval. Hollow: the objective's exact minimiser.
    The dashed line is the network that minimises squared error.

    Args:
        rows: one per objective and answer, all with one N.

    Raises RefusedInputError for no rows or several N.
    """
    panels = dot_panels(rows)
    n_panels, panel_px = len(panels), DOT_ROW_PX * (len(rows) + 0.6)
    gap = DOT_GAP_PX / (n_panels * panel_px + (n_panels - 1) * DOT_GAP_PX)
    figure = make_subplots(
        rows=n_panels, cols=1, vertical_spacing=gap, subplot_titles=[p.title for p in panels]
    )
    figure.update_annotations(x=0, xanchor="left", font={"size": 12})
    for row, panel in enumerate(panels, start=1):
        _add_dots(figure, panel, row)
    height_px = n_panels * panel_px + (n_panels - 1) * DOT_GAP_PX + DOT_MARGIN_PX["t"] + DOT_MARGIN_PX["b"]
    styled(figure, height_px=round(height_px))
    figure.update_yaxes(showgrid=True, automargin=True)
    figure.update_xaxes(nticks=6)
    plot_px = height_px - DOT_MARGIN_PX["t"] - DOT_MARGIN_PX["b"]
    legend = {
        "y": 1 + LEGEND_ROW_PX / plot_px,
        "yanchor": "bottom",
        "font": {"size": 11},
        "itemsizing": "constant",
    }
    return figure.update_layout(margin=DOT_MARGIN_PX, legend=legend)


def _add_dots(figure: go.Figure, panel: DotPanel, row: int) -> None:
    heights = list(range(len(panel.dots)))
    if panel.reference is not None:
        _add_line(figure, row, 1, x=panel.reference, colour=NEUTRAL)
    figure.add_scatter(
        x=[dot.exact for dot in panel.dots], y=heights, mode="markers", name="exact", legendgroup="exact",
        showlegend=row == 1, marker={"symbol": "circle-open", "size": 14, "color": NEUTRAL, "line": {"width": 2}},
        text=[dot.way for dot in panel.dots], hovertemplate="exact, %{text}: %{x:.4f}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=[dot.network for dot in panel.dots], y=heights, mode="markers", name="network",
        legendgroup="network", showlegend=row == 1, marker={"size": 8, "color": NETWORK},
        error_x={
            "array": [_beyond(dot.network, dot.high) for dot in panel.dots],
            "arrayminus": [_beyond(dot.low, dot.network) for dot in panel.dots],
            "color": NETWORK, "thickness": 1.6, "width": 4,
        },
        text=[_dot_words(dot) for dot in panel.dots], hovertemplate="%{text}<extra></extra>", row=row, col=1,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=heights, ticktext=[dot.way for dot in panel.dots], tickfont={"size": 11},
        range=[len(heights) - 0.2, -0.8], row=row, col=1,
    )  # fmt: skip


def _beyond(low: float | None, high: float | None) -> float:
    """Length of one whisker; none without an interval."""
    return 0.0 if low is None or high is None else high - low


def _dot_words(dot: Dot) -> str:
    return f"network, {dot.way}: {decimal(dot.network, 4)}<br>95 % interval {between(dot.low, dot.high)}"


def _add_panel(figure: go.Figure, panel: Panel, row: int, column: int) -> None:
    for line in panel.lines:
        _add_line(figure, row, column, y=line.value, colour=line.colour)
    for label in panel.labels(PANEL_HEIGHT_PX):
        figure.add_annotation(
            text=f'<span style="color:{label.colour}">━</span> {label.text}',
            x=1, xref="x domain", xanchor="right", y=label.y, yanchor="middle",
            showarrow=False, font={"size": 11}, row=row, col=column,
        )  # fmt: skip
    for curve in panel.curves:
        _add_curve(figure, curve, row, column)
    figure.update_yaxes(
        title_text=panel.title if column == 1 else None,
        title_standoff=6,
        range=panel.y_range,
        nticks=6,
        row=row,
        col=column,
    )
    figure.update_xaxes(range=[0, panel.n_epochs], row=row, col=column)


def _add_line(
    figure: go.Figure, row: int, column: int, *, colour: str, x: float | None = None, y: float | None = None
) -> None:
    """A dashed line across one panel, upright at `x` or level at `y`; drawn in an empty panel too."""
    across = (
        {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y}
        if x is None
        else {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain"}
    )
    figure.add_shape(
        type="line", line={"color": colour, "dash": "dash", "width": 1.3}, layer="below",
        exclude_empty_subplots=False, row=row, col=column, **across,
    )  # fmt: skip


def _add_curve(figure: go.Figure, curve: Curve, row: int, column: int) -> None:
    """Single rounds faint, then the band, then the mean; the first column's stand in the legend."""
    legend = "legend" if row == 1 else "legend2"
    shared: dict[str, Any] = {"legendgroup": curve.name, "legend": legend, "row": row, "col": column}
    for seed, epochs, values in curve.rounds:
        figure.add_scatter(
            x=epochs, y=values, mode="lines", name=f"{curve.name}, seed {seed}", showlegend=False,
            opacity=0.28, line={"color": curve.colour, "width": 1}, hoverinfo="skip", **shared,
        )  # fmt: skip
    band = curve.band
    for epochs, low, high in _unbroken(band):
        figure.add_scatter(
            x=np.concatenate([epochs, epochs[::-1]]), y=np.concatenate([high, low[::-1]]), mode="none",
            fill="toself", fillcolor=faint(curve.colour, 0.2), name=f"{curve.name}, 95 % interval",
            showlegend=False, hoverinfo="skip", **shared,
        )  # fmt: skip
    figure.add_scatter(
        x=band.epochs, y=band.mean, mode="lines" if len(band.epochs) > 2 else "lines+markers",
        name=curve.name, showlegend=column == 1,
        line={"color": curve.colour, "width": 2.5, "dash": curve.dash},
        text=[_spread(*moment) for moment in zip(band.low, band.high, band.n_rounds, strict=True)],
        hovertemplate=f"{curve.name}<br>epoch %{{x:.2f}}: %{{y:.4f}}<br>%{{text}}<extra></extra>", **shared,
    )  # fmt: skip


def _unbroken(band: EpochBand) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """(epochs, low, high) of every stretch of the band that has no gap."""
    known = np.isfinite(band.low) & np.isfinite(band.high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        yield band.epochs[start:end], band.low[start:end], band.high[start:end]


def _spread(low: float, high: float, n_rounds: int) -> str:
    if np.isfinite(low):
        return f"mean of {n_rounds} rounds, 95 % interval {low:.4f} to {high:.4f}"
    return f"{n_rounds} {'round' if n_rounds == 1 else 'rounds'}"


def _scale_top(probabilities: NDArray[np.float64], threshold: float) -> float:
    """What the height is made for: the highest bar, so that the scale stays while the line is moved over the bars;
    every probability once the line is far above them."""
    peak = float(probabilities.max())
    return peak if threshold <= LINE_ROOM * peak else 1.0


def _add_flips(figure: go.Figure, flipped: ArrayLike | None) -> None:
    counts = np.zeros(0) if flipped is None else np.asarray(flipped, dtype=float)
    if not counts.sum():
        return
    n_flips = int(counts.sum())
    figure.add_bar(
        x=np.arange(len(counts)), y=counts / n_flips, width=0.3,
        name="1 flip" if n_flips == 1 else f"{n_flips:,} flips",
        marker={"color": state_colour(2), "line": {"color": "white", "width": 1}},
        hovertemplate="%{x} heads came up in %{y:.3f} of the flips<extra></extra>",
    )  # fmt: skip


def _add_estimates(figure: go.Figure, estimators: Sequence[EstimatorVerdict], top: float) -> None:
    """Whole answers as markers in rows above the bars, the Bayes mean as a line between them."""
    for estimator in estimators:
        title = estimator_title(estimator.name)
        if estimator.name == "bayes_mean":
            figure.add_scatter(
                x=[estimator.answer] * 2, y=[0, 1.52 * top], mode="lines", name=title,
                line={"color": state_colour(3), "width": 4, "dash": "dot"},
                hovertemplate=f"{title}: {estimator.answer:g} heads<extra></extra>",
            )  # fmt: skip
            never = "" if estimator.answer == int(estimator.answer) else ": never happens"
            figure.add_annotation(
                text=f"<b>{title} {estimator.answer:.4g}</b>{never}", x=estimator.answer, y=1,
                yref="paper", yanchor="bottom", showarrow=False, font={"size": 13},
            )  # fmt: skip
            continue
        if estimator.name not in ESTIMATOR_SYMBOLS:
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


def network_words(answers: Sequence[float]) -> str:
    """What the networks say, such as "network 1.51" or "5 networks 1.48 to 1.53"."""
    low, high = (decimal(end, 2) for end in (min(answers), max(answers)))
    said = low if low == high else f"{low} to {high}"
    return f"network {said}" if len(answers) == 1 else f"{len(answers)} networks {said}"


def _add_network_answers(figure: go.Figure, answers: Sequence[float], *, n_coins: int, top: float) -> None:
    """A thin solid line for each with one tag, told apart from the dotted average."""
    known = [answer for answer in answers if not np.isnan(answer)]
    if not known:
        return
    height = NETWORK_HEIGHT * top
    places = np.clip(known, -EDGE, n_coins + EDGE).tolist()
    for index, (answer, place) in enumerate(zip(known, places, strict=True)):
        figure.add_scatter(
            x=[place] * 2, y=[0, height], mode="lines", legendgroup="network",
            name="network" if len(known) == 1 else f"{len(known)} networks", showlegend=index == 0,
            line={"color": NETWORK, "width": 2},
            hovertemplate=f"a network says {answer:.4g} heads<extra></extra>",
        )  # fmt: skip
    middle = float(np.median(places))
    figure.add_annotation(
        text=f"<b>{network_words(known)}</b>", x=middle, y=height, showarrow=False, yanchor="bottom",
        xanchor="left" if middle < n_coins / 2 else "right", font={"color": NETWORK},
    )  # fmt: skip
