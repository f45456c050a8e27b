"""What paints one image again: written into the text of its PNG, and read back from a picture that somebody gives."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hallulab.engine.core import Engine
from hallulab.engine.pictures import MAX_IMAGES, PaintSettings, check_prompt
from hallulab.errors import RefusedInputError
from hallulab.records import as_plain, library_versions
from hallulab.theory.regions import check_mass

CHUNK = "hallulab"
"""name of the text chunk"""
MAX_RECIPE_CHARACTERS = 20_000
"""of a text that is read; ours are far shorter"""
MAX_WHOLE = 10**12
"""beyond all limits; what is above may be too long to be shown"""
DECIDING_LIBRARIES = ("torch", "diffusers")
"""whose versions move single pixels"""

Way = Literal["keep", "best"]


@cache
def versions_here() -> Mapping[str, str]:
    """Of the libraries of this process, looked up once: every image holds them."""
    return MappingProxyType(library_versions())


@dataclass(frozen=True)
class Choice:
    """How density chose an image among several."""

    way: Way
    """Kept because it is inside, or the best of several by margin."""
    first_seed: int
    """Seed at which painting must begin for the same choice to be made again."""
    hdr_mass: float
    """The mass at which it was chosen, whatever is shown now."""
    best_of: int | None = None
    """Images it was the best of; None where it was kept."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in a recipe."""
        return vars(self).copy()


