"""A world of tiny models that every room can be tried in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.cli.main import main
from tests.tiny_world import write_world


def draw_images(folder: Path, n: int) -> Path:
    """`n` noisy pictures of each of two states, which differ in colour."""
    rng = np.random.default_rng(0)
    for state, colour in (("cat", (200, 80, 60)), ("dog", (40, 90, 210))):
        (folder / state).mkdir(parents=True)
        for index in range(n):
            pixels = rng.normal(colour, 40, size=(32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / state / f"{index}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preset file of a world of tiny models with a frame fitted by the command line itself."""
    folder = tmp_path_factory.mktemp("world")
    preset = write_world(folder)
    images = draw_images(tmp_path_factory.mktemp("images"), n=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALLULAB_PRESET", str(preset))
        assert main(["frame", str(images), "--out", str(folder / "frame")]) == 0
    return preset
