"""Checkpoints of one's own in a preset: those of a training run in the place of its own, or single folders beside them.

For whoever starts a command or the server. The page and its endpoints know names alone: nothing that a visitor types
becomes a path.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hallulab.engine.presets import Kind, Preset, checkpoints_below, is_checkpoint, is_local
from hallulab.errors import RefusedInputError

_CONFIG = {"words": "adapter_config.json", "pictures": "config.json"}
"""what describes a checkpoint of either kind, beside its weights"""
_NOUN = {"words": "LoRA adapter", "pictures": "UNet"}
_EXAMPLE = {"words": "seed1-epoch2", "pictures": "step-0025"}
_OPTION = {"words": "--adapters", "pictures": "--unets"}
_FITS = ("in_channels", "out_channels", "cross_attention_dim")
"""fields in which a UNet must agree with its pipeline"""


def with_run(preset: Preset, kind: Kind, run: Path | None) -> Preset:
    """The preset with the checkpoints of a training run in the place of its own; the base stays.

    Args:
        preset: the world.
        kind: whether the run made adapters or UNets.
        run: its folder, with one folder per checkpoint; None changes nothing.

    Raises RefusedInputError for a folder without checkpoints, and for ones that do not fit the base.
    """
    if run is None:
        return preset
    folder = _folder(run)
    if is_checkpoint(folder):
        raise RefusedInputError(
            f"expected the folder of a training run for {_OPTION[kind]}, got the single checkpoint {run}: "
            f"name the folder around it, or this one with --checkpoint"
        )
    found = checkpoints_below(folder)
    if not found:
        raise RefusedInputError(
            f"expected a training run with checkpoints such as {_EXAMPLE[kind]} in {run}, found none: make one with "
            f"`python -m hallulab train {kind} --out {run}`"
        )
    base_name = next(iter(preset.checkpoints(kind)))
    if base_name in found:
        raise RefusedInputError(
            f"expected a training run without a checkpoint called {base_name}, the name of the base model, got one in "
            f"{run}: rename it"
        )
    for place in found.values():
        _check(preset, kind, Path(place))
    return _with_checkpoints(preset, kind, found, default="")


def with_folders(preset: Preset, kind: Kind, given: Sequence[str]) -> tuple[Preset, tuple[str, ...]]:
    """The checkpoints a person named, by name or by folder: the preset that knows them all, and their names.

    A folder is called by its own name, after that of the folder around it where another checkpoint has it.

    Raises RefusedInputError for a folder that is no checkpoint, and for one that does not fit the base. A name that
    nobody knows is left to the engine.
    """
    names = []
    for one in given:
        known = preset.checkpoints(kind)
        if one in known or not _is_path(one):
            names.append(one)
            continue
        folder = _folder(Path(one))
        _check(preset, kind, folder)
        name = _name(folder, known)
        places = {**_tuned(preset, kind), name: str(folder)}
        preset = _with_checkpoints(preset, kind, places, default=preset.default_checkpoint(kind))
        names.append(name)
    return preset, tuple(names)


def _is_path(given: str) -> bool:
    return is_local(given) or os.sep in given or Path(given).is_dir()


def _folder(path: Path) -> Path:
    """An absolute path; links in it stay, so that names are those a person knows."""
    return Path(os.path.abspath(path.expanduser()))


def _name(folder: Path, known: dict[str, str]) -> str:
    """A name for a folder that no other checkpoint has."""
    for name in (folder.name, f"{folder.parent.name}-{folder.name}"):
        if known.get(name, str(folder)) == str(folder):
            return name
    raise RefusedInputError(
        f"expected checkpoints of different names, got a second {folder.parent.name}-{folder.name} at {folder}: "
        "rename one of the folders"
    )


def _check(preset: Preset, kind: Kind, folder: Path) -> None:
    """Refuse what is no checkpoint of this kind, before any model is loaded."""
    noun, config = _NOUN[kind], folder / _CONFIG[kind]
    if (folder / "model_index.json").is_file():
        raise RefusedInputError(
            f"expected the folder of a {noun}, got the whole pipeline {folder}: name its folder unet"
        )
    if not config.is_file() or not is_checkpoint(folder):
        raise RefusedInputError(
            f"expected the folder of a {noun} ({config.name} and a .safetensors file), found none at {folder}: "
            f"check the path, or make one with `python -m hallulab train {kind}`"
        )
    described = _read(config)
    if kind == "pictures":
        _check_unet(preset, folder, described)


def _check_unet(preset: Preset, folder: Path, described: dict[str, Any]) -> None:
    """What `with_unet` refuses, as far as files on this machine tell; a pipeline on the Hub tells when it loads."""
    expected_class, found_class = "UNet2DConditionModel", described.get("_class_name")
    if found_class != expected_class:
        raise RefusedInputError(
            f"expected a UNet in diffusers format ({expected_class}) in {folder}, got {found_class or 'something else'}"
        )
    of_pipeline = Path(preset.pictures.pipeline) / "unet" / "config.json"
    if not of_pipeline.is_file():
        return
    expected = _read(of_pipeline)
    for key in _FITS:
        if key in expected and key in described and described[key] != expected[key]:
            raise RefusedInputError(
                f"the UNet {folder} does not fit the pipeline {Path(preset.pictures.pipeline).name}: expected {key} "
                f"{expected[key]}, got {described[key]}; use a UNet fine-tuned from this pipeline"
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusedInputError(f"cannot read {path} ({error}): fetch or rebuild this checkpoint") from error
    if not isinstance(found, dict):
        raise RefusedInputError(
            f"expected a table in {path}, got another value: fetch or rebuild this checkpoint"
        )
    return found


def _tuned(preset: Preset, kind: Kind) -> dict[str, str]:
    return dict(preset.words.adapters if kind == "words" else preset.pictures.unets)


def _with_checkpoints(preset: Preset, kind: Kind, places: dict[str, str], *, default: str) -> Preset:
    """The preset with these tuned checkpoints; `default` is who is asked when nobody is named, empty the last one."""
    if kind == "words":
        words = replace(preset.words, adapters=places, default_checkpoint=default)
        return replace(preset, words=words)
    pictures = replace(preset.pictures, unets=places, default_checkpoint=default)
    return replace(preset, pictures=pictures)
