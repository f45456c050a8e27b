"""Images on disk: one file opened safely, and a folder with one subfolder per latent state."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from hallulab.errors import RefusedInputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""what Pillow raises for a file that is not a whole image"""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, sorted by state and name."""

    paths: tuple[Path, ...]
    """One path per image."""
    labels: tuple[str, ...]
    """The state of each image: the name of its subfolder."""

    @property
    def states(self) -> tuple[str, ...]:
        """The states, sorted."""
        return tuple(sorted(set(self.labels)))


def list_image_folder(folder: Path) -> ImageFolder:
    """Find the images below `folder`, which holds one subfolder per state.

    Raises RefusedInputError when there is no such folder, fewer than two states, or a state without an image.
    """
    if not folder.is_dir():
        raise RefusedInputError(f"expected a folder of images, found none at {folder}")
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(subfolders) < 2:
        names = ", ".join(path.name for path in subfolders) or "none"
        raise RefusedInputError(
            f"expected at least two subfolders in {folder}, one per state, such as cat and dog; got {names}"
        )
    paths, labels = [], []
    for subfolder in subfolders:
        found = list_images(subfolder)
        if not found:
            raise RefusedInputError(f"expected images ({', '.join(SUFFIXES)}) in {subfolder}, found none")
        paths += found
        labels += [subfolder.name] * len(found)
    return ImageFolder(tuple(paths), tuple(labels))


def list_images(folder: Path) -> list[Path]:
    """Every image file below a folder, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def open_image(path: Path) -> Image.Image:
    """The image as upright RGB pixels; transparency becomes white, an animation its first frame.

    Raises RefusedInputError, naming the file, when it cannot be read as an image.
    """
    return rgb_image(path, str(path))


def rgb_image(source: Path | BinaryIO, name: str) -> Image.Image:
    """`open_image` for a file or for bytes in memory, called `name` where it is refused."""
    try:
        return as_rgb(decode_image(source))
    except UNREADABLE as error:
        raise RefusedInputError(
            f"cannot read {name} as an image ({why_unreadable(error)}): replace or remove it"
        ) from error


def decode_image(source: Path | BinaryIO) -> Image.Image:
    """The image upright, all its pixels read, in the colour mode it is stored in; raises one of UNREADABLE."""
    with Image.open(source) as image:
        return ImageOps.exif_transpose(image)


def why_unreadable(error: Exception) -> str:
    """What is wrong with a file that raised one of UNREADABLE, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def as_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, over white where it is transparent."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    return image.convert("RGB")