@dataclass(frozen=True)
class Recipe:
    """What paints one image again, and what judged it."""

    prompt: str
    checkpoint: str
    settings: PaintSettings
    """One image of this seed."""
    checkpoint_sha256: str | None = None
    """Content hash of the checkpoint's folder; None where it is not known, as for one on the Hub."""
    pipeline_sha256: str | None = None
    """Of the base model, whose autoencoder and text encoder every checkpoint shares."""
    hdr_mass: float | None = None
    """At which it was judged; None without a verdict."""
    frame_hash: str | None = None
    """Of the regions that judged it."""
    choice: Choice | None = None
    """None where every image was kept."""
    versions: Mapping[str, str] = field(default_factory=versions_here)
    """Of the libraries."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the PNG's text."""
        settings = self.settings
        return {
            "prompt": self.prompt,
            "checkpoint": self.checkpoint,
            "checkpoint_sha256": self.checkpoint_sha256,
            "pipeline_sha256": self.pipeline_sha256,
            "seed": settings.seed,
            "steps": settings.steps,
            "guidance": settings.guidance,
            "size": settings.size,
            "variance_steps": settings.variance_steps,
            "hdr_mass": self.hdr_mass,
            "frame_hash": self.frame_hash,
            "chosen": None if self.choice is None else self.choice.to_json(),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_text(cls, text: str) -> "Recipe":
        """The recipe in a text chunk, which anybody may have written: every value is checked.

        Raises RefusedInputError for one that is damaged, or that asks for what cannot be painted.
        """
        if len(text) > MAX_RECIPE_CHARACTERS:
            raise _damaged(f"{len(text):,} characters of text")
        try:
            kept = _table(json.loads(text), "it")
            settings = PaintSettings(
                n_images=1,
                seed=_whole(kept["seed"], "seed"),
                steps=_whole(kept["steps"], "steps"),
                guidance=_number(kept["guidance"], "guidance"),
                size=_whole(kept.get("size", PaintSettings.size), "size"),
                variance_steps=_whole(
                    kept.get("variance_steps", PaintSettings.variance_steps), "variance steps"
                ),
            )
            mass, chosen = kept.get("hdr_mass"), kept.get("chosen")
            return cls(
                check_prompt(_text(kept["prompt"], "prompt")),
                _text(kept["checkpoint"], "checkpoint"),
                settings,
                checkpoint_sha256=_text_or_none(kept.get("checkpoint_sha256")),
                pipeline_sha256=_text_or_none(kept.get("pipeline_sha256")),
                hdr_mass=None if mass is None else _mass(mass),
                frame_hash=_text_or_none(kept.get("frame_hash")),
                choice=None if chosen is None else _choice(chosen),
                versions=_versions(kept.get("versions")),
            )
        except RefusedInputError:
            raise
        # a RecursionError for brackets in brackets, an OverflowError for a number of hundreds of digits
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise _damaged(_in_words(error)) from error


def png_text(recipe: Mapping[str, Any]) -> str:
    """A recipe, and whatever is told beside it, as the text of a PNG chunk."""
    return json.dumps(as_plain(recipe), ensure_ascii=False)


def png_chunk(recipe: Mapping[str, Any]) -> PngInfo:
    """The PNG chunk that holds a recipe."""
    chunk = PngInfo()
    chunk.add_itxt(CHUNK, png_text(recipe))
    return chunk


def text_in(image: Image.Image) -> str | None:
    """The unread recipe in an opened picture; None when it has none."""
    text = getattr(image, "text", {}).get(CHUNK)
    return None if text is None else str(text)


def what_differs(recipe: Recipe, engine: Engine, frame_hash: str | None) -> tuple[str, ...]:
    """Sentences on what is not here as it was when the image was painted; none when nothing is known to differ.

    Args:
        recipe: of an image whose checkpoint's name is known here.
        engine: with the models that would paint it now.
        frame_hash: of the regions that would judge it now, at the recipe's mass.
    """
    here = versions_here()
    others = [
        name for name in DECIDING_LIBRARIES if recipe.versions.get(name, here.get(name)) != here.get(name)
    ]
    weights = engine.checkpoint_sha256("pictures", recipe.checkpoint)
    base = engine.checkpoint_sha256("pictures", engine.preset.pictures.base_name)
    size = engine.preset.pictures.size
    found = {
        f"The checkpoint “{recipe.checkpoint}” here has other weights than the one that painted it, so the image "
        "will differ.": _is_another(recipe.checkpoint_sha256, weights),
        "The base model here is another one, so the image will differ.": _is_another(
            recipe.pipeline_sha256, base
        ),
        f"It was painted {recipe.settings.size} pixels wide, and is {size} here, so the image will differ.": (
            recipe.settings.size != size
        ),
        "The regions here are others than those that judged it, so its verdict may differ.": _is_another(
            recipe.frame_hash, frame_hash
        ),
        f"Other versions of {' and '.join(others)} painted it, so single pixels may differ.": bool(others),
    }
    return tuple(sentence for sentence, is_so in found.items() if is_so)


def saved_with_recipe(image: Image.Image, recipe: Mapping[str, Any], path: Path) -> None:
    """Write a PNG with its recipe inside."""
    image.save(path, pnginfo=png_chunk(recipe))


def _is_another(theirs: str | None, ours: str | None) -> bool:
    return theirs is not None and ours is not None and theirs != ours


def _damaged(what: str) -> RefusedInputError:
    return RefusedInputError(
        f"the picture holds a damaged recipe ({what[:120]}): it can be judged, not painted again"
    )


def _in_words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    if isinstance(error, json.JSONDecodeError | RecursionError):
        return "it is not JSON"
    return str(error)


def _choice(kept: Any) -> Choice:
    kept = _table(kept, "chosen")
    way, best_of = kept["way"], kept.get("best_of")
    if way not in get_args(Way):
        raise TypeError("the way of choosing is unknown")
    if way == "best" and not 2 <= _whole(best_of, "best of") <= MAX_IMAGES:
        raise TypeError("the best of so many images is never chosen")
    first_seed = PaintSettings(n_images=1, seed=_whole(kept["first_seed"], "first seed")).seed
    return Choice(way, first_seed, _mass(kept["hdr_mass"]), best_of if way == "best" else None)


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is no table of fields")
    return value


def _mass(value: Any) -> float:
    mass = _number(value, "HDR mass")
    check_mass(mass)
    return mass


def _versions(kept: Any) -> dict[str, str]:
    found = kept if isinstance(kept, dict) else {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or abs(value) > MAX_WHOLE:
        raise TypeError(f"{name} is no whole number that can be used")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{name} is no number")
    return float(value)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    value.encode()  # a ValueError for half a character, which no page can show
    return value


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
