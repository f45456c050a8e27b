"""`paint`: the JSON contract, the files, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

KEYS = {
    "prompt", "checkpoint", "seed", "images", "mean", "hallucination_rate", "interval", "thresholds",
}  # fmt: skip
PROMPT = "a cute pet animal"


def test_the_contract_holds(run, tmp_path):
    found = run("paint", PROMPT, "--images", "3", "--seed", "7", "--out", tmp_path / "out", "--json")
    assert found.exit_code == 0
    result = found.json
    assert result.keys() >= KEYS
    assert (result["prompt"], result["checkpoint"], result["seed"]) == (PROMPT, "step-10", 7)
    assert [image["seed"] for image in result["images"]] == [7, 8, 9]
    for image in result["images"]:
        assert image.keys() >= {"path", "seed", "log_density", "inside", "margin_nats"}
        assert image["log_density"].keys() == {"cat", "dog"}
        with Image.open(image["path"]) as opened:
            assert opened.size == (32, 32)
    outside = [not image["inside"] for image in result["images"]]
    assert result["hallucination_rate"] == pytest.approx(np.mean(outside))
    low, high = result["interval"]
    assert 0 <= low <= result["hallucination_rate"] <= high <= 1
    assert result["mean"].keys() >= {"log_density", "inside"}
    assert result["thresholds"].keys() == {"cat", "dog"}


def test_image_k_depends_on_its_seed_alone(run, tmp_path):
    many = run("paint", PROMPT, "--images", "3", "--seed", "7", "--out", tmp_path / "many", "--json").json
    one = run("paint", PROMPT, "--images", "1", "--seed", "9", "--out", tmp_path / "one", "--json").json
    pixels = [np.asarray(Image.open(found["images"][-1]["path"]), dtype=int) for found in (many, one)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 1


def test_images_go_to_the_home_folder_by_default(run, tmp_path):
    found = run("paint", PROMPT, "--images", "1", "--json").json
    assert Path(found["images"][0]["path"]).parent == tmp_path / "home" / "paint"


def test_without_json_a_sentence_comes_first(run):
    found = run("paint", PROMPT, "--images", "2")
    assert found.exit_code == 0
    assert " of 2 images are hallucinations: " in found.out.splitlines()[0]
    assert "threshold" in found.out


def test_painting_until_decided_says_what_was_decided(run):
    found = run("paint", PROMPT, "--images", "16", "--stop-when-decided", "--json").json
    growing = found["growing"]
    assert growing["n_painted"] == len(found["images"])
    assert 8 <= growing["n_painted"] <= 16
    assert (growing["decided"] is not None) == (not growing["interval"][0] <= 0.5 <= growing["interval"][1])
    assert "valid at every look" in run("paint", PROMPT, "--images", "2", "--stop-when-decided").out


@pytest.mark.parametrize("way", ["keep", "best"])
def test_guided_painting_tells_its_price(run, way):
    found = run("paint", PROMPT, "--images", "2", "--guided", way, "--hdr-mass", "0.9999", "--json").json
    guided = found["guided"]
    assert guided["n_kept"] == len(found["images"])
    assert guided["n_painted"] <= 8
    assert way == "keep" or guided["n_painted"] == 8
    assert all(Path(image["path"]).exists() for image in found["images"])


def test_guided_painting_that_keeps_nothing_has_no_images(run):
    arguments = ("--images", "1", "--guided", "keep", "--budget", "2", "--hdr-mass", "0.01")
    found = run("paint", PROMPT, *arguments, "--json").json
    assert (found["images"], found["guided"]["n_painted"]) == ([], 2)
    assert "kept 0 of 2 painted" in run("paint", PROMPT, *arguments).out


def test_all_checkpoints_paint_the_same_seeds(run, tmp_path):
    arguments = ("--images", "2", "--all-checkpoints", "--out", tmp_path)
    found = run("paint", PROMPT, *arguments, "--json").json
    assert found["checkpoint"] == "step-10"
    moments = found["time_machine"]["checkpoints"]
    assert [moment["checkpoint"] for moment in moments] == ["base", "step-2", "step-10"]
    assert all([image["seed"] for image in moment["images"]] == [0, 1] for moment in moments)
    assert found["images"] == moments[-1]["images"]
    assert Path(moments[0]["images"][0]["path"]).parent == tmp_path / "base"
    said = run("paint", PROMPT, *arguments).out
    assert all(f"\n  {name} " in said for name in ("checkpoint", "base", "step-2", "step-10"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([PROMPT, "--guided", "maybe"], "expected a way of keep or best, got 'maybe'"),
        ([PROMPT, "--guided", "keep", "--all-checkpoints"], "expected at most one of --guided"),
        ([PROMPT, "--budget", "9"], "expected --budget with --guided keep alone"),
        ([PROMPT, "--guided", "keep", "--budget", "3"], "a budget of at least the 16 images wanted, got 3"),
        ([""], "expected a prompt, got an empty one"),
        (["a cat " * 1667], "characters, got 10"),
        ([PROMPT, "--images", "0"], "expected images between 1 and"),
        ([PROMPT, "--images", "100000"], "expected images between 1 and"),
        ([PROMPT, "--steps", "0"], "expected steps between 1 and"),
        ([PROMPT, "--hdr-mass", "1.5"], "mass"),
        ([PROMPT, "--hdr-mass", "0"], "mass"),
        ([PROMPT, "--guidance", "nan"], "guidance"),
        (
            [PROMPT, "--checkpoint", "step-3"],
            "unknown checkpoint 'step-3' for pictures: use one of base, step-2",
        ),
    ],
)
def test_wrong_input_is_refused_in_one_line(run, arguments, words):
    assert words in run("paint", *arguments, "--json").refusal


def test_a_folder_that_cannot_be_written_is_refused_before_painting(run, tmp_path):
    (tmp_path / "taken").write_text("a file")
    refusal = run("paint", PROMPT, "--out", tmp_path / "taken").refusal
    assert "expected a folder that can be written" in refusal


@pytest.mark.parametrize(
    "file",
    [
        "sd-tiny/unet/diffusion_pytorch_model.safetensors",
        "unets/step-10/diffusion_pytorch_model.safetensors",
        "clip-tiny/open_clip_model.safetensors",
    ],
)
def test_truncated_weights_are_refused_by_name(run, monkeypatch, tmp_path, tiny_preset, file):
    world = Path(shutil.copytree(tiny_preset.parent, tmp_path / "world"))
    (world / file).write_bytes((world / file).read_bytes()[:500])
    monkeypatch.setenv("HALLULAB_PRESET", str(world / tiny_preset.name))
    refusal = run("paint", PROMPT, "--images", "1").refusal
    assert Path(file).parts[0] in refusal
