"""A command line that works in a tiny world, in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hallulab.cli.main import main
from tests.tiny_world import write_world


@dataclass(frozen=True)
class Outcome:
    """What one command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; NaN and infinity are not JSON."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out, parse_constant=refuse)

    @property
    def refusal(self) -> str:
        """The one line of a refused input."""
        assert (self.exit_code, self.out) == (2, "")
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


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


@pytest.fixture
def run(
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> Callable[..., Outcome]:
    """Run a command in the tiny world; its runs go to a temporary folder."""
    monkeypatch.setenv("HALLULAB_PRESET", str(tiny_preset))
    monkeypatch.setenv("HALLULAB_HOME", str(tmp_path / "home"))

    def run_command(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        exit_code = main([str(argument) for argument in arguments])
        return Outcome(exit_code, *capfd.readouterr())

    return run_command
