"""The world a command works in: the preset and the engine that the environment asks for."""

import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.data.question_sets import TRUTHFULQA_VARIABLE
from hallulab.engine.own_checkpoints import with_folders, with_run
from hallulab.engine.presets import Kind, Preset, load_preset
from hallulab.engine.quiet import quiet_libraries
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    import torch

    from hallulab.engine.core import Engine
    from hallulab.models.clip import LoadedClip

DEFAULT_HOME = "runs"

UnetsOption = Annotated[
    Path | None,
    typer.Option(
        help="A run of `train pictures`: its checkpoints take the place of the preset's, the base stays."
    ),
]
AdaptersOption = Annotated[
    Path | None,
    typer.Option(help="A run of `train words`: its adapters take the place of the preset's, the base stays."),
]


def preset_from_environment(*, unets: Path | None = None, adapters: Path | None = None) -> Preset:
    """The preset named by HALLULAB_PRESET, or the default one, around the checkpoints of one's own runs."""
    return own_world(load_preset(os.environ.get("HALLULAB_PRESET")), unets=unets, adapters=adapters)


def own_world(preset: Preset, *, unets: Path | None = None, adapters: Path | None = None) -> Preset:
    """The preset around the checkpoints of one's own training runs, where some are named."""
    return with_run(with_run(preset, "pictures", unets), "words", adapters)


def named_checkpoint(preset: Preset, kind: Kind, name: str | None) -> tuple[Preset, str | None]:
    """The preset that knows this checkpoint, named or given as a folder, and its name; None is the default one."""
    if name is None:
        return preset, None
    preset, (known,) = with_folders(preset, kind, [name])
    return preset, known


def home_from_environment() -> Path:
    """The folder for runs and records: HALLULAB_HOME, or the default one."""
    return Path(os.environ.get("HALLULAB_HOME") or DEFAULT_HOME)


def truthfulqa_path() -> str | None:
    """The TruthfulQA CSV that the environment names, or `hub`; None when it names neither."""
    return os.environ.get(TRUTHFULQA_VARIABLE) or None


def start_engine(preset: Preset | None = None) -> "Engine":
    """The engine on this preset, or on that of the environment, with nothing loaded yet."""
    preset = preset or preset_from_environment()
    quiet_libraries()
    from hallulab.engine.core import Engine

    return Engine(preset)


def chosen_clip(engine: "Engine", name: str | None, weights: str | None) -> "LoadedClip | None":
    """The open_clip model a person named, on the engine's device; None stands for the preset's own.

    Raises RefusedInputError for a tag of weights without a model, or a model that does not load.
    """
    if name is None:
        if weights is not None:
            raise RefusedInputError(
                f"expected --clip-model beside --clip-weights {weights}, got none: name it"
            )
        return None
    from hallulab.models.clip import load_clip

    return load_clip(name, weights or "", device=engine.device)


def chosen_device(name: str) -> "torch.device | str":
    """The device a person named; RefusedInputError for one this machine does not have."""
    if name == "cpu":  # known without loading the engine
        return name
    from hallulab.engine.device import choose_device

    return choose_device(name)


def coin_device(name: str | None) -> "torch.device | str":
    """Where coin networks are trained: the named device, else a GPU that accelerate finds, else the CPU."""
    import torch

    if name is None:
        return chosen_device("cuda") if torch.cuda.is_available() else "cpu"
    return chosen_device(name)


def named_folder(text: str) -> Path:
    """A folder that a person named; an empty name would be the current folder."""
    if not text.strip():
        raise typer.BadParameter("expected the name of a folder, got an empty one: name one")
    return Path(text)


def given(**options: Any) -> dict[str, Any]:
    """The options a person gave; the settings dataclasses hold the defaults of the others."""
    return {name: value for name, value in options.items() if value is not None}


def output_folder(folder: Path) -> Path:
    """The folder, made if it is missing; refused before any work is lost on it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # no name that another process of a launch could remove
            pass
    except OSError as error:
        raise RefusedInputError(
            f"expected a folder that can be written, got {folder} ({error.strerror}): choose another --out"
        ) from error
    return folder
