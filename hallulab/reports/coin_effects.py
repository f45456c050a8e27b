"""Whether another objective hallucinates less without losing accuracy: curves over δ and a table."""

from collections.abc import Iterator, Sequence

import numpy as np

from hallulab.experiments.coin_effects import (
    DELTAS,
    DeltaEffect,
    WayEffect,
    lowest_place,
    stretches,
    way_effects,
)
from hallulab.experiments.coin_objectives import objective_of
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow
from hallulab.reports.charts import Chart, Series, page_figure
from hallulab.reports.coin_effect_words import effect_name, effect_sentences
from hallulab.reports.coin_figures import comparison_figure
from hallulab.reports.coin_numbers import value_words, with_spread
from hallulab.reports.coin_stills import comparison_svg
from hallulab.reports.figures import NEUTRAL, STATE_COLOURS
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.page import PageFigure, PageSection, PageTable

COLOURS = (*STATE_COLOURS, NEUTRAL)
WHAT_TIES_ARE = (
    "A tie is a draw whose average lies exactly between two counts. Rounding has to say one of them, both cost the "
    "same "
    "squared error, and one may be likelier. What an objective gains on ties, the rounded average gains for nothing by "
    "saying the likelier of the two; what it gains elsewhere is its own."
)


def effects_section(results: Sequence[CoinResult], rows: Sequence[SummaryRow]) -> Iterator[PageSection]:
    """Only where several objectives were trained for one N on the same flips."""
    for n in dict.fromkeys(result.settings.coins_per_draw for result in results):
        for variant in dict.fromkeys(result.settings.variant for result in results):
            chosen = [
                result
                for result in results
                if (result.settings.coins_per_draw, result.settings.variant) == (n, variant)
            ]
            effects = way_effects(chosen)
            if effects:
                ways = [
                    row for row in rows if (row.coins_per_draw, row.variant) == (n, variant) and row.epoch
                ]
                yield _section(n, effects, ways)


def effect_charts(effects: Sequence[WayEffect]) -> list[Chart]:
    """The difference of the hallucination rate at every δ, of all draws and off ties."""
    shown = [
        (effect, effect.over_delta) for effect in effects if effect.over_delta and effect.answer != "sample"
    ]
    if not shown:
        return []
    n = shown[0][0].settings.coins_per_draw
    curves = [[_part(over, part) for _, over in shown] for part in ("total", "off_ties")]
    reach = max(
        (float(np.abs(mean).max()) + (half_width or 0.0) for part in curves for mean, half_width, _ in part),
        default=0.0,
    )
    y_range = (-100 * reach - 1, 100 * reach + 1)
    titles = (f"N = {n}: all draws", f"N = {n}: what is left off ties")
    return [
        Chart(
            title,
            "Below 0: fewer hallucinations than after squared error, on the same flips. Bands hold at every δ and "
            "for all "
            f"{effects[0].n_ways} comparisons together (95 %). Dotted: the exact counterparts, with no network. A "
            "sample as "
            "the answer hallucinates far more, and is in the table alone.",
            [
                series
                for (effect, _), curve, colour in zip(shown, part, COLOURS, strict=False)
                for series in _series(effect, curve, colour)
            ],
            "δ",
            "hallucination rate − that of squared error, points",
            y_range,
        )
        for title, part in zip(titles, curves, strict=True)
    ]


def effects_table(effects: Sequence[WayEffect]) -> PageTable:
    """Where each way gains most, what of it is not ties, and what it costs."""
    n_rounds = max((effect.over_delta.total.n for effect in effects if effect.over_delta), default=0)
    confidence = 100 * (1 - 0.05 / effects[0].n_ways)
    return PageTable(
        f"Objectives against squared error, N = {effects[0].settings.coins_per_draw}",
        (
            "objective, answer", "lowest difference", "δ with fewer", "off ties, lowest", "squared error", "P(right)",
            "exact: lowest", "exact off ties", "exact squared error",
        ),
        [
            (
                effect_name(effect),
                *_gains(effect.over_delta),
                with_spread(effect.squared_error, digits=4, signed=True),
                with_spread(effect.conditional_probability, as_percent=True, signed=True),
                *_exact_gains(effect.over_delta),
                decimal(effect.exact_squared_error, 4, signed=True),
            )
            for effect in effects
        ],
        f"Differences of hallucination rates, points, over all δ from {DELTAS[0]:g} to {DELTAS[-1]:g}: networks of "
        f"{n_rounds} "
        "rounds, paired by seed. δ with fewer: where the band that holds at every δ is below 0. Intervals and bands "
        "have "
        f"confidence {confidence:.1f} %, so that all {effects[0].n_ways} comparisons hold together with 95 %. Exact: "
        "the "
        f"exact counterparts, with no network. {WHAT_TIES_ARE} Sources: {_sources(effects)}.",
    )  # fmt: skip


def _section(n: int, effects: Sequence[WayEffect], rows: Sequence[SummaryRow]) -> PageSection:
    figures = [page_figure(chart) for chart in effect_charts(effects)]
    at_delta = PageFigure(
        f"N = {n}, at this run's line",
        comparison_figure(rows),
        comparison_svg(rows),
        "Filled: the network with its 95 % interval over rounds. Hollow: the exact minimiser of the same objective. "
        "Dashed: the network trained on squared error.",
    )
    return PageSection(
        f"Does another objective hallucinate less? N = {n}",
        (" ".join(effect_sentences(effects)), WHAT_TIES_ARE),
        [*figures, at_delta],
        [effects_table(effects)],
    )


def _part(over: DeltaEffect, part: str) -> tuple[np.ndarray, float | None, np.ndarray]:
    """Mean, half width and exact curve."""
    band = over.total if part == "total" else over.off_ties
    return band.mean, band.half_width, over.exact_total if part == "total" else over.exact_off_ties


def _series(
    effect: WayEffect, curve: tuple[np.ndarray, float | None, np.ndarray], colour: str
) -> Iterator[Series]:
    mean, half_width, exact = curve
    deltas, points = DELTAS.tolist(), 100 * mean
    low, high = (None, None) if half_width is None else (points - 100 * half_width, points + 100 * half_width)
    yield Series(
        effect_name(effect), deltas, points.tolist(), colour, is_band=half_width is not None,
        low=None if low is None else low.tolist(), high=None if high is None else high.tolist(),
    )  # fmt: skip
    yield Series(
        f"{effect_name(effect)}, exact",
        deltas,
        (100 * exact).tolist(),
        colour,
        mark="dotted",
        is_listed=False,
    )


def _gains(over: DeltaEffect | None) -> tuple[str, str, str]:
    if over is None:
        return MISSING, MISSING, MISSING
    return _lowest(over.total.mean), _where(over), _lowest(over.off_ties.mean)


def _exact_gains(over: DeltaEffect | None) -> tuple[str, str]:
    return (MISSING, MISSING) if over is None else (_lowest(over.exact_total), _lowest(over.exact_off_ties))


def _lowest(curve: np.ndarray) -> str:
    delta, value = lowest_place(curve)
    written = value_words(value, as_percent=True, signed=True)
    return f"{written} at δ = {delta:g}" if value < -5e-4 else written


def _where(over: DeltaEffect) -> str:
    if over.total.half_width is None:
        return "too few rounds"
    found = stretches(over.total.is_below_zero)
    return ", ".join(f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in found) or "none"


def _sources(effects: Sequence[WayEffect]) -> str:
    names = dict.fromkeys(["squared_error", *(effect.settings.objective for effect in effects)])
    return "; ".join(f"{objective_of(name).title}: {objective_of(name).source}" for name in names)
