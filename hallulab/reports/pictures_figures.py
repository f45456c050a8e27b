"""The figures of a sweep of pictures: rate and loss over steps, per prompt, and calibration (Figures 5 to 7)."""

from collections.abc import Sequence

import numpy as np

from hallulab.experiments.pictures_sweep import LOSS_LINES, SweepRun
from hallulab.experiments.pictures_sweep_summary import CheckpointRow, SweepSummary
from hallulab.reports.charts import Chart, Series
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS

RATE, LOSS, PAPER, MATCHED = OUTSIDE, STATE_COLOURS[0], NEUTRAL, STATE_COLOURS[1]
N_BINS = 40
WAY_COLOURS = (NEUTRAL, INSIDE, STATE_COLOURS[0])


def rate_chart(rows: Sequence[CheckpointRow]) -> Chart:
    """Figure 5, upper half: the rate over training steps, and what tests of means make of it."""
    names = [step_name(row) for row in rows]
    return Chart(
        title="How many images are hallucinations as training goes on",
        caption=(
            "Line and band: share of images outside every region, all prompts together, with its 95 % "
            "Wilson interval. "
            "Dots: share of prompts whose K-mean is outside, by the paper's test and against means of as "
            "many "
            "genuine images. With few prompts those can take only few values."
        ),
        series=(
            Series(
                "images outside", names, [row.hallucination_rate for row in rows], RATE,
                low=[row.interval.low for row in rows], high=[row.interval.high for row in rows], is_band=True,
            ),
            Series(
                "prompts outside, paper's test", names,
                [row.n_prompts_outside / row.n_prompts for row in rows], PAPER, "point",
            ),
            Series(
                "prompts outside, K-matched", names,
                [row.n_prompts_outside_matched / row.n_prompts for row in rows], MATCHED, "tick",
            ),
        ),
        x_title="training step",
        y_title="share",
        y_range=(-0.03, 1.05),
        x_names=names,
    )  # fmt: skip


def loss_chart(run: SweepRun) -> Chart:
    """Figure 5, lower half: the training loss, with the checkpoints marked."""
    losses = {name: loss for name, loss in run.header["losses"].items() if loss}
    longest = max(losses.values(), key=lambda loss: loss["curve"][-1][0], default=None)
    curve = [tuple(point) for point in longest["curve"]] if longest else []
    marks = [(loss["curve"][-1][0], loss["at_checkpoint"]) for loss in losses.values()]
    highest = max([loss for _, loss in curve], default=1)
    return Chart(
        title="What training minimised",
        caption=(
            "Mean squared error of the predicted noise, as recorded beside the checkpoints. Dots: mean of "
            "the last "
            f"{LOSS_LINES} recorded values before a checkpoint, so early ones lie above the falling curve. "
            "The base model "
            "was not trained on this."
        ),
        series=(
            Series("training loss", [step for step, _ in curve], [loss for _, loss in curve], LOSS),
            Series(
                "at a checkpoint", [step for step, _ in marks], [loss for _, loss in marks], RATE, "point"
            ),
        )
        if curve
        else (),
        x_title="training step",
        y_title="loss",
        y_range=(0, 1.05 * highest),
        is_log_x=True,
    )


def prompts_chart(run: SweepRun, rows: Sequence[CheckpointRow]) -> Chart:
    """Figure 6: the rate over steps, prompt by prompt."""
    names = {row.checkpoint: step_name(row) for row in rows}
    colours = (*STATE_COLOURS, OUTSIDE, INSIDE)
    series = []
    for place, prompt in enumerate(run.settings.prompts):
        cells = [cell for cell in run.cells if cell["prompt"] == prompt]
        series.append(
            Series(
                prompt, [names[cell["checkpoint"]] for cell in cells],
                [cell["hallucination_rate"] for cell in cells], colours[place % len(colours)],
                low=[cell["interval"]["low"] for cell in cells],
                high=[cell["interval"]["high"] for cell in cells], is_band=True,
            )
        )  # fmt: skip
    return Chart(
        title="The same, prompt by prompt",
        caption=f"Share of {run.settings.n_images} images outside every region, with its 95 % Wilson interval.",
        series=series,
        x_title="training step",
        y_title="share of images outside",
        y_range=(-0.03, 1.05),
        x_names=list(names.values()),
    )


