"""What a sweep of pictures found, in sentences that are true by its numbers."""

from collections.abc import Sequence

from hallulab.experiments.pictures_sweep import SweepRun
from hallulab.experiments.pictures_sweep_summary import CheckpointRow, GuidedRow, PairRow, SweepSummary
from hallulab.reports.numbers import decimal, percent
from hallulab.reports.page import Finding

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
        f"{_share(last)} of the images of {last.checkpoint} are hallucinations "
        f"({percent(last.interval.low)} to {percent(last.interval.high)}; {last.n_outside} of {last.n})."
    )
    said = [f"{row.checkpoint}: {_share(row)} of {row.n} images outside{_loss(row)}." for row in rows]
    fall = [
        row
        for row in summary.pairs
        if row.quantity == "share outside" and row.second == last.checkpoint and len(rows) > 1
    ]
    if fall:
        said.append(_change(fall[0]))
    meant = 1 - run.settings.hdr_mass
    if last.interval.low > meant:
        said.append(
            f"Of genuine images {percent(meant)} are outside by construction; {last.checkpoint} is still "
            "above that."
        )
    return headline, said


def _means(run: SweepRun) -> tuple[str, list[str]]:
    n = len(run.cells)
    alarms = {
        test: _mean([cell["mean"]["displacement"]["false_alarms"][test] for cell in run.cells])
        for test in ("paper", "k_matched")
    }
    outside = {
        test: sum(not cell["mean"][test]["inside"] for cell in run.cells) for test in ("paper", "k_matched")
    }
    k = run.settings.n_images
    headline = (
        f"The paper's test calls {outside['paper']} of {n} means of {k} images hallucinations; held "
        "against means of as many "
        f"genuine images, {outside['k_matched']} are."
    )
    said = [
        f"Tried on means of {k} genuine images, the paper's test calls {percent(alarms['paper'])} of them "
        "hallucinations, "
        f"the K-matched one {percent(alarms['k_matched'])}; {percent(1 - run.settings.hdr_mass)} are meant "
        "to be."
    ]
    if alarms["paper"] > 0.5:
        said.append(
            "So here the paper's test says little about the painter: a mean of many different pictures is "
            "itself unlike "
            "any one picture."
        )
    mixed = [cell for cell in run.cells if min(cell["states"].values()) >= 0.2 * cell["n"]]
    if mixed:
        said.append(
            f"In {len(mixed)} of {n} cells at least a fifth of the images is nearer to each kind: their "
            "mean lies between the "
            "kinds even when every image is right, so no test of the mean can be trusted there."
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
            f"{name}: {kept.n} of {plain.n} kept, {decimal(kept.images_per_kept, 1)} painted for each"
            f"{_bought(plain, kept)}."
        )
    plain, kept = (rows[kept_by[-1], way] for way in ("plain", "kept"))
    best = rows[kept_by[-1], f"best of {run.settings.best_of}"]
    said.append(
        f"What it loses with {kept_by[-1]}: diversity goes from {decimal(plain.diversity)} to "
        f"{decimal(kept.diversity)}, and {_balance(plain)} become {_balance(kept)}."
    )
    said.append(
        f"{best.way.capitalize()} with {kept_by[-1]}: {best.n_outside} of {best.n} are still outside, at "
        f"{run.settings.best_of} images painted for each; diversity {decimal(best.diversity)}, "
        f"{_balance(best)}."
    )
    headline = (
        f"With {kept_by[-1]}, keeping only what is inside costs {decimal(kept.images_per_kept, 1)} images "
        "for each one "
        f"kept{_bought(plain, kept)}."
    )
    return headline, said


def _bought(plain: GuidedRow, chosen: GuidedRow) -> str:
    """What the choice does to true correctness, where it is known."""
    if plain.truths is None or chosen.truths is None or not chosen.n:
        return ""
    before, after = plain.truths["genuine"], chosen.truths["genuine"]
    return (
        f", and the share truly genuine goes from {percent(before / plain.n)} ({before} of {plain.n}) to "
        f"{percent(after / chosen.n)} ({after} of {chosen.n})"
    )


def _balance(row: GuidedRow) -> str:
    return ", ".join(f"{percent(n / row.n)} {state}" for state, n in row.states.items())


def _change(row: PairRow) -> str:
    difference = row.difference
    interval = difference.interval
    sure = "more than chance" if difference.p_value < 0.05 else "no more than chance would give"
    change = "falls" if difference.mean < 0 else "rises"
    low, high = sorted((abs(interval.low), abs(interval.high)))
    span = f"{decimal(100 * low, 1)} to {decimal(100 * high, 1)}"
    if interval.low < 0 < interval.high:
        span = f"change {decimal(100 * interval.low, 1)} to {decimal(100 * interval.high, 1)}"
    return (
        f"From {row.first} to {row.second} on the same seeds, the share outside {change} by "
        f"{decimal(100 * abs(difference.mean), 1)} percentage points ({span}): {sure}."
    )


def _share(row: CheckpointRow) -> str:
    return percent(row.hallucination_rate)


def _loss(row: CheckpointRow) -> str:
    return "" if row.training_loss is None else f", training loss {row.training_loss:.3f}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
