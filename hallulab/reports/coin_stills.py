"""The coin figures as files for slides and papers."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow
from hallulab.reports.coin_curves import (
    NETWORK,
    Curve,
    DotPanel,
    Panel,
    dot_panels,
    loss_panel,
    share_panel,
)
from hallulab.reports.coin_figures import network_words
from hallulab.reports.coin_words import estimator_title, run_title
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, state_colour
from hallulab.reports.stills import STYLE, still_file
from hallulab.scoring.coins import EstimatorVerdict

MAX_COLUMNS = 3
"""further runs go on below"""
COLUMN_WIDTH_IN, PANEL_HEIGHT_IN, BAND_HEIGHT_IN = 4.3, 2.55, 6.2
PX_PER_IN = 100.0
"""labels are placed on a panel of this many pixels, where their text is as tall as on the page"""
DASHES = {"solid": "-", "dash": "--", "dot": ":"}
ESTIMATOR_MARKERS = {"bayes_mean_rounded": "o", "bayes_mean_ceil": "^", "mode": "D"}


def training_png(results: Sequence[CoinResult]) -> bytes:
    """`training_figure` of coin_figures as a PNG file, one column per run."""
    return still_file(_training(results), "png")


def training_svg(results: Sequence[CoinResult]) -> bytes:
    """`training_figure` of coin_figures as an SVG file, one column per run."""
    return still_file(_training(results), "svg")


def pmf_png(
    pmf: ArrayLike,
    estimators: Sequence[EstimatorVerdict],
    *,
    flipped: ArrayLike | None = None,
    network_answers: Sequence[float] = (),
) -> bytes:
    """`pmf_figure` of coin_figures as a PNG file, from the same arguments."""
    return still_file(_pmf(pmf, estimators, flipped, network_answers), "png")


def pmf_svg(
    pmf: ArrayLike,
    estimators: Sequence[EstimatorVerdict],
    *,
    flipped: ArrayLike | None = None,
    network_answers: Sequence[float] = (),
) -> bytes:
    """`pmf_figure` of coin_figures as an SVG file, from the same arguments."""
    return still_file(_pmf(pmf, estimators, flipped, network_answers), "svg")


def comparison_svg(rows: Sequence[SummaryRow]) -> bytes:
    """`comparison_figure` of coin_figures as an SVG file."""
    return still_file(_comparison(rows), "svg")


def _training(results: Sequence[CoinResult]) -> Figure:
    n_columns, n_bands = min(len(results), MAX_COLUMNS), -(-len(results) // MAX_COLUMNS)
    with mpl.rc_context(STYLE):
        size = (COLUMN_WIDTH_IN * n_columns, n_bands * BAND_HEIGHT_IN)
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        grid = figure.subplots(2 * n_bands, n_columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for index, result in enumerate(results):
            band, column = divmod(index, n_columns)
            loss, share = grid[2 * band, column], grid[2 * band + 1, column]
            _draw_panel(loss, loss_panel(result))
            _draw_panel(share, share_panel(result))
            loss.set_title(run_title(result.settings), fontsize=11, loc="left", pad=24)
            share.set_xlabel("epoch")
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_axis_on()
    for line in panel.lines:
        axes.axhline(line.value, color=line.colour, linestyle="--", linewidth=1)
    for curve in panel.curves:
        _draw_curve(axes, curve)
    for label in panel.labels(PANEL_HEIGHT_IN * PX_PER_IN * 0.8):
        axes.annotate(
            label.text, (1, label.y), xycoords=("axes fraction", "data"), ha="right", va="center",
            fontsize=8, color=label.colour,
            bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.4},
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set(xlim=(0, panel.n_epochs), ylim=panel.y_range, ylabel=panel.title)
    if panel.curves:
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, columnspacing=1.0,
            handlelength=2.4, borderpad=0, borderaxespad=0.3,
        )  # fmt: skip


def _draw_curve(axes: Axes, curve: Curve) -> None:
    """Single rounds faint, then the band, then the mean."""
    for _, epochs, values in curve.rounds:
        axes.plot(epochs, values, color=curve.colour, linewidth=0.6, alpha=0.3)
    band = curve.band
    axes.fill_between(band.epochs, band.low, band.high, color=curve.colour, alpha=0.2, linewidth=0)
    axes.plot(
        band.epochs, band.mean, color=curve.colour, linewidth=1.8, linestyle=DASHES[curve.dash],
        label=curve.name,
    )  # fmt: skip


def _comparison(rows: Sequence[SummaryRow]) -> Figure:
    panels = dot_panels(rows)
    with mpl.rc_context(STYLE):
        size = (5.4, len(panels) * (0.24 * len(rows) + 0.75) + 0.4)
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        grid = figure.subplots(len(panels), 1)
        for axes, panel in zip(grid, panels, strict=True):
            _draw_dots(axes, panel)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_dots(axes: Axes, panel: DotPanel) -> None:
    """Hollow exact values, filled network values with whiskers; a missing one leaves its row empty."""
    if panel.reference is not None:
        axes.axvline(panel.reference, color=NEUTRAL, linestyle="--", linewidth=1)
    heights = np.arange(len(panel.dots))
    exact = np.array([dot.exact for dot in panel.dots], dtype=float)
    network, low, high = (
        np.array([getattr(dot, name) for dot in panel.dots], dtype=float)
        for name in ("network", "low", "high")
    )
    axes.plot(exact, heights, "o", markersize=10, markerfacecolor="none", color=NEUTRAL, label="exact")
    axes.hlines(heights, low, high, color=NETWORK, linewidth=1.6)
    axes.plot(network, heights, "o", markersize=5, color=NETWORK, label="network")
    axes.set_yticks(heights, [dot.way for dot in panel.dots])
    axes.set_ylim(len(heights) - 0.3, -0.7)
    axes.set_title(panel.title, fontsize=9, loc="left")


def _pmf(
    pmf: ArrayLike,
    estimators: Sequence[EstimatorVerdict],
    flipped: ArrayLike | None,
    network_answers: Sequence[float],
) -> Figure:
    probabilities = np.asarray(pmf, dtype=float)
    threshold = float(np.exp(estimators[0].verdict.states[0].threshold))
    heads, top = np.arange(len(probabilities)), max(float(probabilities.max()), threshold)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained", facecolor="white")
        axes = figure.subplots()
        axes.grid(visible=False, axis="x")
        for is_inside, colour, name in ((True, INSIDE, "plausible"), (False, OUTSIDE, "a hallucination")):
            chosen = (probabilities > threshold) == is_inside
            label = f"answering this is {name}"
            axes.bar(heads[chosen], probabilities[chosen], 0.7, color=colour, alpha=0.85, label=label)
        axes.axhline(threshold, color=NEUTRAL, linestyle="--", linewidth=1.4, label=f"δ = {threshold:.3f}")
        _draw_flips(axes, heads, flipped)
        _draw_answers(axes, estimators, network_answers, top)
        axes.set(
            xlabel="number of heads",
            ylabel="probability",
            xlim=(-0.6, len(heads) - 0.4),
            ylim=(0, 1.34 * top),
        )
        axes.set_xticks(heads[:: max(1, len(heads) // 12)])
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _draw_flips(axes: Axes, heads: np.ndarray, flipped: ArrayLike | None) -> None:
    counts = np.zeros(0) if flipped is None else np.asarray(flipped, dtype=float)
    if counts.sum():
        label = f"{int(counts.sum()):,} flips"
        shares = counts / counts.sum()
        axes.hlines(shares, heads - 0.35, heads + 0.35, color=state_colour(2), linewidth=3, label=label)


def _draw_answers(
    axes: Axes, estimators: Sequence[EstimatorVerdict], network_answers: Sequence[float], top: float
) -> None:
    """The average and the network as lines, whole answers as markers in rows above the bars."""
    for estimator in estimators:
        title = estimator_title(estimator.name)
        if estimator.name == "bayes_mean":
            axes.axvline(estimator.answer, color=state_colour(3), linewidth=2, linestyle=":", label=title)
        elif estimator.name in ESTIMATOR_MARKERS:
            row = list(ESTIMATOR_MARKERS).index(estimator.name)
            axes.plot(
                [estimator.answer], [top * (1.08 + 0.08 * row)], ESTIMATOR_MARKERS[estimator.name],
                color=NEUTRAL, markersize=8, markeredgecolor="white", label=title,
            )  # fmt: skip
    known = [answer for answer in network_answers if not np.isnan(answer)]
    low, high = axes.get_xlim()
    for index, answer in enumerate(known):
        place = float(np.clip(answer, low, high))
        axes.axvline(place, color=NETWORK, linewidth=1.2, label=network_words(known) if index == 0 else None)