def calibration_charts(run: SweepRun) -> list[Chart]:
    """Figure 7: per state, genuine images, their K-means and painted images, with the threshold."""
    return [_calibration_chart(run, state) for state in run.header["thresholds"]]


def guided_chart(summary: SweepSummary) -> Chart:
    """Truly genuine images per way of sampling; empty in a world where truth is unknown."""
    names = {row.checkpoint: step_name(row) for row in summary.checkpoints}
    ways = dict.fromkeys(row.way for row in summary.guided)
    series = []
    for way, colour in zip(ways, WAY_COLOURS, strict=True):
        rows = [row for row in summary.guided if row.way == way and row.truths is not None and row.genuine]
        if rows:
            series.append(
                Series(
                    way, [names[row.checkpoint] for row in rows],
                    [(row.truths or {})["genuine"] / row.n for row in rows], colour, "bar",
                    low=[row.genuine.low if row.genuine else None for row in rows],
                    high=[row.genuine.high if row.genuine else None for row in rows],
                )
            )  # fmt: skip
    return Chart(
        title="Does guided sampling buy true correctness?",
        caption=(
            "Share of images whose parts all belong to one pet, as read by a probe that knows nothing of "
            "the frame, with "
            "95 % Wilson intervals. No bar: nothing was kept."
        ),
        series=series,
        x_title="training step",
        y_title="share truly genuine",
        y_range=(0, 1.05),
        x_names=list(names.values()),
    )


def step_name(row: CheckpointRow) -> str:
    """A checkpoint on an axis of steps."""
    if row.global_step is None:
        return row.checkpoint
    return f"{row.global_step:,}" if row.global_step else row.checkpoint


def _calibration_chart(run: SweepRun, state: str) -> Chart:
    genuine = np.array(run.header["genuine"][state])
    means = np.array(run.header["genuine_means"][state])
    last = run.cells[-1]["checkpoint"]
    painted = np.array(
        [
            record["log_density"][state]
            for record in run.images
            if record["checkpoint"] == last
            and max(record["log_density"], key=record["log_density"].get) == state
        ]
    )
    shown = np.concatenate([genuine, means, painted])
    low, high = float(np.quantile(shown, 0.01)), float(shown.max())
    bins = np.linspace(low, high, N_BINS + 1)
    centres = ((bins[:-1] + bins[1:]) / 2).tolist()
    samples = [
        (f"genuine {state}s", genuine, STATE_COLOURS[0], "line"),
        (f"means of {run.settings.n_images} genuine", means, MATCHED, "dashed"),
        (f"painted, {last}", painted, OUTSIDE, "line"),
    ]
    shares = [
        (name, np.histogram(np.clip(sample, low, high), bins)[0] / len(sample), colour, mark)
        for name, sample, colour, mark in samples
        if len(sample)
    ]
    return Chart(
        title=f"Where the line is drawn: log-density as {state}",
        caption=(
            f"{len(genuine):,} held-out genuine images, {len(means):,} means of {run.settings.n_images} of "
            "them, and "
            f"{len(painted):,} painted images that are more {state} than anything else. Left of the line "
            "is outside; "
            f"what lies below the axis is counted in its first bin."
        ),
        series=[
            Series(name, centres, share.tolist(), colour, mark)  # type: ignore[arg-type]
            for name, share, colour, mark in shares
        ],
        x_title="log-density (nats)",
        y_title="share of images per bin",
        y_range=(0, 1.1 * max(float(share.max()) for _, share, _, _ in shares)),
        marked_x=float(run.header["thresholds"][state]),
        marked_name="threshold",
    )
