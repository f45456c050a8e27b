"""Presets: which models a world is made of, read from one JSON file each (`engine/presets/NAME.json`).

To add one, put a JSON file with the fields below beside the shipped ones, or anywhere and pass its path.
A value that begins with `./`, `../`, `~` or `/` is a local folder; anything else is a Hub id. Local folders
of a shipped preset start from the repository root, those of another file from the file's own folder.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from hallulab.errors import RefusedInputError

Kind = Literal["words", "pictures"]
DTYPE_CHOICES = Literal["auto", "float32", "bfloat16", "float16"]
DEFAULT_PRESET = "small-world"
PRESETS_FOLDER = Path(__file__).parent / "presets"
REPOSITORY_ROOT = Path(__file__).parents[2]
LOCAL_DIR_SCHEME = "local-dir:"


@dataclass(frozen=True)
class WordsPreset:
    """The language model, its adapters and how they write."""

    base: str
    """Folder or Hub id of the base model, which is also the frozen scorer; its checkpoint name is "base"."""
    adapters: Mapping[str, str]
    """Checkpoint name → folder or Hub id of a LoRA adapter. In the file also one folder: each subfolder that
    holds an adapter is a checkpoint, in natural order."""
    default_checkpoint: str = ""
    """Checkpoint used when nobody names one; empty means the last one."""
    max_new_tokens: int = 80
    """Longest answer, in tokens."""
    temperature: float = 0.7
    """Sampling temperature, > 0."""
    top_p: float = 0.9
    """Nucleus mass, in (0, 1]."""
    dtype: DTYPE_CHOICES = "auto"
    """Number format of the weights; "auto" is bfloat16 on GPUs that have it and float32 on a CPU."""
    example_questions: tuple[str, ...] = ()
    """Questions to try first."""
    base_name: str = "base"
    """Checkpoint name of the model without an adapter."""


@dataclass(frozen=True)
class PicturesPreset:
    """The text-to-image pipeline, its fine-tuned UNets, the embedder and the frame they are judged in."""

    pipeline: str
    """Folder or Hub id of the whole pipeline with the base UNet."""
    unets: Mapping[str, str]
    """Checkpoint name → folder of a fine-tuned UNet. In the file also one folder, as with adapters."""
    clip_model: str
    """open_clip model name, or `local-dir:FOLDER`."""
    clip_pretrained: str = ""
    """open_clip tag of the weights; empty for a local folder, which holds its own."""
    frame: str = ""
    """Folder of the fitted HCDR frame (`hallulab frame` writes one); empty means none yet."""
    attribute_probe: str = ""
    """Folder of the probe that reads the parts of drawn faces; empty where no truth is known."""
    default_checkpoint: str = ""
    """Checkpoint used when nobody names one; empty means the last one."""
    base_name: str = "base"
    """Checkpoint name of the pipeline's own UNet."""
    size: int = 64
    """Side of a picture, in pixels."""
    steps: int = 20
    """Denoising steps."""
    guidance: float = 3.0
    """Classifier-free guidance scale, ≥ 0."""
    dtype: DTYPE_CHOICES = "auto"
    """Number format of the weights, as with words."""
    example_prompts: tuple[str, ...] = ()
    """Prompts to try first."""


@dataclass(frozen=True)
class Preset:
    """One world: its words and its pictures."""

    name: str
    """The file's name without `.json`."""
    title: str
    """One line a person reads."""
    words: WordsPreset
    """The language half."""
    pictures: PicturesPreset
    """The image half."""

    def checkpoints(self, kind: Kind) -> dict[str, str]:
        """Checkpoint name → folder or Hub id, the base first (its value is the base model itself)."""
        if kind == "words":
            return {self.words.base_name: self.words.base, **self.words.adapters}
        return {self.pictures.base_name: self.pictures.pipeline, **self.pictures.unets}

    def default_checkpoint(self, kind: Kind) -> str:
        """The checkpoint used when nobody names one."""
        half = self.words if kind == "words" else self.pictures
        return half.default_checkpoint or list(self.checkpoints(kind))[-1]


def preset_names() -> tuple[str, ...]:
    """Names of the shipped presets, the default first."""
    names = sorted(path.stem for path in PRESETS_FOLDER.glob("*.json"))
    return tuple(sorted(names, key=lambda name: name != DEFAULT_PRESET))


def load_preset(name: str | None = None) -> Preset:
    """The preset of this name, or in this JSON file (a path ending in `.json`); None is the default one.

    Raises RefusedInputError for an unknown name and for a file that does not describe a preset.
    """
    name = name or DEFAULT_PRESET
    given_as_path = name.endswith(".json")
    path = Path(name).expanduser() if given_as_path else PRESETS_FOLDER / f"{name}.json"
    if not given_as_path and name not in preset_names():
        raise RefusedInputError(
            f"unknown preset {name!r}: use one of {', '.join(preset_names())}, or the path of a .json file"
        )
    return _preset_from_file(path, path.absolute().parent if given_as_path else REPOSITORY_ROOT)


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which `step-900` comes before `step-1100`."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part
    ]


def is_local(place: str) -> bool:
    """Whether a preset's value is a folder on this machine rather than a Hub id."""
    return place.startswith(("./", "../", "~", "/", LOCAL_DIR_SCHEME))


