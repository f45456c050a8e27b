"""The figures of a run on arbitrary facts: bounds against measurement, by learner, training size, frequency, epoch."""

from collections.abc import Sequence
from dataclasses import replace

from hallulab.experiments.facts_run import QWEN
from hallulab.experiments.facts_summary import FactsResult, LearnerRow, says_something
from hallulab.experiments.over_worlds import OverWorlds
from hallulab.reports.charts import Chart, Series
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS

PAPER, SHARP, SEEN = STATE_COLOURS[0], STATE_COLOURS[3], STATE_COLOURS[1]
LEARNER_TITLES = {
    "memoriser": "memoriser",
    "counter": "counter",
    "abstainer": "abstainer",
    "trigram": "trigram",
    "bigram": "bigram",
    "unigram": "unigram",
    QWEN: "small Qwen2",
}
LEARNER_COLOURS = dict(
    zip(LEARNER_TITLES, (INSIDE, "#56B4E9", NEUTRAL, "#0072B2", "#E69F00", "#CC79A7", OUTSIDE), strict=True)
)
BOUND_SERIES = {
    "bound": "Theorem 1: at least",
    "sharp_bound": "Theorem 1, sharper",
    "paper_lower_bound": "Theorem 2: at least",
    "sharp_lower_bound": "Theorem 2, sharper",
    "paper_upper_bound": "Theorem 2: at most",
    "sharp_upper_bound": "at most, sharper",
}
"""bound → its name in the figure"""
SHOWN_BY_FREQUENCY = ("memoriser", "counter", "trigram", "bigram", QWEN)


def bounds_chart(result: FactsResult) -> Chart:
    """Every learner's error rate among all the bounds on it."""
    table = result.table
    names = [LEARNER_TITLES[row.learner] for row in table]
    return Chart(
        title="Every bound beside the error rate that it bounds",
        caption=(
            "Dots: how often a learner generates an error, and how often it misjudges answers (err_iiv), mean over "
            "worlds, 95 % intervals. Bars across and triangles up: the error rate is at least this. Triangles down: at "
            "most this, for the calibrated memoriser. Each bound as the paper states it and sharper. One that says "
            "nothing, below 0 or above 1, is not drawn."
        ),
        series=(
            _series("error rate, measured", names, [row.err for row in table], OUTSIDE, "point"),
            _series("judging error err_iiv", names, [row.err_iiv for row in table], INSIDE, "point"),
            *(_bound_series(title, name, table, names) for name, title in BOUND_SERIES.items()),
        ),
        x_title="",
        y_title="share of answers",
        y_range=(-0.02, 1.02),
        x_names=names,
    )


def sizes_chart(result: FactsResult) -> Chart:
    """The memoriser between its lower and upper bounds as the training data grows."""
    rows = result.sizes
    n = [row.n_samples for row in rows]
    return Chart(
        title="The calibrated memoriser as training grows, between the bounds of Theorem 2",
        caption=(
            "Error rate of the memoriser, the singleton rate that predicts it, and the bounds from the training data "
            "alone, each valid with probability 99 %. A bound outside 0 to 1 says nothing and is not drawn."
        ),
        series=(
            Series("error rate, measured", n, [row.err for row in rows], OUTSIDE),
            Series("singleton rate", n, [row.singleton_rate for row in rows], SEEN, "dotted"),
            Series(
                "paper: at least", n, [_if_above_0(row.paper_lower_bound) for row in rows], PAPER, "dashed"
            ),
            Series("paper: at most", n, [row.paper_upper_bound for row in rows], PAPER),
            Series(
                "sharper: at least", n, [_if_above_0(row.sharp_lower_bound) for row in rows], SHARP, "dashed"
            ),
            Series("sharper: at most", n, [row.sharp_upper_bound for row in rows], SHARP),
        ),
        x_title="training samples N",
        y_title="share of answers that are errors",
        y_range=(-0.02, 1.02),
        is_log_x=True,
        marked_x=result.settings.n_samples,
        marked_name="this run",
    )


def frequency_chart(result: FactsResult) -> Chart:
    """Error rate by how often training answered the fact."""
    rows = [row for row in result.table if row.learner in SHOWN_BY_FREQUENCY]
    labels = [one.label for one, _ in rows[0].by_frequency] if rows else []
    return Chart(
        title="Seen once is enough for who remembers, never seen is a guess",
        caption=(
            "Error rate on facts that training answered so often, mean over worlds. The bigram mixes up people who "
            "share a last name, however often they were seen: a poor model, not a missing fact."
        ),
        series=[
            _series(
                LEARNER_TITLES[row.learner], labels, [err for _, err in row.by_frequency],
                LEARNER_COLOURS[row.learner], "bar", has_whiskers=False,
            )
            for row in rows
        ],
        x_title="how often training answered the fact",
        y_title="error rate on such facts",
        y_range=(0, 1),
        x_names=labels,
    )  # fmt: skip


def training_chart(result: FactsResult) -> Chart:
    """The small Qwen2 epoch by epoch: its errors, its calibration, and what Theorem 1 says of it."""
    rows = result.training
    return Chart(
        title="The small Qwen2 as it trains",
        caption=(
            "Means over worlds. δ is how far the network is from calibrated at the theorem's threshold; Theorem 1 "
            "subtracts it, so the bound is closest to the error rate where δ is near 0."
        ),
        series=(
            _epochs("error rate, measured", rows, "err", OUTSIDE),
            _epochs("Theorem 1: at least", rows, "bound", PAPER),
            _epochs("δ", rows, "delta", STATE_COLOURS[1]),
            _epochs("says it does not know", rows, "abstained", NEUTRAL),
            _epochs("Is-It-Valid error", rows, "err_iiv", INSIDE),
        ),
        x_title="epoch",
        y_title="share",
        y_range=(-0.02, 1.02),
    )


def _if_above_0(bound: float) -> float | None:
    return bound if bound > 0 else None


def _bound_series(title: str, bound: str, table: Sequence[LearnerRow], names: list[str]) -> Series:
    """Where the bound says something; an absent one leaves its place empty."""
    means = [over.mean if (over := getattr(row, bound)) is not None else None for row in table]
    shown = [value if value is not None and says_something(bound, value) else None for value in means]
    mark = "tick" if bound in ("bound", "sharp_bound") else "down" if "upper" in bound else "up"
    return Series(title, names, shown, SHARP if "sharp" in bound else PAPER, mark)


def _epochs(name: str, rows: tuple[LearnerRow, ...], field: str, colour: str) -> Series:
    over: list[OverWorlds] = [getattr(row, field) for row in rows]
    return Series(name, [row.epoch or 0 for row in rows], [one.mean for one in over], colour)


def _series(
    name: str, x: list[str], over: list[OverWorlds], colour: str, mark, *, has_whiskers: bool = True
) -> Series:
    series = Series(name, x, [one.mean for one in over], colour, mark)
    if not has_whiskers:
        return series
    return replace(series, low=[one.low for one in over], high=[one.high for one in over])
