"""How often a prompt's images hallucinate: painted in growing batches, judged after each, until that is decided.

K grows as 1, 2, 4, 8, 16, 32 …; image k is painted from seed + k, whatever the batch, so that the images are those of
`paint`. The interval shown on the way holds at every look, so painting may end as soon as the rate is known to be on
one side of a line, or whenever somebody has seen enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintedImage, PaintSettings, check_prompt, embed_images, stream_images
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_frames import NO_FRAME, PictureFrame, frame_of
from hallulab.scoring.picture_verdicts import score_embeddings
from hallulab.scoring.pictures import PaintResult
from hallulab.theory.confidence_sequences import anytime_interval
from hallulab.theory.intervals import Interval, wilson_interval
from hallulab.theory.regions import check_mass

ANYTIME_METHOD = "mixture confidence sequence, valid at every look"


@dataclass(frozen=True)
class GrowingSettings:
    """Which images are painted, and what ends the painting."""

    paint: PaintSettings
    """Its number of images is how many are painted at most."""
    stop_when_decided: bool = False
    """Whether to end as soon as the rate is known to be above or below the line."""
    begins_small: bool = True
    """Whether the first batches are 1, 1, 2, 4, … images for who looks; else all are as large as they may be, which
    is faster."""
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
    painted: PaintResult
    """The images, each with its verdict where there is a frame."""

    @property
    def n(self) -> int:
        """Images so far."""
        return len(self.painted.images)

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
        scores = self.painted.scores
        if scores is None:
            return None
        return anytime_interval(scores.n_outside, self.n, confidence=self.settings.confidence)

    @property
    def interval(self) -> Interval | None:
        """The one to show: Wilson's when the number was fixed, else the one that holds at every look."""
        if self.anytime is None or self.painted.scores is None:
            return None
        if self.is_by_plan:
            return wilson_interval(self.painted.scores.n_outside, self.n, confidence=self.settings.confidence)
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
        return GrowingResult(self.settings, self.painted.with_mass(hdr_mass))

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint`, and what was decided when."""
        return {**self.painted.to_json(), "growing": self.growing_json()}

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


@dataclass(frozen=True)
class GrowingProgress:
    """How far a growing job is."""

    n_done: int
    """Denoising steps done."""
    n_total: int
    """Denoising steps in all, if nothing is decided before."""
    message: str
    """What is being done, in a few words."""
    result: GrowingResult | None = None
    """What there is so far; the last step holds the whole of it."""
    predicted_x0: Tensor | None = None
    """(n, channels, side, side) clean latents of the batch being painted, as the last step predicts them."""
    n_batch: int = 0
    """Images being painted."""


def batch_plan(settings: PaintSettings, *, begins_small: bool) -> tuple[int, ...]:
    """Sizes of the batches: none too large, and the images so far number 1, 2, 4, 8, … when it begins small."""
    sizes: list[int] = []
    while sum(sizes) < settings.n_images:
        wanted = max(1, sum(sizes)) if begins_small else settings.n_images
        sizes.append(min(wanted, settings.batch_size, settings.n_images - sum(sizes)))
    return tuple(sizes)


def paint_growing(
    engine: Engine,
    prompt: str,
    settings: GrowingSettings,
    *,
    checkpoint: str | None = None,
    hdr_mass: float = 0.9,
) -> Iterator[GrowingProgress]:
    """Paint and judge in growing batches; every progress after the first batch holds the result so far.

    Waits in the engine's device queue like `paint`; closing the generator stops the work and loses nothing judged.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used.
    """
    text = check_prompt(prompt)
    check_mass(hdr_mass)
    name = checkpoint or engine.default_checkpoint("pictures")
    engine.checkpoint_place("pictures", name)
    frame = frame_of(engine)
    plan = batch_plan(settings.paint, begins_small=settings.begins_small or settings.stop_when_decided)
    n_total = settings.paint.steps * len(plan)
    result: GrowingResult | None = None
    with engine.enter("paint") as ticket:
        for position in ticket.positions():
            yield GrowingProgress(
                0, n_total, f"waiting for {position} other job{'s' if position > 1 else ''}"
            )
        # a server can only stop a generator that has yielded: do so before the first long step
        yield GrowingProgress(0, n_total, "loading the model")
        pipeline = engine.painter(name)
        judge = _Judge(engine, frame, hdr_mass, settings.paint.seed)
        painted: tuple[PaintedImage, ...] = ()
        n_done = 0
        for size in plan:
            before, batch = n_done, replace(
                settings.paint, n_images=size, batch_size=size, seed=settings.paint.seed + len(painted)
            )  # fmt: skip
            finished: tuple[PaintedImage, ...] = ()
            for step in stream_images(pipeline, text, batch):
                n_done, n_total = before + step.n_done, step.n_total * len(plan)
                finished = step.painted
                yield GrowingProgress(n_done, n_total, "painting", result, step.predicted_x0, size)
            painted += finished
            result = GrowingResult(settings, judge.judged(text, name, settings.paint, painted))
            if settings.stop_when_decided and result.decided is not None:
                break
            if not result.is_complete:
                yield GrowingProgress(n_done, n_total, "painting", result)
    yield GrowingProgress(n_total, n_total, "judged", result)


class _Judge:
    """Judges all images so far, embedding each once."""

    def __init__(self, engine: Engine, frame: PictureFrame | None, hdr_mass: float, seed: int):
        self._engine, self._frame, self._hdr_mass, self._seed = engine, frame, hdr_mass, seed
        self._embeddings: NDArray[np.float32] | None = None

    def judged(
        self, text: str, name: str, settings: PaintSettings, painted: tuple[PaintedImage, ...]
    ) -> PaintResult:
        images = tuple(one.image for one in painted)
        variances = tuple(one.x0_variance for one in painted)
        result = PaintResult(text, name, settings, images, None, reason=NO_FRAME, x0_variances=variances)
        if self._frame is None:
            return result
        clip, known = self._engine.clip(), self._embeddings
        self._frame.check_embedder(clip)
        new = embed_images(clip, list(images[0 if known is None else len(known) :]))
        self._embeddings = new if known is None else np.concatenate([known, new])
        scores = score_embeddings(self._frame, clip, self._embeddings, self._hdr_mass, seed=self._seed)
        return replace(result, scores=scores, frame=self._frame.features.embedder, reason=None)
