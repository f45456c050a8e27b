"""Adapters over one base: switched, not reloaded; each computes what peft alone computes."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from hallulab.engine.adapters import AdapterSwitch
from hallulab.errors import RefusedInputError
from tests.tiny_world import write_words

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_words(folder)
    return folder


def base_model(words: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(words / "qwen-tiny", dtype=torch.float32).eval()


def switch_with(words: Path, *names: str) -> AdapterSwitch:
    switch = AdapterSwitch(base_model(words))
    for name in names:
        switch.load(name, str(words / "adapters" / name))
    return switch


@torch.no_grad()
def test_every_view_computes_what_its_adapter_alone_computes(words: Path):
    switch = switch_with(words, "epoch-2", "epoch-10")
    views = {name: switch.view(name) for name in (None, "epoch-2", "epoch-10")}
    expected = {
        name: PeftModel.from_pretrained(base_model(words), words / "adapters" / name).eval()(IDS).logits
        for name in ("epoch-2", "epoch-10")
    }
    expected[None] = base_model(words)(IDS).logits
    assert not torch.allclose(expected["epoch-2"], expected[None], atol=1e-3)
    for name in ("epoch-2", None, "epoch-10", "epoch-2", "epoch-2", None):
        torch.testing.assert_close(views[name](IDS).logits, expected[name], rtol=0, atol=1e-6)
    assert torch.equal(views[None](IDS).logits, expected[None])  # the scorer is the base to the last bit


@torch.no_grad()
def test_an_unloaded_adapter_leaves_the_base_and_the_others_as_they_were(words: Path):
    switch = switch_with(words, "epoch-2", "epoch-10")
    before = switch.view("epoch-10")(IDS).logits
    switch.unload("epoch-2")
    assert torch.equal(switch.view("epoch-10")(IDS).logits, before)
    switch.unload("epoch-10")
    assert torch.equal(switch.view(None)(IDS).logits, base_model(words)(IDS).logits)
    switch.load("epoch-10", str(words / "adapters" / "epoch-10"))
    assert torch.equal(switch.view("epoch-10")(IDS).logits, before)


def test_a_view_is_used_like_the_model(words: Path):
    view = switch_with(words, "epoch-2").view("epoch-2")
    assert view.config.model_type == "qwen2"
    assert view.device.type == "cpu"
    tokens = view.generate(IDS, max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert tokens.shape[0] == 1
    assert not view.training


def broken_copy(words: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(words / "adapters" / "epoch-2", tmp_path / "epoch-2"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "adapter_model.safetensors").unlink(),
            "expected adapter_model.safetensors",
        ),
        (
            lambda folder: (folder / "adapter_config.json").unlink(),
            "expected adapter_config.json in",
        ),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "does not describe an adapter"),
    ],
)
def test_a_folder_without_an_adapter_is_refused(words: Path, tmp_path: Path, damage, message: str):
    folder = broken_copy(words, tmp_path)
    damage(folder)
    with pytest.raises(RefusedInputError, match=message):
        AdapterSwitch(base_model(words)).load("epoch-2", str(folder))


def test_a_truncated_adapter_is_refused_and_the_base_still_computes(words: Path, tmp_path: Path):
    folder = broken_copy(words, tmp_path)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    switch = AdapterSwitch(base_model(words))
    with pytest.raises(RefusedInputError, match=r"adapter_model.safetensors are damaged or cut short"):
        switch.load("epoch-2", str(folder))
    with torch.no_grad():
        assert torch.equal(switch.view(None)(IDS).logits, base_model(words)(IDS).logits)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: dict(list(weights.items())[:-1]),
        lambda weights: {key.replace("q_proj", "r_proj"): value for key, value in weights.items()},
        lambda weights: {key: torch.zeros(7, 7) for key in weights},
    ],
    ids=["one missing", "others", "other sizes"],
)
def test_weights_that_do_not_fit_are_refused_and_the_base_still_computes(words: Path, tmp_path: Path, change):
    folder = broken_copy(words, tmp_path)
    file = folder / "adapter_model.safetensors"
    save_file(change(load_file(file)), file)
    switch = switch_with(words, "epoch-10")
    with pytest.raises(RefusedInputError, match="cannot lay the adapter .*epoch-2 over the base model"):
        switch.load("epoch-2", str(folder))
    with torch.no_grad():
        assert torch.equal(switch.view(None)(IDS).logits, base_model(words)(IDS).logits)
    switch.load("epoch-2", str(words / "adapters" / "epoch-2"))


def test_an_adapter_of_another_base_is_refused(words: Path, tmp_path: Path):
    folder = broken_copy(words, tmp_path)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "llama"}))
    with pytest.raises(RefusedInputError, match="was made for llama, not for qwen-tiny"):
        AdapterSwitch(base_model(words)).load("epoch-2", str(folder))
