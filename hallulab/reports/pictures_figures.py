"""The figures of a sweep of pictures: rate and loss over steps, per prompt, and calibration (Figures 5 to 7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hallulab.densities.mean_tests import TEST_WORDS, MeanTest
from hallulab.experiments.guided_summary import DIVERSITY, GENUINE, GROUP_SIZES, MASSES
from hallulab.experiments.pictures_sweep import SweepRun
from hallulab.experiments.pictures_sweep_summary import CheckpointRow, SweepSummary
from hallulab.reports.charts import Chart, Mark, Series
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS
from hallulab.reports.numbers import percent
from hallulab.scoring.training_history import RECENT_STEPS
from hallulab.theory.cluster_bootstrap import Estimate

RATE, LOSS, PAPER, MATCHED = OUTSIDE, STATE_COLOURS[0], NEUTRAL, STATE_COLOURS[1]
COLOURS = (*STATE_COLOURS, OUTSIDE, INSIDE)
N_BINS = 40
STEPS_BEFORE_FIRST = 4
"""the base stands where a checkpoint of so many times fewer steps than the first would"""
WAY_COLOURS = (NEUTRAL, INSIDE, STATE_COLOURS[0])


@dataclass(frozen=True)
class StepAxis:
    """Where checkpoints stand on the axis that rate and loss share: the logarithm of their steps, the base before."""

    places: Mapping[str, float | str]
    """checkpoint → its place; its name where some checkpoint has no step of its own"""
    ticks: tuple[tuple[float, str], ...]
    """empty where places are names"""

    @classmethod
    def of(cls, rows: Sequence[CheckpointRow]) -> "StepAxis":
        """The axis of these checkpoints."""
        steps = {row.checkpoint: row.global_step for row in rows}
        trained = sorted(step for step in steps.values() if step)
        if not trained or None in steps.values() or len(set(steps.values())) < len(steps):
            return cls({name: name for name in steps}, ())
        before = trained[0] / STEPS_BEFORE_FIRST
        places = {name: float(step or before) for name, step in steps.items()}
        return cls(places, tuple((places[row.checkpoint], step_name(row)) for row in rows))

    @property
    def is_of_steps(self) -> bool:
        """Whether places are numbers of steps."""
        return bool(self.ticks)

    def settings(self) -> dict[str, Any]:
        """What a chart over this axis is made with."""
        if not self.is_of_steps:
            return {"x_names": [str(place) for place in self.places.values()], "x_title": "checkpoint"}
        return {"x_ticks": self.ticks, "is_log_x": True, "x_title": "training step"}

    def of_each(self, names: Iterable[str]) -> Any:
        """Places of checkpoints."""
        return [self.places[name] for name in names]


def rate_chart(rows: Sequence[CheckpointRow]) -> Chart:
    """Figure 5, upper half: the rate over training steps, and what tests of means make of it."""
    axis = StepAxis.of(rows)
    places = axis.of_each(row.checkpoint for row in rows)
    means: dict[MeanTest, Mark] = {"paper": "point", "k_matched": "tick"}
    return Chart(
        title="How many images are hallucinations as training goes on",
        caption=(
            "Line and band: share of images outside every region, all prompts together, with its 95 % interval "
            "(seeds are the units). Dots and ticks: share of prompts whose K-mean is outside, by the paper's test and "
            "against means of as many genuine images. With few prompts those can take only few values."
        ),
        series=(
            Series(
                "images outside", places, [row.rate.value for row in rows], RATE,
                low=[row.rate.interval and row.rate.interval.low for row in rows],
                high=[row.rate.interval and row.rate.interval.high for row in rows], is_band=True,
            ),
            *(
                Series(
                    f"prompts outside, {TEST_WORDS[test]}", places,
                    [row.n_prompts_outside[test] / row.n_prompts for row in rows], colour, mark,
                )
                for (test, mark), colour in zip(means.items(), (PAPER, MATCHED), strict=True)
            ),
        ),
        y_title="share",
        y_range=(-0.03, 1.05),
        **axis.settings(),
    )  # fmt: skip


def loss_chart(run: SweepRun, rows: Sequence[CheckpointRow]) -> Chart:
    """Figure 5, lower half: the loss of the same weights on held-out pictures, and the training loss."""
    axis = StepAxis.of(rows)
    measured = [row for row in rows if row.held_out_loss is not None]
    series = []
    if measured:
        series.append(
            Series(
                "held-out loss", axis.of_each(row.checkpoint for row in measured),
                [row.held_out_loss for row in measured], LOSS,
                low=[row.held_out_interval and row.held_out_interval.low for row in measured],
                high=[row.held_out_interval and row.held_out_interval.high for row in measured], is_band=True,
            )
        )  # fmt: skip
    curve = max(run.header["training_curves"].values(), key=len, default=[])
    if axis.is_of_steps and curve:
        steps, losses = zip(*curve, strict=True)
        series.append(Series("training loss", steps, losses, NEUTRAL, "dotted"))
    trained = [row for row in rows if row.training_loss is not None]
    if trained:
        series.append(
            Series(
                "training loss before a checkpoint", axis.of_each(row.checkpoint for row in trained),
                [row.training_loss for row in trained], NEUTRAL, "point",
            )
        )  # fmt: skip
    shown = [row.held_out_loss for row in measured] + [row.training_loss for row in trained]
    return Chart(
        title="What training minimised",
        caption=(
            "Mean squared error of the predicted noise. Line and band: of the weights that painted, on pictures they "
            "did not learn from, the same noise for every checkpoint, with its 95 % interval over pictures. Dotted and "
            "dots: of the weights in training, as recorded beside the checkpoints, single values and the mean of the "
            f"last {RECENT_STEPS} steps; a checkpoint may hold an average of weights instead. What is higher than the "
            "axis is cut off."
        ),
        series=series,
        y_title="loss",
        y_range=(0, 1.1 * max((value for value in shown if value is not None), default=1)),
        **axis.settings(),
    )


def loss_against_rate_chart(rows: Sequence[CheckpointRow]) -> Chart:
    """The rate over the held-out loss of the same weights; empty where no loss was measured."""
    measured = [row for row in rows if row.held_out_loss is not None]
    return Chart(
        title="Rate against loss, of the same weights",
        caption="Each dot is a checkpoint; whiskers are 95 % intervals of the rate. Training goes from right to left.",
        series=[
            Series(
                "checkpoints", [row.held_out_loss or 0 for row in measured],
                [row.rate.value for row in measured], LOSS, "line", is_listed=False,
            ),
            *(
                Series(
                    step_name(row), [row.held_out_loss or 0], [row.rate.value],
                    COLOURS[place % len(COLOURS)], "point",
                    low=[row.rate.interval and row.rate.interval.low],
                    high=[row.rate.interval and row.rate.interval.high],
                )
                for place, row in enumerate(measured)
            ),
        ]
        if measured
        else [],
        x_title="loss on held-out pictures",
        y_title="share of images outside",
        y_range=(-0.03, 1.05),
    )  # fmt: skip


def prompts_chart(run: SweepRun, rows: Sequence[CheckpointRow]) -> Chart:
    """Figure 6: the rate over steps, prompt by prompt."""
    axis = StepAxis.of(rows)
    series = []
    for place, prompt in enumerate(run.settings.prompts):
        cells = [cell for cell in run.cells if cell["prompt"] == prompt]
        series.append(
            Series(
                prompt, axis.of_each(cell["checkpoint"] for cell in cells),
                [cell["hallucination_rate"] for cell in cells], COLOURS[place % len(COLOURS)],
                low=[cell["interval"]["low"] for cell in cells],
                high=[cell["interval"]["high"] for cell in cells], is_band=True,
            )
        )  # fmt: skip
    return Chart(
        title="The same, prompt by prompt",
        caption=f"Share of {run.settings.n_images} images outside every region, with its 95 % Wilson interval.",
        series=series,
        y_title="share of images outside",
        y_range=(-0.03, 1.05),
        **axis.settings(),
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
        rows = [row for row in summary.guided if row.way == way]
        known = [(row, row.genuine) for row in rows if row.genuine is not None]
        if known:
            series.append(
                Series(
                    way, [names[row.checkpoint] for row, _ in known], [genuine.value for _, genuine in known],
                    colour, "bar",
                    low=[genuine.interval and genuine.interval.low for _, genuine in known],
                    high=[genuine.interval and genuine.interval.high for _, genuine in known],
                )
            )  # fmt: skip
    return Chart(
        title="Does guided sampling buy true correctness?",
        caption=(
            "Share of images whose parts all belong to one pet, as read by a probe that knows nothing of the frame, "
            "with 95 % intervals (seeds are the units). No bar: nothing was kept."
        ),
        series=series,
        x_title="training step",
        y_title="share truly genuine",
        y_range=(0, 1.05),
        x_names=list(names.values()),
    )


def trade_off_charts(summary: SweepSummary) -> list[Chart]:
    """What a stronger choice buys and loses, over its price; a checkpoint and a way are one line."""
    return [
        chart
        for quantity, title, y_title in (
            (GENUINE, "What a stronger choice buys", "change of the share truly genuine"),
            (DIVERSITY, "What it loses", "change of diversity"),
        )
        if (chart := _trade_off_chart(summary, quantity, title, y_title)).series
    ]


def _trade_off_chart(summary: SweepSummary, quantity: str, title: str, y_title: str) -> Chart:
    lines: dict[tuple[str, str], list[tuple[float, Estimate]]] = {}
    for point in summary.trade_offs:
        for row in point.differences:
            if row.quantity == quantity and row.difference.interval is not None:
                lines.setdefault((point.checkpoint, point.way), []).append(
                    (point.images_per_kept.value, row.difference)
                )
    colours = {
        name: COLOURS[place % len(COLOURS)]
        for place, name in enumerate(dict.fromkeys(name for name, _ in lines))
    }
    series = []
    for (name, way), points in lines.items():
        points.sort(key=lambda point: point[0])
        intervals = [found.interval for _, found in points]
        series.append(
            Series(
                f"{name}, {way}", [cost for cost, _ in points], [found.value for _, found in points],
                colours[name], "line" if way == "kept" else "dashed",
                low=[interval and interval.low for interval in intervals],
                high=[interval and interval.high for interval in intervals],
            )
        )  # fmt: skip
    ends = [end for one in series for end in (*(one.low or ()), *(one.high or ())) if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.05 * (high - low) or 1.0
    return Chart(
        title=title,
        caption=(
            "Against plain sampling on the same seeds, over images painted per image kept. Lines: keeping what is "
            f"inside regions of {percent(MASSES[-1])} to {percent(MASSES[0])} of the mass. Dashed: the best of "
            f"{', '.join(map(str, GROUP_SIZES))}. Whiskers: 95 % intervals, seeds drawn again."
        ),
        series=series,
        x_title="images painted per image kept",
        y_title=y_title,
        y_range=(low - room, high + room),
        is_log_x=True,
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
