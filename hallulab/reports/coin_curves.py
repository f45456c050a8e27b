"""What Figure 3 of [LHZSL] holds for one coin run, before anything is drawn: curves over rounds, exact values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_claim import least_loss
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_over_rounds import EpochBand, OverRounds, epoch_band
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow
from hallulab.reports.coin_words import objective_title, short_estimator_title, short_way_title
from hallulab.reports.figures import NEUTRAL, OUTSIDE, state_colour
from hallulab.scoring.coin_exact import exact_estimator, unrounded_estimator

NETWORK = state_colour(0)
PUBLIC_CODE = state_colour(1)
EXPECTED = state_colour(1)
UNROUNDED = state_colour(3)
PUBLIC_LAW = "by the public code's law"
CANNOT_HAPPEN = "unrounded: cannot happen"
MAX_FAINT_ROUNDS = 10
"""with more rounds the band alone says how they spread"""
COMPARED = {
    "hallucination_rate": "hallucination rate (less is better)",
    "conditional_probability_data_law": "P(answer is right) (more is better)",
    "squared_error": "squared error (less is better)",
}
"""fields of a summary row, with the title of their panel"""
SAME_LINE_PX = 3.0
LABEL_HEIGHT_PX = 15.0
MAX_CROWDING_PX = 3.0
LABEL_GAP_PX = 9.0
"""from a line to the middle of its label"""


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs."""

    name: str
    colour: str
    dash: str
    """solid, dash or dot"""
    band: EpochBand
    """over the rounds, as far as every started round has come"""
    rounds: tuple[tuple[int, NDArray[np.float64], NDArray[np.float64]], ...]
    """(seed, epochs, values) of each round that is drawn behind the mean; none when there is one round or many"""


@dataclass(frozen=True)
class ExactLine:
    """A value that needs no network."""

    name: str
    value: float
    colour: str

    @property
    def label(self) -> str:
        """The name and the value."""
        return f"{self.name} {self.value:.3f}"


@dataclass(frozen=True)
class LineLabel:
    """A label of one line, or of several that cannot be told apart."""

    text: str
    y: float
    """of the middle of the text, on the panel's axis"""
    colour: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    """of the vertical axis"""
    curves: tuple[Curve, ...]
    lines: tuple[ExactLine, ...]
    n_epochs: int
    """where the horizontal axis ends"""
    y_range: tuple[float, float]

    def labels(self, height_px: float) -> list[LineLabel]:
        """A label for each exact line at the right end of a panel that is `height_px` high.

        Each stands above or below its line, where it hides least; where that hides too much, all stand at
        the top of the panel, if that is free. Lines that fall together share one.
        """
        bottom, top = self.y_range
        to_px = height_px / (top - bottom)
        groups = self._groups(SAME_LINE_PX / to_px)
        heights = [(group[0].value - bottom) * to_px for group in groups]
        drawn = [(values - bottom) * to_px for values in self._right_halves()]
        middles, crowding = _beside_lines(heights, drawn, height_px)
        if crowding > MAX_CROWDING_PX:
            key = [height_px - LABEL_HEIGHT_PX * (index + 0.6) for index in range(len(groups))]
            highest = max([*heights, *(float(values.max()) for values in drawn)])
            middles = key if key[-1] - LABEL_HEIGHT_PX / 2 > highest else middles
        return [
            LineLabel(" · ".join(line.label for line in group), bottom + middle / to_px, group[0].colour)
            for group, middle in zip(groups, middles, strict=True)
        ]

    def _groups(self, same: float) -> list[list[ExactLine]]:
        """Lines from high to low, those nearer than `same` together."""
        groups: list[list[ExactLine]] = []
        for line in sorted(self.lines, key=lambda line: -line.value):
            if groups and groups[-1][0].value - line.value < same:
                groups[-1].append(line)
            else:
                groups.append([line])
        return groups

    def _right_halves(self) -> Iterator[NDArray[np.float64]]:
        """What the curves are where labels stand."""
        for curve in self.curves:
            values = curve.band.mean[(curve.band.epochs >= self.n_epochs / 2) & np.isfinite(curve.band.mean)]
            if len(values):
                yield values


@dataclass(frozen=True)
class Dot:
    """One way to train and answer, in one quantity."""

    way: str
    network: float | None
    """mean over rounds"""
    low: float | None
    """of the 95 % interval over rounds"""
    high: float | None
    exact: float | None
    """what the objective's exact minimiser has, answered alike"""


@dataclass(frozen=True)
class DotPanel:
    """One quantity for every way to train and answer."""

    title: str
    dots: tuple[Dot, ...]
    reference: float | None
    """the network's value for squared error, which the others are compared with"""


def dot_panels(rows: Sequence[SummaryRow]) -> tuple[DotPanel, ...]:
    """Hallucinations above two measures of accuracy, for runs with one N.

    Raises RefusedInputError for no rows or several N: a rate says nothing across them.
    """
    sizes = {row.coins_per_draw for row in rows}
    if len(sizes) != 1:
        raise RefusedInputError(
            f"expected ways to answer for one N, got N = {sorted(sizes)}: compare one N at a time"
        )
    return tuple(
        DotPanel(
            title,
            tuple(_dot(row, field) for row in rows),
            next((getattr(row, field).mean for row in rows if row.objective == "squared_error"), None),
        )
        for field, title in COMPARED.items()
    )


