"""What a sweep of pictures found, in sentences that are true by its numbers."""

from hallulab.densities.mean_tests import MEAN_TESTS, TEST_WORDS
from hallulab.experiments.guided_summary import DIVERSITY, GENUINE, GuidedDifference, GuidedRow
from hallulab.experiments.pictures_sweep import SweepRun
from hallulab.experiments.pictures_sweep_summary import (
    LOSS,
    SHARE_OUTSIDE,
    CheckpointRow,
    PairRow,
    SweepSummary,
)
from hallulab.reports.numbers import decimal, percent
from hallulab.reports.page import Finding
from hallulab.theory.intervals import Interval

LITTLE = 0.05
"""how far from what is meant a test's false alarms may be before they are called wrong"""

WHAT_IT_IS = (
    "A model that paints pictures was trained further, and its checkpoints were asked for the same "
    "pictures from the same "
    "noise. A picture counts as a hallucination when it is improbable among genuine pictures of every "
    "kind: it lies outside "
    "the region that holds most of each. The paper (7.3) tests only the mean of many pictures per prompt; "
    "here every picture "
    "has its own verdict."
)


def findings(run: SweepRun, summary: SweepSummary) -> list[Finding]:
    """At most three: what training does, what tests of means are worth, what guided sampling buys."""
    return [
        Finding("Training.", *_training(run, summary)),
        Finding("Means.", *_means(run)),
        Finding("Guided sampling.", *_guided(run, summary)),
    ]


def _training(run: SweepRun, summary: SweepSummary) -> tuple[str, list[str]]:
    rows = summary.checkpoints
    last = rows[-1]
    headline = (
        f"{percent(last.rate.value)} of the images of {last.checkpoint} are hallucinations "
        f"({_span(last.rate.interval)}; {last.rate.n_success} of {last.rate.n})."
    )
    said = [
        f"{row.checkpoint}: {percent(row.rate.value)} of {row.rate.n} images outside{_loss(row)}."
        for row in rows
    ]
    for quantity in (SHARE_OUTSIDE, LOSS):
        said += [
            _change(row)
            for row in summary.pairs
            if row.quantity == quantity and row.second == last.checkpoint
        ][:1]
    meant = 1 - run.settings.hdr_mass
    if last.rate.interval is not None and last.rate.interval.low > meant:
        said.append(
            f"Of genuine images {percent(meant)} are outside by construction; {last.checkpoint} is still "
            "above that."
        )
    return headline, said


def _means(run: SweepRun) -> tuple[str, list[str]]:
    n, k, meant = len(run.cells), run.settings.n_images, 1 - run.settings.hdr_mass
    outside = {test: sum(not cell["mean"][test]["inside"] for cell in run.cells) for test in MEAN_TESTS}
    headline = (
        f"The paper's test calls {outside['paper']} of {n} means of {k} images hallucinations; held against means of "
        f"as many genuine images, {outside['k_matched']} are, and by the law of such means {outside['own_law']}."
    )
    said = []
    for test in MEAN_TESTS:
        rates = run.header["false_alarms"][test]
        each = ", ".join(f"{percent(rate['rate'])} ({state})" for state, rate in rates.items())
        said.append(f"False alarms on means of {k} genuine images, {TEST_WORDS[test]}: {each}.")
    paper = [rate["rate"] for rate in run.header["false_alarms"]["paper"].values()]
    if max(abs(rate - meant) for rate in paper) > LITTLE:
        said.append(
            f"{percent(meant)} are meant to be. The paper's test does not keep to that, because its threshold is that "
            "of single images: how often it calls means of genuine images hallucinations follows from the shape of "
            "the fitted regions, and can be never or always. The other two take their thresholds from means."
        )
    mixed = [cell for cell in run.cells if min(cell["states"].values()) >= 0.2 * cell["n"]]
    if mixed:
        said.append(
            f"In {len(mixed)} of {n} cells at least a fifth of the images is nearer to each kind: their mean lies "
            "between the kinds even when every image is right, so no test of the mean can be trusted there."
        )
    return headline, said


