"""`frame`: what it writes, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.scoring.pictures import PictureFrame


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """60 noisy pictures of each of two states, in several modes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    for state, colour in (("cat", (200, 80, 60)), ("dog", (40, 90, 210))):
        (folder / state).mkdir(parents=True)
        for index in range(60):
            pixels = rng.normal(colour, 40, size=(32, 32, 3)).clip(0, 255).astype(np.uint8)
            mode = ("RGB", "L", "RGBA", "P")[index % 4]
            Image.fromarray(pixels).convert(mode).save(folder / state / f"{index}.png")
    return folder


def test_the_contract_of_frame(run, images, tmp_path):
    report = run("frame", images, "--out", tmp_path / "frame", "--json").json
    assert report["states"] == ["cat", "dog"]
    assert report["n_fit"] == {"cat": 48, "dog": 48}  # 80 % of 60
    assert report["n_held_out"] == {"cat": 12, "dog": 12}
    assert report["thresholds"].keys() == report["coverage"].keys() == {"cat", "dog"}
    assert all(0.8 <= share <= 1 for share in report["coverage"].values())
    assert PictureFrame.load(tmp_path / "frame").features.content_hash == report["frame_hash"]


def test_a_person_reads_a_table(run, images, tmp_path):
    outcome = run("frame", images, "--out", tmp_path / "frame")
    assert outcome.exit_code == 0
    assert "Fitted a frame for cat, dog" in outcome.out
    assert "held out inside" in outcome.out


def test_one_class_is_refused(run, images, tmp_path):
    for file in (images / "dog").iterdir():
        file.unlink()
    (images / "dog").rmdir()
    refusal = run("frame", images, "--out", tmp_path / "frame").refusal
    assert "expected at least two subfolders" in refusal
    assert "got cat" in refusal


def test_a_broken_file_is_refused_by_name(run, images, tmp_path):
    (images / "dog" / "7.png").write_bytes((images / "dog" / "8.png").read_bytes()[:60])
    refusal = run("frame", images, "--out", tmp_path / "frame").refusal
    assert str(images / "dog" / "7.png") in refusal
    assert not (tmp_path / "frame").exists()


def test_too_few_images_are_refused_with_how_many_are_needed(run, images, tmp_path):
    for index in range(40, 60):
        (images / "cat" / f"{index}.png").unlink()
    refusal = run("frame", images, "--out", tmp_path / "frame").refusal
    assert "needs at least 50 images per state" in refusal
    assert "cat has 40" in refusal


@pytest.mark.parametrize("mass", ["0", "1", "1.5", "nan"])
def test_a_mass_out_of_range_is_refused(run, images, tmp_path, mass):
    assert "mass" in run("frame", images, "--out", tmp_path / "frame", "--hdr-mass", mass).refusal


def test_a_missing_folder_is_refused(run, tmp_path):
    refusal = run("frame", tmp_path / "nowhere", "--out", tmp_path / "frame").refusal
    assert "expected a folder of images, found none" in refusal
