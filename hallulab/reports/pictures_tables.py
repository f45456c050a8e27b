"""The tables of a sweep of pictures, from its records alone."""

from functools import partial

from hallulab.densities.mean_tests import TEST_WORDS
from hallulab.experiments.guided_summary import OUTSIDE
from hallulab.experiments.pictures_sweep import SweepRun
from hallulab.experiments.pictures_sweep_summary import LOSS, SweepSummary
from hallulab.reports.numbers import MISSING, decimal, percent, span
from hallulab.reports.page import PageTable
from hallulab.reports.pictures_figures import step_name
from hallulab.scoring.attribute_truth import TRUTH_WORDS, TRUTHS
from hallulab.theory.cluster_bootstrap import Estimate
from hallulab.theory.intervals import Interval


def checkpoint_table(summary: SweepSummary) -> PageTable:
    """Loss, rate and tests of means of every checkpoint."""
    return PageTable(
        "Every checkpoint, all prompts together",
        (
            "step", "held-out loss", "95 % interval", "training loss", "images", "outside", "rate", "95 % interval",
            "design effect", "mean margin (nats)", *(f"prompts outside, {words}" for words in TEST_WORDS.values()),
            "diversity", "variance of x0",
        ),
        [
            (
                step_name(row), decimal(row.held_out_loss, 4), span(row.held_out_interval, _four),
                decimal(row.training_loss, 4), f"{row.rate.n:,}", f"{row.rate.n_success:,}", percent(row.rate.value),
                span(row.rate.interval, percent), decimal(row.rate.design_effect, 2), decimal(row.margin_nats, 1),
                *(f"{row.n_prompts_outside[test]} of {row.n_prompts}" for test in TEST_WORDS),
                decimal(row.diversity, 3), decimal(row.x0_variance, 6),
            )
            for row in summary.checkpoints
        ],
        note=(
            "Held-out loss: mean squared error of the noise predicted by the weights that painted, on pictures they "
            "did not learn from; intervals over pictures. Training loss: of the weights in training, of which a "
            "checkpoint may hold an average. Rates: images of one seed share their noise, so seeds are the units; "
            "design effect: by how much that lowers the number of images that count. Diversity: mean cosine distance "
            "of two images of a prompt, mean over prompts. Variance: of the predicted clean latents over the last "
            "denoising steps, mean over images."
        ),
    )  # fmt: skip


def pair_table(summary: SweepSummary) -> PageTable:
    """Checkpoints against each other, with corrected p-values."""
    return PageTable(
        "Checkpoints against each other, on the same seeds",
        ("from → to", "quantity", "change", "95 % interval", "p, Holm", "pairs"),
        [
            (
                f"{row.first} → {row.second}",
                row.quantity,
                decimal(row.difference.mean, 4 if row.quantity == LOSS else 3),
                span(row.difference.interval, _four if row.quantity == LOSS else decimal),
                "< 0.001" if row.p_adjusted < 0.001 else f"{row.p_adjusted:.3f}",
                str(row.difference.n),
            )
            for row in summary.pairs
        ],
        note=(
            "Bootstrap interval and sign-flip test over seeds, each averaged over prompts; of the loss over held-out "
            f"pictures. The {len(summary.pairs)} p-values are corrected for each other (Holm 1979)."
        ),
    )


def mean_table(run: SweepRun) -> PageTable:
    """The tests of every mean, and what they could notice."""
    rows = []
    for cell in run.cells:
        mean, displacement = cell["mean"], cell["mean"]["displacement"]
        detectable, alarms = displacement["detectable"], displacement["false_alarms"]
        rows.append(
            (
                f"{cell['checkpoint']}: {cell['prompt']}",
                *(_side(mean[test]["inside"]) for test in TEST_WORDS),
                displacement["state"],
                decimal(displacement["observed"], 2),
                *(_detectable(detectable[test], alarms[test]) for test in TEST_WORDS),
            )
        )
    return PageTable(
        f"Tests of the mean of {run.settings.n_images} images, and what they could notice",
        (
            "cell", *TEST_WORDS.values(), "nearest state", "displacement",
            *(f"noticed from, {words}" for words in TEST_WORDS.values()),
        ),
        rows,
        note=(
            "The paper's test: log-density of one image at the mean, against the threshold of one image. K-matched: "
            "the same density, against means of as many genuine images. Law of means: the density of a mean of as many "
            "images, which is nearly normal. Displacement: distance of the mean of the images from the centre of the "
            "nearest state's genuine images, in spreads of one genuine image. Noticed from: how far means of as many "
            "genuine images must be moved that way until the test calls 80 % of them hallucinations."
        ),
    )  # fmt: skip


def false_alarm_table(run: SweepRun) -> PageTable:
    """How often the tests call means of genuine images hallucinations."""
    return PageTable(
        f"False alarms of the tests on means of {run.settings.n_images} genuine images",
        ("test", "state", "means", "called hallucinations", "95 % interval"),
        [
            (
                words, state, f"{rate['n']:,}", percent(rate["rate"]),
                span(Interval(**rate["interval"]), percent),
            )
            for test, words in TEST_WORDS.items()
            for state, rate in run.header["false_alarms"][test].items()
        ],
        note=(
            f"{percent(1 - run.settings.hdr_mass)} are meant to be. Means of the held-out images, drawn again; "
            "`hallulab frame-table` counts on images that no threshold saw."
        ),
    )  # fmt: skip