def _guided(run: SweepRun, summary: SweepSummary) -> tuple[str, list[str]]:
    rows = {(row.checkpoint, row.way): row for row in summary.guided}
    checkpoints = list(dict.fromkeys(row.checkpoint for row in summary.guided))
    kept_by = [name for name in checkpoints if rows[name, "kept"].n]
    said = []
    if len(kept_by) < len(checkpoints):
        none = ", ".join(name for name in checkpoints if name not in kept_by)
        said.append(f"{none}: nothing is inside, so nothing can be kept.")
    if not kept_by:
        return "No checkpoint painted anything inside, so nothing could be kept.", said
    for name in kept_by:
        plain, kept = rows[name, "plain"], rows[name, "kept"]
        said.append(
            f"{name}: {kept.n} of {plain.n} kept, {_price(kept)} painted for each{_bought(plain, kept)}."
        )
        said += _paired(summary, name, "kept")
    best = rows[kept_by[-1], f"best of {run.settings.best_of}"]
    if best.outside is not None:
        said.append(
            f"{best.way.capitalize()} with {kept_by[-1]}: {best.outside.n_success} of {best.n} are still outside, at "
            f"{_price(best)} images painted for each."
        )
        said += _paired(summary, kept_by[-1], best.way)
    said.append(
        f"These are {len(summary.differences)} paired comparisons with plain sampling; their intervals are 95 % each, "
        "not together."
    )
    kept = rows[kept_by[-1], "kept"]
    headline = (
        f"With {kept_by[-1]}, keeping only what is inside costs {_price(kept)} images for each one kept"
        f"{_bought(rows[kept_by[-1], 'plain'], kept)}."
    )
    return headline, said


def _price(row: GuidedRow) -> str:
    return decimal(row.images_per_kept and row.images_per_kept.value, 1)


def _paired(summary: SweepSummary, checkpoint: str, way: str) -> list[str]:
    """What a way changes on the same seeds, quantity by quantity, in one sentence."""
    found = [
        _difference(row)
        for row in summary.differences
        if (row.checkpoint, row.way) == (checkpoint, way)
        and row.quantity in (GENUINE, DIVERSITY, *_states(summary))
    ]
    return [f"Against plain on the same seeds: {'; '.join(found)}."] if found else []


def _states(summary: SweepSummary) -> list[str]:
    return [f"most probable as {state}" for row in summary.guided[:1] for state in row.states]


def _difference(row: GuidedDifference) -> str:
    if row.quantity == DIVERSITY:
        change, interval = decimal(row.difference.value, signed=True), row.difference.interval
        span = interval and f"{decimal(interval.low, signed=True)} to {decimal(interval.high, signed=True)}"
    else:
        change = f"{decimal(100 * row.difference.value, 1, signed=True)} points"
        interval = row.difference.interval
        span = interval and (
            f"{decimal(100 * interval.low, 1, signed=True)} to {decimal(100 * interval.high, 1, signed=True)}"
        )
    sure = "" if interval is None or not interval.low <= 0 <= interval.high else ", which may be chance"
    return f"{row.quantity} {change} ({span or 'too few to say'}{sure})"


def _bought(plain: GuidedRow, chosen: GuidedRow) -> str:
    """What the choice does to true correctness, where it is known."""
    if plain.genuine is None or chosen.genuine is None:
        return ""
    before, after = plain.genuine, chosen.genuine
    return (
        f", and the share truly genuine goes from {percent(before.value)} ({before.n_success} of {before.n}) to "
        f"{percent(after.value)} ({after.n_success} of {after.n})"
    )


def _change(row: PairRow) -> str:
    difference, interval = row.difference, row.difference.interval
    sure = "more than chance" if row.p_adjusted < 0.05 else "no more than chance would give"
    change = "falls" if difference.mean < 0 else "rises"
    if row.quantity == SHARE_OUTSIDE:
        what, by = "on the same seeds, the share outside", lambda value: decimal(100 * value, 1)
        unit = " percentage points"
    else:
        what, by, unit = "on the same held-out pictures, the loss", lambda value: decimal(value, 4), ""
    low, high = sorted((abs(interval.low), abs(interval.high)))
    span = f"{by(low)} to {by(high)}"
    if interval.low < 0 < interval.high:
        span = f"change {by(interval.low)} to {by(interval.high)}"
    return (
        f"From {row.first} to {row.second} {what} {change} by {by(abs(difference.mean))}{unit} ({span}): {sure}, "
        "with all comparisons of the table corrected for (Holm)."
    )


def _span(interval: Interval | None) -> str:
    return "one seed alone" if interval is None else f"{percent(interval.low)} to {percent(interval.high)}"


def _loss(row: CheckpointRow) -> str:
    if row.held_out_loss is not None:
        return f", loss {decimal(row.held_out_loss, 4)} on pictures it did not learn from"
    return "" if row.training_loss is None else f", training loss {decimal(row.training_loss, 4)}"
