"""Sampling guided by density: paint, and keep only what the frame finds probable (future work of [LHZSL], 8).

Two ways. Keeping paints until enough images are inside some region, or a budget is spent. Best of n paints n images
for each one wanted and keeps the one with the greatest margin. Image k is painted from seed + k in both, as in plain
sampling, so that all three choose among the same images.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.engine.core import Engine
from hallulab.engine.pictures import (
    MAX_IMAGES,
    PaintedImage,
    PaintSettings,
    check_prompt,
    embed_images,
    stream_images,
)
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip
from hallulab.scoring.picture_frames import NO_FRAME, PictureFrame, frame_of
from hallulab.scoring.picture_verdicts import score_embeddings
from hallulab.scoring.pictures import PaintResult
from hallulab.theory.regions import check_mass

Way = Literal["keep", "best"]
MAX_BUDGET = 1024


@dataclass(frozen=True)
class GuidedSettings:
    """How images are chosen while they are painted."""

    paint: PaintSettings
    """Its number of images is how many are wanted; its batch size how many are painted between two looks."""
    way: Way = "keep"
    """Keep what is inside, or the best of n."""
    budget: int = 64
    """Images painted at most, when keeping."""
    best_of: int = 4
    """Images painted for each one wanted, when choosing the best."""

    def __post_init__(self) -> None:
        if self.way not in get_args(Way):
            raise RefusedInputError(f"expected a way of {' or '.join(get_args(Way))}, got {self.way!r}")
        if not 2 <= self.best_of <= MAX_IMAGES:
            raise RefusedInputError(f"expected the best of 2 to {MAX_IMAGES} images, got {self.best_of}")
        if self.n_at_most > MAX_BUDGET:
            raise RefusedInputError(
                f"expected at most {MAX_BUDGET} images to paint, got {self.n_at_most}: want fewer"
            )
        if self.n_at_most < self.paint.n_images:
            raise RefusedInputError(
                f"expected a budget of at least the {self.paint.n_images} images wanted, got {self.budget}"
            )

    @property
    def n_at_most(self) -> int:
        """Images painted at most."""
        return self.budget if self.way == "keep" else self.paint.n_images * self.best_of


@dataclass(frozen=True)
class JudgedImage:
    """One painted image and what the frame says of it."""

    painted: PaintedImage
    """Seed, picture, variance."""
    embedding: NDArray[np.float32]
    """(d,), not normalised."""
    log_densities: NDArray[np.float64]
    """(n_states,), nats."""
    verdict: Verdict
    """At the mass asked for."""


@dataclass(frozen=True)
class GuidedResult:
    """Everything that was painted, and what was chosen of it."""

    prompt: str
    checkpoint: str
    settings: GuidedSettings
    hcdr: HcdrFrame
    """The thresholds, at the mass asked for."""
    judged: tuple[JudgedImage, ...]
    """All painted images, in order of their seeds."""
    kept: PaintResult | None
    """The chosen ones, judged as plain images are; None when there are none."""
    seconds: float
    """Painting and judging, without waiting in the queue."""

    @cached_property
    def chosen(self) -> tuple[int, ...]:
        """Places of the chosen ones in `judged`."""
        return choose(margins_of(self.judged), self.settings)

    @property
    def is_enough(self) -> bool:
        """Whether as many were chosen as were wanted."""
        return len(self.chosen) == self.settings.paint.n_images

    @property
    def images_per_kept(self) -> float | None:
        """The price: images painted for each one chosen; None when none was."""
        return len(self.judged) / len(self.chosen) if self.chosen else None

    def to_json(self) -> dict[str, Any]:
        """What was painted, chosen and spent; the chosen images as `paint` reports them under `kept`."""
        n_inside = sum(not one.verdict.is_hallucination for one in self.judged)
        return {
            "way": self.settings.way,
            "prompt": self.prompt,
            "checkpoint": self.checkpoint,
            "n_wanted": self.settings.paint.n_images,
            "n_painted": len(self.judged),
            "n_inside": n_inside,
            "n_kept": len(self.chosen),
            "is_enough": self.is_enough,
            "images_per_kept": self.images_per_kept,
            "seconds": self.seconds,
            "kept": self.kept.to_json() if self.kept else None,
        }


@dataclass(frozen=True)
class GuidedProgress:
    """How far a guided job is."""

    n_done: int
    """Denoising steps done."""
    n_total: int
    """Denoising steps of the whole budget; a job that keeps enough ends before."""
    message: str
    judged: tuple[JudgedImage, ...] = ()
    """Finished images so far, inside or not."""
    predicted_x0: Tensor | None = None
    """(n, channels, side, side) clean latents of the batch being painted, as the last step predicts them."""
    result: GuidedResult | None = None
    """The end: set once, in the last progress."""


def choose(margins: Sequence[float], settings: GuidedSettings) -> tuple[int, ...]:
    """Which of the images painted so far are chosen: places in `margins` (nats, in order of the seeds)."""
    if settings.way == "keep":
        return keep_inside(margins)[: settings.paint.n_images]
    return best_of_each(margins, settings.best_of)[: settings.paint.n_images]


def keep_inside(margins: Sequence[float]) -> tuple[int, ...]:
    """Places of the images inside some region."""
    return tuple(place for place, margin in enumerate(margins) if margin > 0)


def best_of_each(margins: Sequence[float], n: int) -> tuple[int, ...]:
    """The place of the greatest margin in each n that follow one another; an incomplete last group has none."""
    groups = range(0, len(margins) - n + 1, n)
    return tuple(start + int(np.argmax(margins[start : start + n])) for start in groups)


def margins_of(judged: Sequence[JudgedImage]) -> list[float]:
    """Margins in nats; positive is inside."""
    return [one.verdict.margin_nats for one in judged]


def paint_guided(
    engine: Engine,
    prompt: str,
    settings: GuidedSettings,
    *,
    checkpoint: str | None = None,
    hdr_mass: float = 0.9,
) -> Iterator[GuidedProgress]:
    """Paint in batches and choose, until enough is chosen or the budget is spent; the last progress has the result.

    Waits in the engine's device queue like `paint`; closing the generator stops the work.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used, and for a preset without a frame.
    """
    text = check_prompt(prompt)
    check_mass(hdr_mass)
    name = checkpoint or engine.default_checkpoint("pictures")
    engine.checkpoint_place("pictures", name)
    frame = frame_of(engine)
    if frame is None:
        raise RefusedInputError(NO_FRAME)
    hcdr = frame.features.hcdr.with_mass(hdr_mass)
    batches = _batches(settings)
    n_total = 1 + settings.paint.steps * len(batches)
    judged: list[JudgedImage] = []
    n_done = 0
    with engine.enter("paint") as ticket:
        for position in ticket.positions():
            yield GuidedProgress(0, n_total, f"waiting for {position} other job{'s' if position > 1 else ''}")
        # a server can only stop a generator that has yielded: do so before the first long step
        yield GuidedProgress(0, n_total, "loading the model")
        pipeline, clip = engine.painter(name), engine.clip()
        frame.check_embedder(clip)
        started = time.perf_counter()
        for batch in batches:
            n_before, painted = n_done, ()
            for step in stream_images(pipeline, text, batch):
                n_done, painted = n_before + step.n_done, step.painted
                n_total = 1 + step.n_total * len(batches)
                yield GuidedProgress(n_done, n_total, "painting", tuple(judged), step.predicted_x0)
            embeddings = embed_images(clip, [one.image for one in painted])
            judged += _judged(frame, hcdr, painted, embeddings)
            yield GuidedProgress(n_done, n_total, _said(judged, settings), tuple(judged))
            if len(choose(margins_of(judged), settings)) == settings.paint.n_images:
                break
        kept = kept_images(frame, clip, text, name, settings, judged, hdr_mass)
        seconds = time.perf_counter() - started
    result = GuidedResult(text, name, settings, hcdr, tuple(judged), kept, seconds)
    yield GuidedProgress(n_total, n_total, _said(judged, settings), tuple(judged), result=result)


def kept_images(
    frame: PictureFrame,
    clip: LoadedClip,
    prompt: str,
    checkpoint: str,
    settings: GuidedSettings,
    judged: Sequence[JudgedImage],
    hdr_mass: float,
) -> PaintResult | None:
    """The chosen ones of what is painted so far, judged as plain images are; None when there are none."""
    chosen = [judged[place] for place in choose(margins_of(judged), settings)]
    if not chosen:
        return None
    embeddings = np.stack([one.embedding for one in chosen])
    return PaintResult(
        prompt,
        checkpoint,
        settings.paint,
        tuple(one.painted.image for one in chosen),
        score_embeddings(frame, clip, embeddings, hdr_mass, seed=settings.paint.seed),
        frame=frame.features.embedder,
        x0_variances=tuple(one.painted.x0_variance for one in chosen),
        seeds=tuple(one.painted.seed for one in chosen),
    )


def _batches(settings: GuidedSettings) -> list[PaintSettings]:
    """The whole budget in batches of consecutive seeds."""
    size, seed = settings.paint.batch_size, settings.paint.seed
    return [
        replace(
            settings.paint,
            n_images=min(size, settings.n_at_most - start),
            seed=seed + start,
            batch_size=min(size, settings.n_at_most - start),
        )
        for start in range(0, settings.n_at_most, size)
    ]


def _judged(
    frame: PictureFrame,
    hcdr: HcdrFrame,
    painted: Sequence[PaintedImage],
    embeddings: NDArray[np.float32],
) -> list[JudgedImage]:
    log_densities = frame.features.log_densities(embeddings)
    return [
        JudgedImage(*one)
        for one in zip(painted, embeddings, log_densities, hcdr.decide(log_densities), strict=True)
    ]


def _said(judged: Sequence[JudgedImage], settings: GuidedSettings) -> str:
    n_chosen = len(choose(margins_of(judged), settings))
    return f"{n_chosen} of {settings.paint.n_images} chosen after {len(judged)} painted"