def guided_table(summary: SweepSummary) -> PageTable:
    """Every way of sampling."""
    has_truth = any(row.truths for row in summary.guided)
    return PageTable(
        "Plain, kept and best-of-n on the same seeds",
        (
            "checkpoint, way", "images", "outside", *(TRUTHS if has_truth else ()), "truly genuine, 95 %",
            "diversity", "95 % interval", "most probable as", "painted per image", "95 % interval",
            "seconds per image",
        ),
        [
            (
                f"{row.checkpoint}, {row.way}", f"{row.n:,}", str(row.outside.n_success) if row.outside else MISSING,
                *((str((row.truths or {}).get(truth, MISSING)) for truth in TRUTHS) if has_truth else ()),
                span(row.genuine and row.genuine.interval, percent),
                decimal(row.diversity and row.diversity.value, 3),
                span(row.diversity and row.diversity.interval, decimal),
                ", ".join(f"{state} {n}" for state, n in row.states.items()),
                decimal(row.images_per_kept and row.images_per_kept.value, 2),
                span(row.images_per_kept and row.images_per_kept.interval, lambda value: decimal(value, 2)),
                decimal(row.seconds_per_kept, 2),
            )
            for row in summary.guided
        ],
        note=(
            "Truth, read by a probe: "
            + "; ".join(f"{truth}: {words}" for truth, words in TRUTH_WORDS.items())
            + ". Intervals take seeds as units. Seconds are painting and judging on the machine of the run, whatever "
            "else it did."
        ),
    )  # fmt: skip


def difference_table(summary: SweepSummary) -> PageTable:
    """Every way against plain sampling."""
    return PageTable(
        "What choosing changes against plain sampling, on the same seeds",
        ("checkpoint, way", "quantity", "plain", "chosen", "difference", "95 % interval", "units"),
        [
            (
                f"{row.checkpoint}, {row.way}", row.quantity, decimal(row.plain), decimal(row.chosen),
                decimal(row.difference.value, signed=True),
                span(row.difference.interval, lambda value: decimal(value, signed=True)),
                str(row.difference.n_clusters),
            )
            for row in summary.differences
        ],
        note=(
            "Both ways choose among the same images. Units that are drawn again: seeds, or groups of seeds among which "
            "the best is chosen. Diversity: over the prompts of which at least two images were chosen. "
            f"{len(summary.differences)} intervals of 95 % each: one in twenty misses by chance."
        ),
    )  # fmt: skip


def trade_off_table(summary: SweepSummary) -> PageTable:
    """Every strength of choosing against plain sampling."""
    quantities = list(
        dict.fromkeys(
            row.quantity
            for point in summary.trade_offs
            for row in point.differences
            if row.quantity != OUTSIDE
        )
    )
    rows = []
    for point in summary.trade_offs:
        found = {row.quantity: row.difference for row in point.differences}
        strength = percent(point.strength) if point.way == "kept" else f"{point.strength:.0f}"
        rows.append(
            (
                f"{point.checkpoint}, {point.way}", strength, f"{point.n:,}",
                decimal(point.images_per_kept.value, 2),
                *(_with_span(found.get(quantity)) for quantity in quantities),
            )
        )  # fmt: skip
    return PageTable(
        "Choosing less and more strictly, against plain sampling",
        ("checkpoint, way", "mass, or n", "images", "painted per image", *quantities),
        rows,
        note="Differences from plain sampling on the same seeds, with 95 % intervals, each by itself.",
    )


def cell_table(run: SweepRun) -> PageTable:
    """What every checkpoint and prompt showed."""
    states = list(run.header["thresholds"])
    return PageTable(
        f"{run.settings.n_images} images per checkpoint and prompt",
        (
            "cell", "outside", "rate", "95 % interval", "mean margin (nats)",
            *(f"log-density of the mean, {state}" for state in states), "diversity", "variance of x0",
            *(f"most probable as {state}" for state in states), "seconds",
        ),
        [
            (
                f"{cell['checkpoint']}: {cell['prompt']}", str(cell["n_outside"]), percent(cell["hallucination_rate"]),
                f"{percent(cell['interval']['low'])} to {percent(cell['interval']['high'])}",
                decimal(cell["margin_nats"]["mean"], 1),
                *(decimal(cell["mean"]["log_density"][state], 1) for state in states),
                decimal(cell["diversity"]["value"], 3),
                decimal(cell["x0_variance"] and cell["x0_variance"]["mean"], 6),
                *(str(cell["states"][state]) for state in states), decimal(cell["seconds"], 1),
            )
            for cell in run.cells
        ],
        note="`points.csv` beside this page holds them under the paper's column names.",
    )  # fmt: skip


def _four(value: float | None) -> str:
    return decimal(value, 4)


def _side(inside: bool) -> str:
    return "inside" if inside else "outside"


def _detectable(moved: float | None, false_alarms: float) -> str:
    """From where on a displacement is noticed; a test that always alarms notices none."""
    if moved is not None:
        return decimal(moved, 2)
    return "alarms anyway" if false_alarms >= 0.8 else "not noticed"


def _with_span(found: Estimate | None) -> str:
    if found is None:
        return MISSING
    signed = partial(decimal, signed=True)
    return f"{signed(found.value)} ({span(found.interval, signed)})"