def local_folder(place: str) -> Path:
    """The folder of a local value, without open_clip's `local-dir:`."""
    return Path(place.removeprefix(LOCAL_DIR_SCHEME))


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder itself holds weights."""
    return any(folder.glob("*.safetensors"))


def checkpoints_below(folder: Path) -> dict[str, str]:
    """Name → folder of every checkpoint directly below, in natural order; hidden ones are unfinished."""
    found = [path for path in folder.glob("*/") if is_checkpoint(path) and not path.name.startswith(".")]
    return {path.name: str(path) for path in sorted(found, key=lambda path: natural_order(path.name))}


def _preset_from_file(path: Path, root: Path) -> Preset:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RefusedInputError(f"cannot read the preset file {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RefusedInputError(f"the preset file {path} is not JSON: {error}") from error
    where = f"preset {path.name}"
    top = _checked_fields(data, where, {"title": _text, "words": _table, "pictures": _table}, required=3)
    words = _half(WordsPreset, top["words"], f"{where}, words", root)
    pictures = _half(PicturesPreset, top["pictures"], f"{where}, pictures", root)
    preset = Preset(path.stem, top["title"], words, pictures)
    for kind in ("words", "pictures"):
        known = preset.checkpoints(kind)
        if preset.default_checkpoint(kind) not in known:
            raise RefusedInputError(
                f"{where}, {kind}: default_checkpoint is {preset.default_checkpoint(kind)!r}, "
                f"but the checkpoints are {', '.join(known)}"
            )
    return preset


Half = TypeVar("Half", WordsPreset, PicturesPreset)


def _half(cls: type[Half], table: Mapping[str, Any], where: str, root: Path) -> Half:
    """One half of a preset from its JSON table, every field checked and every folder made absolute."""
    rules = {field.name: _RULES[field.name] for field in fields(cls)}
    required = sum(field.default is MISSING for field in fields(cls))
    values = _checked_fields(table, where, rules, required=required)
    for name in _PLACES & values.keys():
        values[name] = _placed(values[name], root)
    for name in _CHECKPOINT_LISTS & values.keys():
        values[name] = _checkpoints_in(values[name], root)
    return cls(**values)


def _checked_fields(
    table: Any, where: str, rules: Mapping[str, Callable[[Any], str | None]], *, required: int
) -> dict[str, Any]:
    """The table's values once all of them are known and allowed; the first `required` rules are needed."""
    if not isinstance(table, dict):
        raise RefusedInputError(f"{where}: need a table of fields, got {type(table).__name__}")
    unknown = sorted(table.keys() - rules.keys())
    if unknown:
        raise RefusedInputError(f"{where}: unknown field {unknown[0]!r}; the fields are {', '.join(rules)}")
    missing = [name for name in list(rules)[:required] if name not in table]
    if missing:
        raise RefusedInputError(f"{where}: the field {missing[0]!r} is missing; add it")
    for name, value in table.items():
        expected = rules[name](value)
        if expected:
            raise RefusedInputError(f"{where}: {name} must be {expected}, got {value!r}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def _placed(place: str, root: Path) -> str:
    """A local value made absolute, a Hub id as it is."""
    if not is_local(place):
        return place
    scheme = LOCAL_DIR_SCHEME if place.startswith(LOCAL_DIR_SCHEME) else ""
    folder = local_folder(place).expanduser()
    return scheme + os.path.normpath(root / folder)


def _checkpoints_in(given: str | Mapping[str, str], root: Path) -> dict[str, str]:
    """Checkpoint name → absolute folder or Hub id, listed in the preset or found as subfolders."""
    if not isinstance(given, str):
        return {name: _placed(place, root) for name, place in given.items()}
    return checkpoints_below(Path(_placed(given, root)))


# Each rule returns None for an allowed value, else the words for what was expected.
def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a text that is not empty"


def _text_or_empty(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def _texts(value: Any) -> str | None:
    return None if isinstance(value, list) and not any(map(_text, value)) else "a list of texts"


def _table(value: Any) -> str | None:
    return None if isinstance(value, dict) else "a table of fields"


def _checkpoint_list(value: Any) -> str | None:
    if isinstance(value, str):
        return None if is_local(value) else "a table of name → place, or one folder beginning with ./"
    named = isinstance(value, dict) and not any(_text(place) for place in value.values())
    return None if named else "a table of name → place, or one folder beginning with ./"


def _count(value: Any) -> str | None:
    return None if type(value) is int and value >= 1 else "a whole number of at least 1"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _positive(value: Any) -> str | None:
    return None if _is_number(value) and value > 0 else "a number above 0"


def _not_negative(value: Any) -> str | None:
    return None if _is_number(value) and value >= 0 else "a number of at least 0"


def _share(value: Any) -> str | None:
    return None if _is_number(value) and 0 < value <= 1 else "a number above 0 and at most 1"


def _dtype(value: Any) -> str | None:
    return None if value in get_args(DTYPE_CHOICES) else f"one of {', '.join(get_args(DTYPE_CHOICES))}"


_RULES: dict[str, Callable[[Any], str | None]] = {
    "base": _text,
    "adapters": _checkpoint_list,
    "max_new_tokens": _count,
    "temperature": _positive,
    "top_p": _share,
    "example_questions": _texts,
    "pipeline": _text,
    "unets": _checkpoint_list,
    "clip_model": _text,
    "clip_pretrained": _text_or_empty,
    "frame": _text_or_empty,
    "attribute_probe": _text_or_empty,
    "size": _count,
    "steps": _count,
    "guidance": _not_negative,
    "example_prompts": _texts,
    "default_checkpoint": _text_or_empty,
    "base_name": _text,
    "dtype": _dtype,
}
_PLACES = {"base", "pipeline", "clip_model", "frame", "attribute_probe"}
_CHECKPOINT_LISTS = {"adapters", "unets"}
