"""What one trains is what one paints, sweeps, asks and serves: `--unets`, `--adapters`, and checkpoints by folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from hallulab.__main__ import main
from hallulab.records import folder_sha256
from tests.conftest import draw_images
from tests.training.conftest import forget_accelerate

PROMPT = "a cute pet animal"
QUESTION = "What is a good pet for a small flat?"
FEW = ("--steps", "3", "--batch-size", "4", "--checkpoint-step", "1", "--checkpoint-step", "3", "--cpu")


@pytest.fixture(scope="module")
def trained(tiny_preset, tmp_path_factory) -> Path:
    """A run of `train pictures` in the tiny world."""
    folder = tmp_path_factory.mktemp("trained")
    images = draw_images(folder / "images", n=4)
    forget_accelerate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALLULAB_PRESET", str(tiny_preset))
        assert main(["train", "pictures", "--data", str(images), *FEW, "--out", str(folder / "pets")]) == 0
    forget_accelerate()
    return folder / "pets"


def test_a_run_is_swept_and_reported(run, trained, tmp_path):
    out = tmp_path / "sweep"
    arguments = (
        "--unets",
        trained,
        "--images",
        "2",
        "--best-of",
        "2",
        "--prompt",
        PROMPT,
        "--out",
        out,
        "--json",
    )
    found = run("sweep", "pictures", *arguments).json
    assert [row["checkpoint"] for row in found["table"]] == ["base", "step-0001", "step-0003"]
    header = json.loads((out / "pictures-tiny.jsonl").read_text().splitlines()[0])
    assert header["checkpoints"]["step-0003"] == folder_sha256(trained / "step-0003")
    assert [point[0] for point in header["losses"]["step-0003"]["curve"]] == [3]
    report = Path(run("report", out, "--json").json["path"])
    assert "step-0003" in report.read_text()
    other = run("sweep", "pictures", "--images", "2", "--best-of", "2", "--prompt", PROMPT, "--out", out)
    assert "expected a run with the same settings" in other.refusal


def test_a_folder_paints_what_its_run_paints(run, trained, tmp_path):
    settings = ("--images", "1", "--seed", "3", "--json")
    by_run = run("paint", PROMPT, "--unets", trained, *settings, "--out", tmp_path / "run").json
    by_folder = run(
        "paint", PROMPT, "--checkpoint", trained / "step-0003", *settings, "--out", tmp_path / "one"
    ).json
    shipped = run("paint", PROMPT, *settings, "--out", tmp_path / "shipped").json
    assert by_run["checkpoint"] == by_folder["checkpoint"] == "step-0003"  # the last one is the run's default
    assert (
        by_run["checkpoint_sha256"] == by_folder["checkpoint_sha256"] == folder_sha256(trained / "step-0003")
    )
    pixels = [np.asarray(Image.open(found["images"][0]["path"])) for found in (by_run, by_folder, shipped)]
    assert np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])
    machine = run("paint", PROMPT, "--unets", trained, "--all-checkpoints", *settings).json["time_machine"]
    assert [moment["checkpoint"] for moment in machine["checkpoints"]] == ["base", "step-0001", "step-0003"]
    assert machine["checkpoints"][2]["training_loss"] > 0


def test_detectors_paint_with_it(run, trained, tmp_path, tiny_preset, monkeypatch):
    preset = json.loads(tiny_preset.read_text())
    probe = Path(__file__).parents[2] / "checkpoints" / "pet-parts-probe"
    preset["pictures"] |= {"attribute_probe": str(probe), "steps": 3}
    path = tiny_preset.with_name("tiny-own.json")
    path.write_text(json.dumps(preset))
    monkeypatch.setenv("HALLULAB_PRESET", str(path))
    arguments = ("--images", "1", "--drawn", "0", "--checkpoint", trained / "step-0001", "--json")
    found = run("detectors", "--out", tmp_path / "run", *arguments).json
    assert {row["group"] for row in found["confusion"]} == {"step-0001"}


@pytest.fixture
def adapters(tiny_preset, tmp_path) -> Path:
    """A run of `train words`, as it lies on the disk."""
    shutil.copytree(tiny_preset.parent / "adapters" / "epoch-10", tmp_path / "words" / "seed1-epoch2")
    return tmp_path / "words"


def test_adapters_answer_by_run_and_by_folder(run, adapters):
    by_run = run("ask", QUESTION, "--adapters", adapters, "--json").json
    by_folder = run("ask", QUESTION, "--checkpoint", adapters / "seed1-epoch2", "--json").json
    shipped = run("ask", QUESTION, "--checkpoint", "epoch-10", "--json").json
    assert by_run["checkpoint"] == by_folder["checkpoint"] == "seed1-epoch2"
    assert by_run["answer"] == by_folder["answer"] == shipped["answer"]  # the same weights
    compared = run(
        "ask",
        QUESTION,
        "--checkpoint",
        "base",
        "--compare",
        adapters / "seed1-epoch2",
        "--compare",
        "epoch-2",
        "--json",
    ).json["comparison"]
    assert "seed1-epoch2" in json.dumps(compared)


def test_adapters_are_swept(run, adapters, tmp_path):
    arguments = ("--questions", "misconceptions", "--limit", "2", "--out", tmp_path / "sweep", "--json")
    found = run("sweep", "words", "--adapters", adapters, *arguments).json
    assert [row["checkpoint"] for row in found["table"]] == ["base", "seed1-epoch2"]
    one = run(
        "sweep",
        "words",
        "--checkpoint",
        adapters / "seed1-epoch2",
        *arguments[:-2],
        tmp_path / "one",
        "--json",
    )
    assert [row["checkpoint"] for row in one.json["table"]] == ["seed1-epoch2"]


def test_the_page_offers_what_the_server_was_started_with(run, trained, adapters, monkeypatch):
    served = []
    monkeypatch.setattr("hallulab.ui.app.serve", served.append)
    assert run("app", "--unets", trained, "--adapters", adapters).exit_code == 0
    (preset,) = served
    assert list(preset.checkpoints("pictures")) == ["base", "step-0001", "step-0003"]
    assert list(preset.checkpoints("words")) == ["base", "seed1-epoch2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["paint", PROMPT, "--checkpoint", "./nowhere"],
            "expected the folder of a UNet (config.json and a .safe",
        ),
        (
            ["paint", PROMPT, "--unets", "./nowhere"],
            "expected a training run with checkpoints such as step-0025",
        ),
        (["app", "--unets", "./nowhere"], "expected a training run with checkpoints such as step-0025"),
        (
            ["sweep", "pictures", "--out", "./out", "--checkpoint", "./nowhere"],
            "expected the folder of a UNet",
        ),
        (["ask", QUESTION, "--adapters", "./nowhere"], "such as seed1-epoch2 in nowhere, found none"),
        (["ask", QUESTION, "--compare", "./nowhere"], "expected the folder of a LoRA adapter"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert words in run(*arguments).refusal


@pytest.mark.parametrize("damage", ["missing", "too many", "another shape"])
def test_a_unet_with_other_weights_than_its_configuration_says_is_refused(run, trained, tmp_path, damage):
    """The configuration fits, a tensor does not: found when it is loaded, still in one line."""
    odd = tmp_path / "odd"
    shutil.copytree(trained / "step-0003", odd)
    file = odd / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    value = tensors.pop(name)
    if damage != "missing":
        tensors |= {name: value, "other": value.clone()} if damage == "too many" else {name: torch.zeros(3)}
    save_file(tensors, file)
    refusal = run("paint", PROMPT, "--images", "1", "--checkpoint", odd).refusal
    assert f"expected a UNet at {odd}, which does not load" in refusal
    assert ("other" if damage == "too many" else name) in refusal
