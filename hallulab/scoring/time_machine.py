"""A prompt at every checkpoint with the same seeds: what fine-tuning did to each image, and to the rate."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, check_prompt
from hallulab.errors import RefusedInputError
from hallulab.scoring.painting import Batch, PaintProgress, paint_batches, painted_result
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.training_history import LossPoint, steps_in_name, training_history
from hallulab.theory.regions import check_mass


@dataclass(frozen=True)
class Moment:
    """One checkpoint's images."""

    step: int
    """Training steps done; 0 for the base."""
    loss: float | None
    """Mean training loss of the last steps before it; None where none is recorded, and for the base."""
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

    def save(self, folder: Path) -> "TimeMachine":
        """Write the images, those of every checkpoint to a folder of its name; the machine that knows their paths."""
        moments = tuple(
            replace(one, painted=one.painted.save(folder / one.checkpoint)) for one in self.moments
        )
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
) -> Iterator[PaintProgress[TimeMachine]]:
    """Paint the same seeds at every checkpoint, judging after each; every later progress holds what there is.

    Args:
        engine: with the models, one of which is in use at a time.
        prompt: what to paint.
        settings: number of images, seed and sampling, the same for all.
        checkpoints: in order; all of the preset when empty.
        hdr_mass: share of genuine images that belong inside.

    Raises RefusedInputError for a prompt, checkpoint or mass that cannot be used.
    """
    names = tuple(checkpoints) or engine.checkpoint_names("pictures")
    if len(set(names)) != len(names):
        raise RefusedInputError(f"expected every checkpoint once, got {', '.join(names)}")
    batches = [Batch(name, settings) for name in names]
    machine = TimeMachine(check_prompt(prompt), settings, (), ())
    n_total = 0
    with closing(paint_batches(engine, prompt, batches, hdr_mass=hdr_mass, label="time machine")) as steps:
        for step in steps:
            n_total, batch = step.n_total, batches[min(len(machine.moments), len(batches) - 1)]
            message = f"{step.message} at {batch.checkpoint}" if step.n_done else step.message
            if step.finished is not None:
                painted = painted_result(engine, prompt, batch, step.finished, hdr_mass=hdr_mass)
                machine = _with_moment(engine, machine, painted)
            yield PaintProgress(step.n_done, n_total, message, machine if machine.moments else None)
    yield PaintProgress(n_total, n_total, "judged", machine)


def _with_moment(engine: Engine, machine: TimeMachine, painted: PaintResult) -> TimeMachine:
    # what the base was trained on before is another story
    if painted.checkpoint == engine.preset.pictures.base_name:
        return replace(machine, moments=(*machine.moments, Moment(0, None, painted)))
    history = training_history(engine.checkpoint_place("pictures", painted.checkpoint))
    step = history.n_steps or steps_in_name(painted.checkpoint) or len(machine.moments)
    longest = history.points if len(history.points) > len(machine.losses) else machine.losses
    moment = Moment(step, history.loss, painted)
    return replace(machine, moments=(*machine.moments, moment), losses=longest)
