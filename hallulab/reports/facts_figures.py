"""The figures of a run on arbitrary facts: bounds against measurement, by learner, training size, frequency, epoch."""

from dataclasses import replace

from hallulab.experiments.facts_run import QWEN
from hallulab.experiments.facts_summary import FactsResult, LearnerRow, OverWorlds
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
SHOWN_BY_FREQUENCY = ("memoriser", "counter", "trigram", "bigram", QWEN)


def learners_chart(result: FactsResult) -> Chart:
    """Every learner's error rate above what the two forms of Theorem 1 say it must be."""
    table = result.table
    names = [LEARNER_TITLES[row.learner] for row in table]
    return Chart(
        title="What each learner must err, and what it errs",
        caption=(
            "Dots: how often a learner generates an error, mean over worlds with its 95 % interval. Bars across: the "
            "least that Theorem 1 allows, as the paper states it and with nothing given away. A dot below a bar "
            "would break the theorem; a bar below the axis says nothing."
        ),
        series=(
            _series("error rate, measured", names, [row.err for row in table], OUTSIDE, "point"),
            _series("Theorem 1: at least", names, [row.bound for row in table], PAPER, "tick"),
            _series("the same, sharper", names, [row.sharp_bound for row in table], SHARP, "tick"),
        ),
        x_title="",
        y_title="share of answers that are errors",
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
