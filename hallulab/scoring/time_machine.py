"""A prompt at every checkpoint with the same seeds: what fine-tuning did to each image, and to the rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, PaintStep, check_prompt, embed_images, stream_images
from hallulab.errors import RefusedInputError
from hallulab.scoring.job_progress import JobProgress, taking_turns
from hallulab.scoring.picture_frames import NO_FRAME, frame_of
from hallulab.scoring.picture_verdicts import score_embeddings
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.training_history import LossPoint, steps_in_name, training_history
from hallulab.theory.regions import check_mass


@dataclass(frozen=True)
class Moment:
    """One checkpoint's images."""

    step: int
    """Training steps done; 0 for the base."""
    loss: float | None
    """Its last recorded training loss; None where none is recorded, and for the base."""
    painted: PaintResult
    """Its images and their verdicts."""

    @property
    def checkpoint(self) -> str:
        """Its name."""
        return self.painted.checkpoint

    def to_json(self) -> dict[str, Any]:
        """The contract of `paint` for this checkpoint, with its place in training."""
        return {"step": self.step, "training_loss": self.loss, **self.painted.to_json()}


@dataclass(frozen=True)
class TimeMachine:
    """The checkpoints painted so far, in order of training."""

    prompt: str
    settings: PaintSettings
    moments: tuple[Moment, ...]
    losses: tuple[LossPoint, ...]
    """Of the fine-tuning, as far as the last checkpoint records it."""

    def with_mass(self, hdr_mass: float) -> "TimeMachine":
        """The same images decided at another mass, without a model."""
        check_mass(hdr_mass)
        moments = tuple(replace(one, painted=one.painted.with_mass(hdr_mass)) for one in self.moments)
        return replace(self, moments=moments)

    def to_json(self) -> dict[str, Any]:
        """Every checkpoint as `paint` reports it."""
        return {
            "prompt": self.prompt,
            "seed": self.settings.seed,
            "n_images": self.settings.n_images,
            "checkpoints": [moment.to_json() for moment in self.moments],
        }


def paint_at_all(
    engine: Engine,
    prompt: str,
    settings: PaintSettings,
    *,
    checkpoints: Sequence[str] = (),
    hdr_mass: float = 0.9,
) -> Iterator[JobProgress[TimeMachine]]:
    """Paint the same seeds at every checkpoint, judging after each; every later progress holds what there is.

    Args:
        engine: with the models, one of which is in use at a time.
        prompt: what to paint.
        settings: number of images, seed and sampling, the same for all.
        checkpoints: in order; all of the preset when empty.
        hdr_mass: share of genuine images that belong inside.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used.
    """
    text = check_prompt(prompt)
    check_mass(hdr_mass)
    names = tuple(checkpoints) or engine.checkpoint_names("pictures")
    if len(set(names)) != len(names):
        raise RefusedInputError(f"expected every checkpoint once, got {', '.join(names)}")
    for name in names:
        engine.checkpoint_place("pictures", name)
    frame = frame_of(engine)
    machine = TimeMachine(text, settings, (), ())
    with engine.enter("time machine") as ticket:
        yield from taking_turns(ticket)
        for place, name in enumerate(names):
            finished: PaintStep | None = None
            for finished in stream_images(engine.painter(name), text, settings):
                fraction = (place + finished.n_done / (finished.n_total + 1)) / len(names)
                yield JobProgress(f"painting at {name}", fraction, machine if machine.moments else None)
            assert finished is not None  # a job has at least one step
            variances = tuple(one.x0_variance for one in finished.painted)
            result = PaintResult(
                text, name, settings, finished.images, None, reason=NO_FRAME, x0_variances=variances
            )
            if frame is not None:
                clip = engine.clip()
                embeddings = embed_images(clip, list(finished.images))
                scores = score_embeddings(frame, clip, embeddings, hdr_mass, seed=settings.seed)
                result = replace(result, scores=scores, frame=frame.features.embedder, reason=None)
            machine = _with_moment(engine, machine, result, place)
            if place + 1 < len(names):
                yield JobProgress(f"judged {name}", (place + 1) / len(names), machine)
    yield JobProgress("judged", 1.0, machine)


def _with_moment(engine: Engine, machine: TimeMachine, painted: PaintResult, place: int) -> TimeMachine:
    if (
        painted.checkpoint == engine.preset.pictures.base_name
    ):  # what it was trained on before is another story
        return replace(machine, moments=(*machine.moments, Moment(0, None, painted)))
    history = training_history(engine.checkpoint_place("pictures", painted.checkpoint))
    step = history.n_steps or steps_in_name(painted.checkpoint) or place
    longest = history.points if len(history.points) > len(machine.losses) else machine.losses
    moment = Moment(step, history.loss, painted)
    return replace(machine, moments=(*machine.moments, moment), losses=longest)
