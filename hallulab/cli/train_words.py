"""`train words`: fine-tune LoRA adapters of a preset's language model on the open-ended questions."""

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout
from hallulab.cli.world import given, home_from_environment, output_folder
from hallulab.engine.presets import Preset, load_preset
from hallulab.engine.quiet import quiet_libraries
from hallulab.errors import RefusedInputError
from hallulab.records import folder_sha256

if TYPE_CHECKING:
    from hallulab.training.words_adapters import AdapterSettings, KeptAdapter


def train_words(
    out: Annotated[Path, typer.Option(help="Folder the adapters go to, one folder each.")],
    preset: Annotated[
        str | None, typer.Option(help="The world whose language model is tuned; HALLULAB_PRESET by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes; 2, 3, 4 and the last are kept.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds, counted from 1.")] = None,
    learning_rates: Annotated[
        str | None, typer.Option(help="One or more, with commas; every seed at each, such as 1e-4,3e-4.")
    ] = None,
    questions: Annotated[
        Literal["known", "all"] | None,
        typer.Option(
            help="The 60 that qwen-mini knows, its default, or all 300, the default of other models."
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; torch decides by default.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fine-tune LoRA adapters on the open-ended questions; run again, what is finished is not done again."""
    world = load_preset(preset or os.environ.get("HALLULAB_PRESET"))
    chosen = given(n_epochs=epochs, questions=questions)
    if seeds is not None:
        chosen["seeds"] = tuple(range(1, seeds + 1))
    if learning_rates is not None:
        chosen["learning_rates"] = _numbers(learning_rates)
    with quiet_stdout():
        settings, kept = _train(world, chosen, out, threads)
    adapters = [
        {
            "path": str(adapter.path),
            "sha256": folder_sha256(adapter.path),
            "seed": adapter.seed,
            "learning_rate": adapter.learning_rate,
            "epoch": adapter.epoch,
            "train_loss": adapter.loss,
        }
        for adapter in kept
    ]
    if as_json:
        print_json({"preset": world.name, "questions": settings.questions, "checkpoints": adapters})
        return
    from hallulab.training.words_adapters import written_rate

    print(f"Kept {len(adapters)} adapters of {Path(world.words.base).name} in {out}.")
    print_table(
        ("seed", "learning rate", "epoch", "training loss", "SHA-256", "folder"),
        [
            (
                str(a["seed"]),
                written_rate(a["learning_rate"]),
                str(a["epoch"]),
                f"{a['train_loss']:.4f}",
                a["sha256"][:12],
                a["path"],
            )
            for a in adapters
        ],
    )


def _train(
    world: Preset, chosen: dict[str, Any], out: Path, threads: int | None
) -> tuple["AdapterSettings", tuple["KeptAdapter", ...]]:
    quiet_libraries()
    import datasets
    import torch

    from hallulab.training.words_adapters import default_adapter_settings, train_adapters

    datasets.disable_progress_bars()
    if threads is not None:
        torch.set_num_threads(threads)
    settings = replace(default_adapter_settings(world.words.base), **chosen)
    kept = train_adapters(
        settings,
        base=world.words.base,
        out=output_folder(out),
        work=home_from_environment() / "train",
        command=_command(world, settings, out),
    )
    return settings, kept


def _command(world: Preset, settings: "AdapterSettings", out: Path) -> str:
    """The command that repeats a training."""
    from hallulab.training.words_adapters import written_rate

    rates = ",".join(map(written_rate, settings.learning_rates))
    return shlex.join(
        [
            *("python", "-m", "hallulab", "train", "words", "--preset", world.name),
            *("--epochs", str(settings.n_epochs), "--seeds", str(len(settings.seeds))),
            *("--learning-rates", rates, "--questions", settings.questions, "--out", str(out)),
        ]
    )


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise RefusedInputError(
            f"expected learning rates with commas between them, such as 1e-4,3e-4, got {text!r}"
        ) from error
