"""How often a prompt's images hallucinate: painted in growing batches, judged after each, until that is decided.

Image k is painted from seed + k, whatever the batch, so that the images are the same for every plan. The interval shown
on the way holds at every look, so painting may end as soon as the rate is known to be on one side of a line, or
whenever somebody has seen enough.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings
from hallulab.errors import RefusedInputError
from hallulab.scoring.painting import Batch, JudgedImage, PaintProgress, paint_batches, painted_result
from hallulab.scoring.pictures import PaintResult
from hallulab.theory.confidence_sequences import anytime_interval
from hallulab.theory.intervals import Interval, wilson_interval

ANYTIME_METHOD = "mixture confidence sequence, valid at every look"
FIRST_LOOK = 4
"""images after which somebody who looks sees the first ones: each further batch costs its own twenty steps"""
GROWTH = 4
"""how many times as many images there are at the next look"""
CAREFUL_GROWTH = 2
"""the same where painting may end at a look, which makes more of them worth their time"""


@dataclass(frozen=True)
class GrowingSettings:
    """Which images are painted, and what ends the painting."""

    paint: PaintSettings
    """Its number of images is how many are painted at most."""
    stop_when_decided: bool = False
    """Whether to end as soon as the rate is known to be above or below the line."""
    begins_small: bool = True
    """Whether the first batch is small, for who looks; else all are as large as they may be, which is faster."""
    line: float = 0.5
    """What the hallucination rate is compared with, in (0, 1)."""
    confidence: float = 0.95
    """Of the intervals, in (0, 1)."""

    def __post_init__(self) -> None:
        for name, share in (("line", self.line), ("confidence", self.confidence)):
            if not 0 < share < 1:
                raise RefusedInputError(f"expected a {name} between 0 and 1, got {share}")


@dataclass(frozen=True)
class GrowingResult:
    """The images painted and judged so far."""

    settings: GrowingSettings
    shown: PaintResult
    """The images, each with its verdict where there is a frame."""

    @property
    def n(self) -> int:
        """Images so far."""
        return len(self.shown.images)

    @property
    def is_complete(self) -> bool:
        """Whether all images asked for are there."""
        return self.n == self.settings.paint.n_images

    @property
    def is_by_plan(self) -> bool:
        """Whether the number of images was fixed before any was judged, so that a plain interval is fair."""
        return self.is_complete and not self.settings.stop_when_decided

    @cached_property
    def anytime(self) -> Interval | None:
        """Of the rate, valid at every look; None without verdicts."""
        scores = self.shown.scores
        if scores is None:
            return None
        return anytime_interval(scores.n_outside, self.n, confidence=self.settings.confidence)

    @property
    def interval(self) -> Interval | None:
        """The one to show: Wilson's when the number was fixed, else the one that holds at every look."""
        if self.anytime is None or self.shown.scores is None:
            return None
        if self.is_by_plan:
            return wilson_interval(self.shown.scores.n_outside, self.n, confidence=self.settings.confidence)
        return self.anytime

    @property
    def decided(self) -> Literal["above", "below"] | None:
        """On which side of the line the rate is known to be, at whatever look."""
        if self.anytime is None:
            return None
        if self.anytime.low > self.settings.line:
            return "above"
        return "below" if self.anytime.high < self.settings.line else None

    def with_mass(self, hdr_mass: float) -> "GrowingResult":
        """The same images decided at another mass, without a model."""
        return replace(self, shown=self.shown.with_mass(hdr_mass))

    def save(self, folder: Path) -> "GrowingResult":
        """Write the images; the result that knows their paths."""
        return replace(self, shown=self.shown.save(folder))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`, and what was decided when."""
        return {**self.shown.to_json(), "growing": self.growing_json()}

    def growing_json(self) -> dict[str, Any]:
        """What was decided, and the interval that holds at every look."""
        return {
            "n_wanted": self.settings.paint.n_images,
            "n_painted": self.n,
            "stop_when_decided": self.settings.stop_when_decided,
            "line": self.settings.line,
            "confidence": self.settings.confidence,
            "decided": self.decided,
            "interval": None if self.anytime is None else [self.anytime.low, self.anytime.high],
            "interval_method": ANYTIME_METHOD,
        }


def batch_plan(settings: GrowingSettings) -> tuple[int, ...]:
    """Sizes of the batches: the images so far number 4, 16, 64, … (4, 8, 16, … where painting may end at a look).

    None is larger than the settings allow, and a rest smaller than a batch is painted with it.
    """
    paint = settings.paint
    growth = CAREFUL_GROWTH if settings.stop_when_decided else GROWTH
    looks = settings.begins_small or settings.stop_when_decided
    sizes: list[int] = []
    while left := paint.n_images - sum(sizes):
        wanted = sum(sizes) * (growth - 1) or FIRST_LOOK if looks else left
        size = min(wanted, paint.batch_size, left)
        sizes.append(left if left < 2 * size and left <= paint.batch_size else size)
    return tuple(sizes)


def paint_growing(
    engine: Engine,
    prompt: str,
    settings: GrowingSettings,
    *,
    checkpoint: str | None = None,
    hdr_mass: float = 0.9,
) -> Iterator[PaintProgress[GrowingResult]]:
    """Paint and judge in growing batches; every progress after the first batch holds the result so far.

    Waits in the engine's device queue; closing the generator stops the work and loses nothing judged.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used.
    """
    whole = Batch(checkpoint or engine.default_checkpoint("pictures"), settings.paint)
    batches, seed = [], settings.paint.seed
    for size in batch_plan(settings):
        batches.append(
            replace(whole, settings=replace(settings.paint, n_images=size, batch_size=size, seed=seed))
        )
        seed += size
    judged: list[JudgedImage] = []
    result: GrowingResult | None = None
    n_total = 0
    with closing(paint_batches(engine, prompt, batches, hdr_mass=hdr_mass)) as steps:
        for step in steps:
            n_total = step.n_total
            if step.finished is not None:
                judged += step.finished
                result = GrowingResult(
                    settings, painted_result(engine, prompt, whole, judged, hdr_mass=hdr_mass)
                )
                if result.is_complete or (settings.stop_when_decided and result.decided is not None):
                    break
            yield PaintProgress(step.n_done, n_total, step.message, result, step.predicted_x0)
    yield PaintProgress(n_total, n_total, "judged", result)
