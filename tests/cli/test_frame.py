"""`frame`: what it writes, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hallulab.models.caption_tokenizer import learn_caption_tokenizer
from hallulab.models.clip import build_clip, save_clip
from hallulab.scoring.picture_frames import PictureFrame
from tests.tiny_world import CAPTIONS, CLIP_SIZE


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """60 noisy pictures of each of two states."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    for state, colour in (("cat", (200, 80, 60)), ("dog", (40, 90, 210))):
        (folder / state).mkdir(parents=True)
        for index in range(60):
            pixels = rng.normal(colour, 40, size=(32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / state / f"{index}.png")
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
    assert "1 of 120 images" in refusal
    assert "dog/7.png (" in refusal
    assert not (tmp_path / "frame" / "frame.json").exists()


def test_mixed_colour_modes_are_refused_and_skipped_only_when_asked(run, images, tmp_path):
    for name in ("3.png", "4.png"):
        Image.open(images / "cat" / name).convert("L").save(images / "cat" / name)
    (images / "dog" / "7.png").write_bytes(b"not an image")
    refusal = run("frame", images, "--out", tmp_path / "frame").refusal
    assert "3 of 120 images" in refusal
    assert "cat/3.png (L, most are RGB), cat/4.png (L, most are RGB), dog/7.png (" in refusal
    report = run("frame", images, "--out", tmp_path / "frame", "--skip-unusable", "--json").json
    assert report["n"] == {"cat": 58, "dog": 59}
    assert report["n_skipped"] == len(report["skipped"]) == 3
    assert report["skipped"][0] == "cat/3.png (L, most are RGB)"
    assert report["n_fit"]["cat"] + report["n_held_out"]["cat"] == 58


def test_too_few_usable_images_are_refused_after_the_skipping(run, images, tmp_path):
    for index in range(15):
        (images / "dog" / f"{index}.png").write_bytes(b"not an image")
    refusal = run("frame", images, "--out", tmp_path / "frame", "--skip-unusable").refusal
    assert "needs at least 50 images per state" in refusal
    assert "dog has 45" in refusal


def test_mixture_and_split_are_settings(run, images, tmp_path):
    options = (
        "--pca-dimension", "3", "--max-components", "4", "--images-per-component", "10",
        "--held-out-share", "0.5", "--threshold-rule", "conformal",
    )  # fmt: skip
    report = run("frame", images, "--out", tmp_path / "frame", *options, "--json").json
    assert report["n_fit"] == {"cat": 30, "dog": 30}
    frame = PictureFrame.load(tmp_path / "frame").features
    assert {len(mixture.weights_) for mixture in frame.mixtures.values()} == {3}  # 30 // 10
    assert frame.chain[1].n_components_ == 3
    assert frame.hcdr.threshold_rule == "conformal"


def test_states_can_be_chosen(run, images, tmp_path):
    (images / "wild").mkdir()
    Image.new("RGB", (32, 32)).save(images / "wild" / "one.png")
    states = ("--state", "cat", "--state", "dog")
    assert run("frame", images, "--out", tmp_path / "frame", *states, "--json").json["states"] == [
        "cat",
        "dog",
    ]
    assert "unknown state 'owl'" in run("frame", images, "--out", tmp_path / "f", "--state", "owl").refusal


def test_another_clip_model_makes_a_frame_that_only_it_may_judge_by(run, images, tmp_path):
    other = tmp_path / "clip-other"
    torch.manual_seed(11)
    tokenizer = learn_caption_tokenizer(CAPTIONS, n_merges=20, max_tokens=12)
    save_clip(*build_clip(CLIP_SIZE, tokenizer), tokenizer, other)
    model = ("--clip-model", f"local-dir:{other}")
    report = run("frame", images, "--out", tmp_path / "frame", *model, "--json").json
    assert report["embedder"].startswith("clip-other ")
    picture = images / "cat" / "0.png"
    refusal = run("score", tmp_path / "frame", picture).refusal
    assert "this frame was fitted on embeddings of clip-other" in refusal
    assert "got those of clip-tiny" in refusal
    assert run("score", tmp_path / "frame", picture, *model, "--json").json["n"] == 1


def test_weights_without_a_model_are_refused(run, images, tmp_path):
    refusal = run("frame", images, "--out", tmp_path / "frame", "--clip-weights", "openai").refusal
    assert "expected --clip-model beside --clip-weights openai" in refusal


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--held-out-share", "1", "expected a held-out share between 0 and 1"),
        ("--pca-dimension", "99", "expected a PCA dimension from 1 to 16"),
    ],
)
def test_settings_out_of_range_are_refused(run, images, tmp_path, option, value, words):
    assert words in run("frame", images, "--out", tmp_path / "frame", option, value).refusal


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
    assert "expected a folder of images or the name of a data set such as huggan/AFHQ" in refusal
