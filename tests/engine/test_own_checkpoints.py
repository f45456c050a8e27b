"""One's own checkpoints: a run in the place of a preset's, a folder beside them, and what is refused before loading."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from hallulab.engine.core import Engine
from hallulab.engine.own_checkpoints import with_folders, with_run
from hallulab.engine.presets import Preset, load_preset
from hallulab.errors import RefusedInputError

PICTURES, WORDS = ("pictures", "unets", "step-2"), ("words", "adapters", "epoch-2")


@pytest.fixture(scope="module")
def world(tiny_preset) -> Path:
    return tiny_preset.parent


@pytest.fixture
def preset(tiny_preset) -> Preset:
    return load_preset(str(tiny_preset))


@pytest.fixture(params=[PICTURES, WORDS], ids=lambda kind: kind[0])
def run(request, world, tmp_path) -> tuple[str, Path]:
    """A run with two checkpoints, its own working folder and an unfinished checkpoint."""
    kind, folder, name = request.param
    for copy in ("step-7", "step-12", ".step-13.unfinished"):
        shutil.copytree(world / folder / name, tmp_path / "run" / copy)
    (tmp_path / "run" / "training").mkdir()
    return kind, tmp_path / "run"


def test_a_run_takes_the_place_of_the_presets_checkpoints(preset, run):
    kind, folder = run
    own = with_run(preset, kind, folder)
    base = next(iter(preset.checkpoints(kind)))
    assert own.checkpoints(kind) == {
        base: preset.checkpoints(kind)[base],
        "step-7": str(folder / "step-7"),
        "step-12": str(folder / "step-12"),
    }
    assert own.default_checkpoint(kind) == "step-12"
    other = "words" if kind == "pictures" else "pictures"
    assert own.checkpoints(other) == preset.checkpoints(other)
    assert with_run(preset, kind, None) is preset


def test_a_folder_joins_the_presets_checkpoints(preset, run, monkeypatch):
    kind, folder = run
    monkeypatch.chdir(folder)
    known = list(preset.checkpoints(kind))
    own, names = with_folders(preset, kind, [known[1], "./step-7", str(folder / "step-7"), "step-12", "gone"])
    assert names == (known[1], "step-7", "step-7", "step-12", "gone")
    assert own.checkpoints(kind) == preset.checkpoints(kind) | {
        "step-7": str(folder / "step-7"), "step-12": str(folder / "step-12"),
    }  # fmt: skip
    assert own.default_checkpoint(kind) == preset.default_checkpoint(kind)


def test_a_name_wins_over_a_folder_and_two_folders_keep_apart(preset, world, tmp_path, monkeypatch):
    for name in ("one", "two"):
        shutil.copytree(world / "unets" / "step-10", tmp_path / name / "step-2")
    monkeypatch.chdir(tmp_path / "one")
    assert with_folders(preset, "pictures", ["step-2"])[1] == (
        "step-2",
    )  # the preset's, though a folder is called so
    own, names = with_folders(preset, "pictures", ["./step-2", "../two/step-2"])
    assert names == ("one-step-2", "two-step-2")
    assert own.pictures.unets["two-step-2"] == str(tmp_path / "two" / "step-2")
    shutil.copytree(tmp_path / "one", tmp_path / "deeper" / "one")
    with pytest.raises(RefusedInputError, match="checkpoints of different names, got a second one-step-2"):
        with_folders(own, "pictures", ["../deeper/one/step-2"])


@torch.no_grad()
def test_what_is_loaded_is_what_was_named(preset, world, tmp_path):
    shutil.copytree(world / "unets" / "step-10", tmp_path / "run" / "step-99")
    shutil.copytree(world / "adapters" / "epoch-10", tmp_path / "adapters" / "epoch-99")
    own = with_run(with_run(preset, "pictures", tmp_path / "run"), "words", tmp_path / "adapters")
    engine, shipped = Engine(own, device="cpu"), Engine(preset, device="cpu")
    for mine, theirs in zip(
        engine.painter("step-99").unet.parameters(), shipped.painter("step-10").unet.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(engine.qwen("epoch-99").model(ids).logits, shipped.qwen("epoch-10").model(ids).logits)
    with pytest.raises(
        RefusedInputError, match="unknown checkpoint 'step-10' for pictures: use one of base, step-99"
    ):
        engine.painter("step-10")
    with pytest.raises(
        RefusedInputError, match="unknown checkpoint"
    ):  # a visitor's path is a name nobody knows
        engine.checkpoint_place("pictures", str(tmp_path / "run" / "step-99"))


def changed_config(world: Path, folder: Path, **changes) -> Path:
    """A copy of a UNet whose configuration says something else."""
    shutil.copytree(world / "unets" / "step-2", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def test_a_unet_that_does_not_fit_is_refused_before_anything_is_loaded(preset, world, tmp_path):
    odd = changed_config(world, tmp_path / "run" / "step-3", cross_attention_dim=768)
    words = r"step-3 does not fit the pipeline sd-tiny: expected cross_attention_dim 16, got 768"
    for named in (
        lambda: with_folders(preset, "pictures", [str(odd)]),
        lambda: with_run(preset, "pictures", odd.parent),
    ):
        with pytest.raises(RefusedInputError, match=words):
            named()


@pytest.mark.parametrize(
    ("kind", "make", "words"),
    [
        ("pictures", lambda path, _: path.mkdir(), "with checkpoints such as step-0025 in .*, found none"),
        ("words", lambda path, _: path.mkdir(), "such as seed1-epoch2 in .*, found none: make one with `python -m"),
        ("pictures", lambda path, _: path.write_text("a file"), "found none"),
        ("pictures", lambda path, world: shutil.copytree(world / "unets" / "step-2", path), "the single checkpoint"),
        ("pictures", lambda path, world: shutil.copytree(world / "adapters", path), "expected the folder of a UNet"),
        ("words", lambda path, world: shutil.copytree(world / "unets", path), "expected the folder of a LoRA adapter"),
        (
            "pictures",
            lambda path, world: shutil.copytree(world / "unets" / "step-2", path / "base"),
            "without a checkpoint called base",
        ),
    ],
)  # fmt: skip
def test_what_is_no_run_is_refused(preset, world, tmp_path, kind, make, words):
    make(tmp_path / "run", world)
    with pytest.raises(RefusedInputError, match=words):
        with_run(preset, kind, tmp_path / "run")


def test_what_is_no_checkpoint_is_refused(preset, world, tmp_path):
    odd = changed_config(world, tmp_path / "odd", _class_name="AutoencoderKL")
    torn = changed_config(world, tmp_path / "torn")
    (torn / "config.json").write_text("{")
    listed = changed_config(world, tmp_path / "listed")
    (listed / "config.json").write_text("[]")
    for path, words in (
        (world / "nowhere", "expected the folder of a UNet .*found none at .*nowhere: check the path"),
        (world / "sd-tiny", "got the whole pipeline .*sd-tiny: name its folder unet"),
        (world / "clip-tiny", "expected the folder of a UNet"),
        (odd, "got AutoencoderKL"),
        (torn, "cannot read .*config.json"),
        (listed, "expected a table in .*config.json"),
    ):
        with pytest.raises(RefusedInputError, match=words):
            with_folders(preset, "pictures", [str(path)])
    _, names = with_folders(preset, "pictures", [str(world / "sd-tiny" / "unet")])
    assert names == ("unet",)
