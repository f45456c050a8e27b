"""The one loop behind every way of painting: batch after batch is painted and judged, in the engine's turn."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hallulab.densities.hcdr import Verdict
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintedImage, PaintSettings, check_prompt, embed_images, stream_images
from hallulab.scoring.picture_frames import NO_FRAME, PictureFrame, frame_of
from hallulab.scoring.picture_recipes import Choice
from hallulab.scoring.picture_verdicts import score_embeddings
from hallulab.scoring.pictures import PaintResult
from hallulab.theory.regions import check_mass

Result = TypeVar("Result")


@dataclass(frozen=True)
class PaintProgress(Generic[Result]):
    """How far a painting job is."""

    n_done: int
    """Denoising steps done."""
    n_total: int
    """Denoising steps of the whole plan; a job may end before."""
    message: str
    """What is being done, in a few words."""
    result: Result | None = None
    """What there is so far: a new object after every batch; the last step holds the whole of it."""
    predicted_x0: Tensor | None = None
    """(n, channels, side, side) clean latents of the batch being painted, as the last step predicts them."""


@dataclass(frozen=True)
class Batch:
    """Images that are painted before the next look at what there is."""

    checkpoint: str
    settings: PaintSettings


@dataclass(frozen=True)
class JudgedImage:
    """One painted image and what the frame says of it."""

    painted: PaintedImage
    """Seed, picture, variance."""
    embedding: NDArray[np.float32] | None
    """(d,), not normalised; None when there is no frame to judge with."""
    verdict: Verdict | None
    """At the mass asked for; None when there is no frame to judge with."""


@dataclass(frozen=True)
class BatchStep:
    """One step of the loop."""

    n_done: int
    """Denoising steps done, over all batches."""
    n_total: int
    """Denoising steps of all batches."""
    message: str
    predicted_x0: Tensor | None = None
    """(n, channels, side, side) predicted clean latents of the images being painted."""
    finished: tuple[JudgedImage, ...] | None = None
    """The images of a batch, once it is painted and judged."""


def paint_batches(
    engine: Engine, prompt: str, batches: Sequence[Batch], *, hdr_mass: float, label: str = "paint"
) -> Generator[BatchStep]:
    """Paint and judge every batch; closing the generator stops the work and frees the device.

    Waits in the engine's device queue and holds it to the last step. While it stands at a step, whoever reads it may
    compute on the device, as `painted_result` does.

    Args:
        engine: with the models, one checkpoint in use at a time.
        prompt: what to paint.
        batches: at least one.
        hdr_mass: share of genuine images that belong inside.
        label: of the job in the queue.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used, before anything is loaded.
    """
    text = check_prompt(prompt)
    check_mass(hdr_mass)
    for batch in batches:
        engine.checkpoint_place("pictures", batch.checkpoint)
    frame = frame_of(engine)
    planned = [batch.settings.n_steps for batch in batches]
    n_done, n_total = 0, sum(planned)
    with engine.enter(label) as ticket:
        for position in ticket.positions():
            yield BatchStep(0, n_total, f"waiting for {position} other job{'s' if position > 1 else ''}")
        # a server can only stop a generator that has yielded: do so before the first long step
        yield BatchStep(0, n_total, "loading the model")
        engine.painter(batches[0].checkpoint)
        if frame is not None:
            frame.check_embedder(engine.clip())
        yield BatchStep(0, n_total, "painting")
        for place, batch in enumerate(batches):
            n_before, painted = n_done, ()
            for step in stream_images(engine.painter(batch.checkpoint), text, batch.settings):
                n_done, painted = n_before + step.n_done, step.painted
                # some schedulers take more steps than they are asked for
                n_total = n_before + round(sum(planned[place:]) * step.n_total / planned[place])
                yield BatchStep(n_done, n_total, "painting", step.predicted_x0)
            yield BatchStep(n_done, n_total, "judging", finished=_judged(engine, frame, painted, hdr_mass))


def painted_result(
    engine: Engine,
    prompt: str,
    batch: Batch,
    judged: Sequence[JudgedImage],
    *,
    hdr_mass: float,
    choices: Sequence[Choice] = (),
    reason: str = NO_FRAME,
) -> PaintResult:
    """The images and their verdicts, one by one and as a mean; to be called while the job holds the device.

    Args:
        engine: that painted them.
        prompt: what was asked for.
        batch: who painted, and how; its seed is that of the whole job.
        judged: the images, none of them where none was chosen.
        hdr_mass: share of genuine images that belong inside.
        choices: how density chose each image, where it did.
        reason: why there is no verdict, where there is none.
    """
    frame = frame_of(engine)
    embeddings = [one.embedding for one in judged if one.embedding is not None]
    scores = None
    if frame is not None and embeddings:
        rows = np.stack(embeddings)
        scores = score_embeddings(frame, engine.clip(), rows, hdr_mass, seed=batch.settings.seed)
    return PaintResult(
        check_prompt(prompt),
        batch.checkpoint,
        batch.settings,
        tuple(one.painted.image for one in judged),
        scores,
        frame=frame.features.embedder if frame else "",
        reason=None if scores else reason,
        x0_variances=tuple(one.painted.x0_variance for one in judged),
        seeds=tuple(one.painted.seed for one in judged),
        choices=tuple(choices),
        checkpoint_sha256=engine.checkpoint_sha256("pictures", batch.checkpoint),
        pipeline_sha256=engine.checkpoint_sha256("pictures", engine.preset.pictures.base_name),
    )


def _judged(
    engine: Engine, frame: PictureFrame | None, painted: Sequence[PaintedImage], hdr_mass: float
) -> tuple[JudgedImage, ...]:
    if frame is None:
        return tuple(JudgedImage(one, None, None) for one in painted)
    embeddings = embed_images(engine.clip(), [one.image for one in painted])
    verdicts = frame.features.with_mass(hdr_mass).decide(embeddings)
    return tuple(JudgedImage(*one) for one in zip(painted, embeddings, verdicts, strict=True))
