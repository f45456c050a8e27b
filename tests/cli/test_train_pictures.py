"""`train pictures`: a folder of images becomes checkpoints that load, and the command says what it refuses."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hallulab.engine.presets import load_preset
from hallulab.models.diffusion import load_pipeline, load_unet, with_unet
from hallulab.records import check_card, folder_sha256
from tests.conftest import draw_images
from tests.training.conftest import forget_accelerate

FEW = ("--steps", "3", "--batch-size", "4", "--checkpoint-step", "1", "--checkpoint-step", "3", "--cpu")


@pytest.fixture(scope="module", autouse=True)
def fresh_accelerate() -> Iterator[None]:
    forget_accelerate()
    yield
    forget_accelerate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_images(tmp_path_factory.mktemp("images"), n=4)


def test_a_folder_becomes_checkpoints(run, folder, tmp_path, tiny_preset):
    out = tmp_path / "run"
    found = run("train", "pictures", "--data", folder, *FEW, "--keep-states", "--out", out, "--json")
    assert found.exit_code == 0
    assert found.json["data"] == f"8 images of {folder} (4 cat, 4 dog)"
    assert {key: found.json[key] for key in ("run", "preset", "n_pictures", "skipped", "n_steps", "n_processes")} == {
        "run": str(out), "preset": "tiny", "n_pictures": 8, "skipped": [], "n_steps": 3, "n_processes": 1,
    }  # fmt: skip
    assert [checkpoint["step"] for checkpoint in found.json["checkpoints"]] == [1, 3]
    base = load_pipeline(load_preset(str(tiny_preset)).pictures.pipeline)
    for checkpoint in found.json["checkpoints"]:
        path = Path(checkpoint["path"])
        with_unet(base, load_unet(str(path)))
        assert checkpoint["sha256"] == folder_sha256(path)
        assert checkpoint["train_loss"] > 0
        state = load_file(checkpoint["state"])
        n_weights = sum(tensor.numel() for name, tensor in state.items() if name.startswith("weight/"))
        # weight and two moments of four bytes each, and a header: these settings keep no average
        assert 12 * n_weights < checkpoint["state_bytes"] == Path(checkpoint["state"]).stat().st_size
        assert check_card(path) == []
        lines = (path / "losses.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [checkpoint["step"]]


def test_the_command_on_the_card_makes_the_same_weights(run, folder, tmp_path):
    first = run(
        "train", "pictures", "--data", folder, *FEW, "--constant", "--caption", "the {state}", "--keep-activations",
        "--learning-rate", "1e-3", "--ema-decay", "0", "--out", tmp_path / "it's", "--json",
    ).json["checkpoints"][-1]  # fmt: skip
    command = json.loads((Path(first["path"]) / "card.json").read_text())["command"]
    words = shlex.split(command)
    assert words[:5] == ["python", "-m", "hallulab", "train", "pictures"]
    assert words[-2:] == ["--out", str(tmp_path / "it's")]
    again = run(*words[3:-1], tmp_path / "again", "--json").json["checkpoints"][-1]
    weights = load_file(Path(first["path"]) / "diffusion_pytorch_model.safetensors")
    for name, tensor in load_file(Path(again["path"]) / "diffusion_pytorch_model.safetensors").items():
        assert torch.equal(tensor, weights[name])


def test_a_person_reads_steps_losses_and_folders(run, folder, tmp_path):
    found = run("train", "pictures", "--data", folder, *FEW, "--keep-states", "--out", tmp_path / "run")
    lines = found.out.splitlines()
    assert lines[0] == (
        f"Tuned on 8 images of {folder} (4 cat, 4 dog): 3 steps on cpu, 2 checkpoints in {tmp_path / 'run'}."
    )
    assert lines[1].split()[:3] == ["step", "training", "loss"]
    assert lines[3].split()[0] == "3"
    assert lines[4].strip().startswith("the optimiser's state after each of them: ")
    assert lines[4].endswith(f" MB in {tmp_path / 'run' / 'training' / 'state'}")
    assert lines[5].split()[:4] == ["use", "them:", "--unets", str(tmp_path / "run")]


def test_drawings_and_another_start(run, tmp_path):
    arguments = ["train", "pictures", "--data", "pet-faces", "--drawings", "6", *FEW, "--json"]
    plain = run(*arguments, "--out", tmp_path / "plain").json["checkpoints"][0]
    from_other = run(*arguments, "--from", "step-2", "--out", tmp_path / "other").json["checkpoints"][0]
    assert plain["train_loss"] != from_other["train_loss"]
    assert "sd-tiny with the UNet step-2" in (Path(from_other["path"]) / "README.md").read_text()


def test_unusable_images_are_skipped_when_asked(run, folder, tmp_path):
    images = tmp_path / "images"
    for path in folder.rglob("*.png"):
        (images / path.parent.name).mkdir(parents=True, exist_ok=True)
        (images / path.parent.name / path.name).write_bytes(path.read_bytes())
    Image.new("L", (32, 32)).save(images / "cat" / "grey.png")
    (images / "dog" / "torn.png").write_bytes(b"torn")
    arguments = ["train", "pictures", "--data", images, *FEW, "--out", tmp_path / "run"]
    refusal = run(*arguments).refusal
    assert (
        f"2 of 10 images of {images} cannot be used: cat/grey.png (L, most are RGB), dog/torn.png (not"
        in refusal
    )
    found = run(*arguments, "--skip-unusable", "--json").json
    assert found["n_pictures"] == 8
    assert found["skipped"] == [
        "cat/grey.png (L, most are RGB)", "dog/torn.png (not an image of a known format)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch-size", "9"], "at least as many pictures as a batch holds, 9, got 8"),
        (["--learning-rate", "0"], "learning rate above 0, got 0.0"),
        (["--steps", "0"], "expected steps of at least 1, got 0"),
        (["--checkpoint-step", "4"], "checkpoints at steps from 1 to 3, got 4"),
        (["--caption", "a cat"], "expected {state} in every caption template, got 'a cat'"),
        (["--state", "fox"], "unknown state 'fox'"),
        (["--precision", "int8"], "--precision"),
        (["--from", "./nowhere"], "expected a UNet at ./nowhere, which does not load"),
        (
            ["--data", "./nowhere"],
            "expected a folder of images or the name of a data set such as huggan/AFHQ",
        ),
        (["--preset", "large"], "unknown preset 'large': use one of small-world, paper"),
        (["--drawings", "3"], "expected a number of drawings for pet-faces alone, got 3 for"),
        (["--data", "pet-faces", "--drawings", "0"], "expected 1 to 1,000,000 drawings, got 0"),
        (["--data", "pet-faces", "--skip-unusable"], "no wish to skip unusable images for pet-faces"),
        (["--data", "pet-faces", "--state", "cat"], "no states and no captions for pet-faces"),
        (["--data", " "], "expected a folder or the name of a data set for --data, got an empty one"),
        (["--caption-dropout", "1"], "expected a caption dropout of at least 0 and below 1, got 1.0"),
        (["--learning-rate", "inf"], "learning rate above 0, got inf"),
        (["--ema-decay", "1"], "EMA decay of at least 0, which means none, and below 1, got 1.0"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "99999999999"], "expected a seed from 0 to 2147483647, got 99999999999"),
    ],
)
def test_wrong_input_is_refused_in_one_line(run, folder, tmp_path, arguments, words):
    given = ["--data", folder, "--steps", "3", "--batch-size", "4", "--cpu", *arguments]
    assert words in run("train", "pictures", *given, "--out", tmp_path / "run").refusal


def test_a_missing_logger_is_refused(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("hallulab.cli.train_pictures.find_spec", lambda _: None)
    arguments = ["--data", folder, *FEW, "--log-with", "trackio", "--out", tmp_path / "run"]
    assert "pip install trackio" in run("train", "pictures", *arguments).refusal


@pytest.mark.slow
def test_two_processes_make_what_one_makes(run, folder, tmp_path, tiny_preset):
    arguments = [
        "--data",
        folder,
        *FEW,
        "--ema-decay",
        "0",
        "--learning-rate",
        "1e-3",
        "--precision",
        "float32",
    ]
    one = run("train", "pictures", *arguments, "--out", tmp_path / "one", "--json").json
    launcher = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines",
        "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
    ]  # fmt: skip
    command = [
        *launcher,
        "-m",
        "hallulab",
        "train",
        "pictures",
        *arguments,
        "--out",
        tmp_path / "two",
        "--json",
    ]
    environment = {**os.environ, "HALLULAB_PRESET": str(tiny_preset), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment,
    )
    assert found.returncode == 0, found.stderr
    two = json.loads(found.stdout)
    assert two["n_processes"] == 2
    states = [
        load_file(tmp_path / name / "training" / "state" / "last.safetensors") for name in ("one", "two")
    ]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-3, atol=1e-5)
    assert [checkpoint["train_loss"] for checkpoint in two["checkpoints"]] == pytest.approx(
        [checkpoint["train_loss"] for checkpoint in one["checkpoints"]], rel=1e-5
    )
