"""`score`: verdicts on files and folders, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.densities.feature_frame import FrameSettings
from hallulab.scoring.picture_frames import PictureFrame


@pytest.fixture
def frame(tiny_preset: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "frame"
    shutil.copytree(tiny_preset.parent / "frame", copy)
    return copy


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for index in range(3):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


def test_the_contract_of_score(run, frame, images):
    report = run("score", frame, images, images / "0.png", "--json").json
    assert [Path(image["path"]).name for image in report["images"]] == ["0.png", "1.png", "2.png", "0.png"]
    for image in report["images"]:
        assert image["log_density"].keys() == {"cat", "dog"}
        assert image["inside"] == (image["margin_nats"] > 0)
    assert report["images"][0]["log_density"] == pytest.approx(report["images"][3]["log_density"])
    assert report["n"] == 4
    assert report["mean"].keys() >= {"log_density", "inside"}


def test_a_person_reads_a_table(run, frame, images):
    outcome = run("score", frame, images)
    assert outcome.exit_code == 0
    assert "of 3 images are outside every region" in outcome.out


def test_one_broken_file_does_not_lose_the_others(run, frame, images):
    (images / "1.png").write_text("not an image")
    report = run("score", frame, images, "--json").json
    assert report["n_unreadable"] == 1
    assert report["images"][1]["inside"] is None
    assert "1.png" in report["images"][1]["error"]


def test_a_broken_file_alone_is_refused(run, frame, images):
    (images / "1.png").write_text("not an image")
    refusal = run("score", frame, images / "1.png").refusal
    assert "1.png as an image" in refusal


def test_a_missing_frame_is_refused(run, images, tmp_path):
    assert "expected a frame folder" in run("score", tmp_path / "nowhere", images).refusal


def test_a_truncated_frame_is_refused(run, frame, images):
    file = frame / "frame.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert "damaged" in run("score", frame, images).refusal


def test_a_frame_of_another_embedder_is_refused(run, images, tmp_path):
    rng = np.random.default_rng(0)
    labels = ["cat"] * 60 + ["dog"] * 60
    rows = rng.standard_normal((120, 16)).astype(np.float32)
    settings = FrameSettings(pca_dimension=4)
    PictureFrame.fit(rows, labels, settings, embedder="ViT-B-32 openai").save(tmp_path / "other")
    refusal = run("score", tmp_path / "other", images).refusal
    assert "fitted on embeddings of ViT-B-32 openai" in refusal


def test_an_empty_folder_is_refused(run, frame, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "expected at least one image file" in run("score", frame, tmp_path / "empty").refusal
