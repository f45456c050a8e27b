"""Labelled images by name: a folder with one subfolder per state, or a data set of the Hub."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from hallulab.data.image_folder import (
    UNREADABLE,
    decode_image,
    list_image_folder,
    rgb_image,
    why_unreadable,
)
from hallulab.errors import RefusedInputError

N_NAMED = 5
"""unusable images that a refusal names; the others are counted"""


@dataclass(frozen=True)
class ImageSet:
    """Labelled images that are read when they are asked for."""

    place: str
    """Folder, or name on the Hub."""
    names: tuple[str, ...]
    """What each image is called: its path below the folder, or its row."""
    labels: tuple[str, ...]
    """The state of each image."""
    read: Callable[[int], bytes]
    """Index → the image file's bytes."""
    skipped: tuple[str, ...] = ()
    """Images left out because they cannot be used, each with the reason."""

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The states, sorted."""
        return tuple(sorted(set(self.labels)))

    @property
    def n_per_state(self) -> dict[str, int]:
        """Images of each state."""
        found = Counter(self.labels)
        return {state: found[state] for state in self.states}

    def open(self, index: int) -> Image.Image:
        """One image as upright RGB pixels; RefusedInputError names one that cannot be read."""
        return rgb_image(io.BytesIO(self.read(index)), self.names[index])

    @cached_property
    def sha256(self) -> str:
        """One hash of names, states and bytes, in order."""
        digest = hashlib.sha256()
        for index, (name, label) in enumerate(zip(self.names, self.labels, strict=True)):
            content = hashlib.sha256(self.read(index)).hexdigest()
            digest.update(f"{label} {name} {content}\n".encode())
        return digest.hexdigest()

    def only(self, indices: Sequence[int]) -> "ImageSet":
        """The same set with these images alone."""
        kept = tuple(indices)
        return replace(
            self,
            names=tuple(self.names[index] for index in kept),
            labels=tuple(self.labels[index] for index in kept),
            read=lambda position: self.read(kept[position]),
        )


def open_image_set(
    place: str | Path, *, states: Sequence[str] = (), skip_unusable: bool = False, split: str = "train"
) -> ImageSet:
    """The images of a folder, or of a data set of the Hub such as `huggan/AFHQ`, each one checked.

    Args:
        place: a folder that holds one subfolder per state, or a name on the Hub.
        states: the states wanted; all of them when empty.
        skip_unusable: leave out images that cannot be read or are not stored in the set's commonest
            colour mode, instead of refusing the set.
        split: of a data set of the Hub.

    Raises RefusedInputError when there is no such set, fewer than two states, an unknown state, or images
    that cannot be used: it names and counts them.
    """
    found = _from_folder(Path(place)) if Path(place).is_dir() else _from_hub(str(place), split)
    if states:
        unknown = [state for state in states if state not in found.states]
        if unknown:
            raise RefusedInputError(
                f"unknown state {unknown[0]!r} of {place}: use some of {', '.join(found.states)}"
            )
        found = found.only([index for index, label in enumerate(found.labels) if label in set(states)])
    if len(found.states) < 2:
        raise RefusedInputError(
            f"expected at least two states in {place}, such as cat and dog; got {', '.join(found.states)}"
        )
    return _only_usable(found, skip=skip_unusable)


def _from_folder(folder: Path) -> ImageSet:
    found = list_image_folder(folder)
    return ImageSet(
        place=str(folder),
        names=tuple(path.relative_to(folder).as_posix() for path in found.paths),
        labels=found.labels,
        read=lambda index: found.paths[index].read_bytes(),
    )


def _from_hub(name: str, split: str) -> ImageSet:
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise RefusedInputError(
            f"expected a folder of images or the name of a data set such as huggan/AFHQ, got {name!r}: "
            "there is no such folder"
        )
    rows = _load_rows(name, split)
    image, label = _columns(rows, name)
    numbers: list[int] = list(rows[label])
    n_digits = len(str(len(numbers)))

    def read(index: int) -> bytes:
        stored = rows[index][image]  # undecoded: bytes, or the path of a file that holds them
        return stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()

    return ImageSet(
        place=name,
        names=tuple(f"row {index:0{n_digits}d}" for index in range(len(numbers))),
        labels=tuple(rows.features[label].int2str(number) for number in numbers),
        read=read,
    )


def _load_rows(name: str, split: str) -> Any:
    """The rows of a data set with images left undecoded."""
    try:
        import datasets
    except ImportError as error:
        raise RefusedInputError(
            f"the data set {name} of the Hub needs the package datasets: pip install datasets"
        ) from error
    try:
        rows: Any = datasets.load_dataset(name, split=split)
    except Exception as error:  # every fetcher below it raises its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RefusedInputError(
            f"cannot fetch the data set {name} of the Hub ({reason}): check its name and the network, or give a "
            "folder with one subfolder per state"
        ) from error
    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
    return rows


def _columns(rows: Any, name: str) -> tuple[str, str]:
    """The columns that hold the image and its class."""
    found = []
    for kind in ("Image", "ClassLabel"):
        columns = [column for column, feature in rows.features.items() if type(feature).__name__ == kind]
        if not columns:
            listed = ", ".join(f"{column}: {type(kind).__name__}" for column, kind in rows.features.items())
            raise RefusedInputError(
                f"expected a column of type {kind} in the data set {name}, got {listed}: use another data set"
            )
        found.append(columns[0])
    return found[0], found[1]


def _only_usable(images: ImageSet, *, skip: bool) -> ImageSet:
    """The set without broken files and without colour modes other than its commonest one."""

    def look(index: int) -> tuple[str, str]:
        """The image's colour mode, or what is wrong with it."""
        try:
            return decode_image(io.BytesIO(images.read(index))).mode, ""
        except UNREADABLE as error:
            return "", why_unreadable(error)

    with ThreadPoolExecutor() as pool:
        looks = list(pool.map(look, range(len(images))))
    modes = Counter(mode for mode, _ in looks if mode)
    usual = max(sorted(modes), key=modes.__getitem__, default="")
    unusable = {
        index: f"{images.names[index]} ({reason or f'{mode}, most are {usual}'})"
        for index, (mode, reason) in enumerate(looks)
        if mode != usual or not mode
    }
    if unusable and not skip:
        named = ", ".join(list(unusable.values())[:N_NAMED])
        more = f" and {len(unusable) - N_NAMED} more" if len(unusable) > N_NAMED else ""
        raise RefusedInputError(
            f"{len(unusable)} of {len(images)} images of {images.place} cannot be used: {named}{more}; "
            "expected whole images of one colour mode: replace them, or ask for them to be skipped"
        )
    kept = images.only([index for index in range(len(images)) if index not in unusable])
    lost = [state for state in images.states if state not in kept.states]
    if lost:
        raise RefusedInputError(
            f"expected images that can be used of every state in {images.place}, got none of {', '.join(lost)}: "
            f"{len(unusable)} of {len(images)} images are broken or not {usual or 'readable'}"
        )
    return replace(kept, skipped=tuple(unusable.values()))
