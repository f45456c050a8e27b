"""`doctor`: says what is broken, and exits with 1 then."""

import json
import shutil
from pathlib import Path

import pytest

from hallulab.engine.presets import load_preset
from hallulab.records import write_card


@pytest.fixture
def world(tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run) -> Path:  # noqa: ARG001
    """A copy of the tiny world in which every checkpoint has its card."""
    copy = Path(shutil.copytree(tiny_preset.parent, tmp_path / "world"))
    for folder in (*copy.glob("*-tiny"), copy / "frame", *copy.glob("adapters/*"), *copy.glob("unets/*")):
        write_card(folder, title=folder.name, base="nothing", data="none", command="none", seed=0)
    monkeypatch.setenv("HALLULAB_PRESET", str(copy / "tiny.json"))
    return copy


@pytest.mark.usefixtures("world")
def test_a_whole_world_is_in_order(run):
    found = run("doctor", "--json")
    report = found.json
    assert (found.exit_code, report["ok"], report["preset"], report["device"]) == (0, True, "tiny", "cpu")
    assert report["memory"]["free_bytes"] > 0
    assert report["versions"]["torch"].startswith("2.")
    assert all(checkpoint["ok"] for checkpoint in report["checkpoints"])
    assert {checkpoint["name"] for checkpoint in report["checkpoints"]} == {
        "words/base", "words/epoch-2", "words/epoch-10", "pictures/base", "pictures/step-2",
        "pictures/step-10", "clip", "frame",
    }  # fmt: skip
    assert run("doctor").out.splitlines()[0] == "Everything is in order."


def test_changed_missing_and_absent_checkpoints_are_told_apart(world, run):
    with (world / "unets/step-2/diffusion_pytorch_model.safetensors").open("ab") as file:
        file.write(b"x")
    (world / "adapters/epoch-2/card.json").unlink()
    shutil.rmtree(world / "clip-tiny")
    found = run("doctor", "--json")
    problems = {item["name"]: item["problems"] for item in found.json["checkpoints"] if not item["ok"]}
    assert found.exit_code == 1
    assert problems == {
        "words/epoch-2": [f"no card.json in {world / 'adapters/epoch-2'}"],
        "pictures/step-2": ["diffusion_pytorch_model.safetensors does not match its SHA-256"],
        "clip": [f"there is no folder {world / 'clip-tiny'}"],
    }
    assert run("doctor").out.splitlines()[0] == "3 of 8 checkpoints are broken."


def test_what_is_on_the_hub_is_neither_whole_nor_broken(world, run):
    preset = json.loads((world / "tiny.json").read_text())
    preset["words"] = {"base": "Qwen/Qwen2.5-7B-Instruct", "adapters": {}}
    (world / "tiny.json").write_text(json.dumps(preset))
    assert load_preset(str(world / "tiny.json")).words.base == "Qwen/Qwen2.5-7B-Instruct"
    found = run("doctor", "--json")
    words = next(item for item in found.json["checkpoints"] if item["name"] == "words/base")
    assert (found.exit_code, words["ok"]) == (0, None)
