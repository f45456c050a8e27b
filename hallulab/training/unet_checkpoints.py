"""A fine-tuning run on disk: one folder per checkpoint in the Hub's format, with its loss and its card."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from hallulab.data.captioned_pictures import CaptionedPictures
from hallulab.errors import RefusedInputError
from hallulab.models.diffusion import save_unet
from hallulab.records import RecordFile, write_card
from hallulab.scoring.training_history import RECENT_STEPS
from hallulab.training.unet_tuning import (
    TuningStep,
    UnetTuning,
    state_of_checkpoint,
    steps_done,
    tune_unet,
)

STEPS_PER_LOSS = 10
"""steps that one line of `losses.jsonl` averages over"""


@dataclass(frozen=True)
class TuningCard:
    """What the cards of a run's checkpoints say."""

    title: str
    """What the UNets are, in a few words; the step goes before it."""
    base: str
    """What they were fine-tuned from."""
    command: str
    """The command that makes them again."""


@dataclass(frozen=True)
class TunedUnet:
    """One checkpoint of a run."""

    step: int
    path: Path
    loss: float
    """Mean training loss of the last steps before it."""
    state: Path | None
    """From which training goes on there: weights, their average, the optimiser's moments; None where none is kept."""


def checkpoint_name(step: int) -> str:
    """The folder of a step."""
    return f"step-{step:04d}"


def tune_checkpoints(
    pipeline: StableDiffusionPipeline,
    pictures: CaptionedPictures,
    settings: UnetTuning,
    card: TuningCard,
    *,
    size: int,
    out: Path,
    work: Path,
    accelerator: Accelerator,
) -> tuple[TunedUnet, ...]:
    """Fine-tune the pipeline's UNet and write its checkpoints below `out`, each whole or not at all.

    See `tune_unet` for the arguments that are not said here.

    Raises RefusedInputError for what `tune_unet` refuses, and for checkpoints that a resumed run is past.
    """
    _check_ahead(settings.checkpoint_steps, out, work)

    def write(done: TuningStep) -> None:
        unfinished = work / "unfinished" / checkpoint_name(done.n_done)
        shutil.rmtree(unfinished, ignore_errors=True)
        save_unet(done.unet, done.averaged, unfinished)
        write_losses(unfinished / "losses.jsonl", done.losses)
        write_card(
            unfinished,
            title=f"step {done.n_done}: {card.title}",
            base=card.base,
            data=pictures.description,
            command=card.command,
            seed=settings.seed,
            notes=_notes(settings),
        )
        finished = out / checkpoint_name(done.n_done)
        shutil.rmtree(finished, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        unfinished.replace(finished)

    losses = tune_unet(
        pipeline, pictures, settings, size=size, work=work, accelerator=accelerator, on_checkpoint=write
    )
    return tuple(_tuned(step, losses, out, work) for step in sorted(set(settings.checkpoint_steps)))


def _tuned(step: int, losses: NDArray[np.float32], out: Path, work: Path) -> TunedUnet:
    loss, state = float(losses[:step][-RECENT_STEPS:].mean()), state_of_checkpoint(work, step)
    return TunedUnet(step, out / checkpoint_name(step), loss, state if state.is_file() else None)


def write_losses(path: Path, losses: NDArray[np.float32], every: int = STEPS_PER_LOSS) -> None:
    """Write the training loss as JSON lines, averaged over `every` steps."""
    path.unlink(missing_ok=True)
    lines = [
        {
            "step": min(start + every, len(losses)),
            "loss": round(float(losses[start : start + every].mean()), 5),
        }
        for start in range(0, len(losses), every)
    ]
    file = RecordFile(path)
    for line in lines:
        file.append(line)


def _check_ahead(steps: Iterable[int], out: Path, work: Path) -> None:
    """Refuse checkpoints that a resumed run is past and that are not there."""
    n_done = steps_done(work)
    late = [step for step in sorted(steps) if step <= n_done and not (out / checkpoint_name(step)).is_dir()]
    if late:
        raise RefusedInputError(
            f"expected checkpoints after step {n_done}, which the run in {work} has reached, or ones that are in "
            f"{out}, got step {late[0]}: leave it out, or choose another folder"
        )


def _notes(settings: UnetTuning) -> str:
    loop = settings.loop
    average = (
        f"an average of weights (decay {loop.ema_decay})" if loop.ema_decay else "the weights themselves"
    )
    return (
        f"Training loss up to this step: `losses.jsonl`, means of {STEPS_PER_LOSS} steps. Batch {settings.batch_size}, "
        f"AdamW, learning rate {loop.learning_rate:g}, {'falling along a cosine' if loop.cosine else 'constant'} after "
        f"{loop.warmup_steps} steps of warm-up, {loop.n_steps} steps in all. The checkpoint holds {average}, in half "
        "precision."
    )
