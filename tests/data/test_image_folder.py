"""Images on disk: what is found, what is refused, what every mode becomes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.data.image_folder import list_image_folder, list_images, open_image
from hallulab.errors import RefusedInputError


def write(path: Path, mode: str = "RGB", colour: object = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6), colour).save(path)
    return path


def test_one_subfolder_per_state(tmp_path):
    for name in ("dog/b.png", "dog/a.jpg", "cat/deep/c.PNG"):
        write(tmp_path / name)
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    found = list_image_folder(tmp_path)
    assert found.states == ("cat", "dog")
    assert found.labels == ("cat", "dog", "dog")
    assert [path.name for path in found.paths] == ["c.PNG", "a.jpg", "b.png"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"expected a folder of images, found none at .*nowhere"):
        list_image_folder(tmp_path / "nowhere")


def test_one_class_is_refused(tmp_path):
    write(tmp_path / "cat" / "a.png")
    with pytest.raises(RefusedInputError, match=r"at least two subfolders.*such as cat and dog; got cat$"):
        list_image_folder(tmp_path)


def test_an_empty_class_is_refused(tmp_path):
    write(tmp_path / "cat" / "a.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(RefusedInputError, match=r"expected images .* in .*dog, found none"):
        list_image_folder(tmp_path)


def test_a_broken_file_is_refused_by_name(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(write(tmp_path / "whole.png").read_bytes()[:40])
    with pytest.raises(
        RefusedInputError, match=r"cannot read .*broken\.png as an image .*replace or remove it"
    ):
        open_image(broken)
    broken.write_text("plain text")
    with pytest.raises(RefusedInputError, match=r"broken\.png"):
        open_image(broken)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(RefusedInputError, match=r"cannot read .*gone\.png"):
        open_image(tmp_path / "gone.png")


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("LA", (50, 0), (255, 255, 255)),
        ("1", 1, (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
        ("I;16", 51_200, (200, 200, 200)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, colour, expected):
    image = open_image(write(tmp_path / "image.png", mode, colour))
    assert image.mode == "RGB"
    assert image.getpixel((3, 3)) == expected


def test_cmyk_becomes_rgb(tmp_path):
    image = open_image(write(tmp_path / "image.tiff", "CMYK", (0, 0, 0, 0)))
    assert np.asarray(image).min() == 255


def test_a_sideways_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.jpg").size == (6, 8)


def test_images_are_listed_in_order(tmp_path):
    for name in ("b.png", "a.png", "c/d.webp", ".d.png"):
        write(tmp_path / name)
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.png", "d.webp"]
