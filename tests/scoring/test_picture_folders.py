"""Verdicts on images on disk; what cannot be read is counted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_folders import score_images
from tests.hand_made_frames import fitted


@pytest.fixture(scope="module")
def engine(tiny_preset: Path) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def write(folder: Path, n: int = 3) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(n)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(path)
    return paths


def test_a_broken_file_does_not_lose_the_others(engine, tmp_path):
    paths = write(tmp_path)
    paths[1].write_text("not an image")
    report = score_images(engine, fitted(engine.clip().name), paths).to_json()
    assert [image["inside"] is None for image in report["images"]] == [False, True, False]
    assert "1.png" in report["images"][1]["error"]
    assert (report["n"], report["n_unreadable"]) == (2, 1)


def test_only_broken_files_are_refused(engine, tmp_path):
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(RefusedInputError, match=r"cannot read .*a\.png as an image"):
        score_images(engine, fitted(engine.clip().name), [tmp_path / "a.png"])
    assert engine.queue.holder is None


def test_no_file_is_refused(engine):
    with pytest.raises(RefusedInputError, match="expected at least one image file, got none"):
        score_images(engine, fitted(engine.clip().name), [])