def _dot(row: SummaryRow, field: str) -> Dot:
    over_rounds: OverRounds = getattr(row, field)
    way = short_way_title(row.objective, row.answer, row.variant)
    return Dot(way, over_rounds.mean, over_rounds.low, over_rounds.high, over_rounds.exact)


def loss_panel(result: CoinResult) -> Panel:
    """Training loss and its exact expectation, in the objective's own unit, above the least possible."""
    curves = (
        _curve(result, "train_loss", "training", NETWORK),
        _curve(result, "expected_loss", "expected, exactly", EXPECTED, dash="dot"),
    )
    lines = (ExactLine("least possible", least_loss(result), NEUTRAL),)
    unit = " (nats)" if result.settings.objective == "cross_entropy" else ""
    title = objective_title(result.settings.objective) + unit
    return Panel(title, curves, lines, result.settings.epochs, (0.0, _loss_top(curves, lines)))


def share_panel(result: CoinResult) -> Panel:
    """How often the network's answer is right, how often it δ-hallucinates, and how often its output before rounding
    cannot happen at all; beside the exact values."""
    curves = [_curve(result, "conditional_probability_data_law", "P(answer is right)", NETWORK)]
    if result.settings.choices.law == "shifted":
        by_public_code = _curve(result, "conditional_probability", PUBLIC_LAW, PUBLIC_CODE, dash="dot")
        curves.append(by_public_code)
    curves.append(_curve(result, "hallucination_rate", "hallucination rate", OUTSIDE, dash="dash"))
    if unrounded_estimator(result.settings.objective, result.answers[0]):
        curves.append(_curve(result, "impossible_share", CANNOT_HAPPEN, UNROUNDED, dash="dot"))
    lines = tuple(_exact_shares(result))
    return Panel("share of answers", tuple(curves), lines, result.settings.epochs, (-0.03, 1.03))


def _beside_lines(
    heights: Sequence[float], drawn: Sequence[NDArray[np.float64]], height_px: float
) -> tuple[list[float], float]:
    """Middles of labels above or below their lines, and by how many pixels the best choice still overlaps."""
    choices = [
        [height + side * LABEL_GAP_PX for height, side in zip(heights, sides, strict=True)]
        for sides in product((1, -1), repeat=len(heights))
    ]
    # all above is the first choice, so it wins a tie
    crowding = [round(_crowding(heights, middles, drawn, height_px), 1) for middles in choices]
    best = crowding.index(min(crowding))
    return choices[best], crowding[best]


def _crowding(
    heights: Sequence[float],
    middles: Sequence[float],
    drawn: Sequence[NDArray[np.float64]],
    height_px: float,
) -> float:
    """Pixels by which labels overlap each other, foreign lines, curves and the ends of the panel."""
    half = LABEL_HEIGHT_PX / 2
    crowding = 0.0
    for index, middle in enumerate(middles):
        crowding += sum(max(0.0, 2 * half - abs(middle - other)) for other in middles[:index])
        foreign = [height for other, height in enumerate(heights) if other != index]
        crowding += sum(max(0.0, half - abs(middle - height)) for height in foreign)
        crowding += sum(float(np.maximum(0.0, half - abs(middle - curve)).mean()) for curve in drawn)
        crowding += max(0.0, half - middle) + max(0.0, middle + half - height_px)
    return crowding


def _curve(result: CoinResult, field: str, name: str, colour: str, *, dash: str = "solid") -> Curve:
    seeds = result.started_seeds
    rounds = []
    if 1 < len(seeds) <= MAX_FAINT_ROUNDS:
        for seed in seeds:
            points = result.round_points(seed)
            values = [getattr(point, field) for point in points]
            rounds.append((seed, np.array([p.epoch for p in points], float), np.array(values, float)))
    return Curve(name, colour, dash, epoch_band(result, field), tuple(rounds))


def _loss_top(curves: Sequence[Curve], lines: Sequence[ExactLine]) -> float:
    """Room for every loss after the first tenth of what was trained: an untrained network's may dwarf the rest."""
    shown = [line.value for line in lines]
    for curve in curves:
        series = [(curve.band.epochs, curve.band.mean), (curve.band.epochs, curve.band.high)]
        series += [(epochs, values) for _, epochs, values in curve.rounds]
        for epochs, values in series:
            kept = values[(epochs >= 0.1 * epochs.max(initial=0)) & np.isfinite(values)]
            shown.extend(kept.tolist())
    return 1.25 * max(shown, default=1.0) or 1.0


def _exact_shares(result: CoinResult) -> Iterator[ExactLine]:
    """The best possible, and what the exact minimiser of the run's objective reaches, answered alike."""
    settings, exact, key = result.settings, result.exact, "conditional_probability"
    yield ExactLine("best possible", exact["mode"][key], NEUTRAL)
    first_answer = OBJECTIVES[settings.objective].answers[0]
    name = exact_estimator(settings.objective, first_answer, settings.choices.rounding)
    if name != "mode":
        yield ExactLine(f"exact {short_estimator_title(name)}", exact[name][key], NETWORK)
    if settings.choices.law == "shifted":
        yield ExactLine(f"exact, {PUBLIC_LAW}", exact[name][f"{key}_shifted_law"], PUBLIC_CODE)
    yield ExactLine("exact hallucination rate", exact[name]["hallucination_rate"], OUTSIDE)
