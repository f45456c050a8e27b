"""qwen-mini's builder and the loader of any Qwen: a reload changes nothing, damage is refused in words."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2ForCausalLM

from hallulab.errors import HallulabError, RefusedInputError
from hallulab.models.qwen import LoadedQwen, check_adapter_base, load_qwen, train_tokenizer
from hallulab.records import folder_sha256
from tests.tiny_world import QWEN_SIZE, TEXTS, write_words


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_words(folder)
    return folder


def load(folder: Path | str) -> LoadedQwen:
    return load_qwen(folder, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
def qwen(world: Path) -> LoadedQwen:
    return load(world / "qwen-tiny")


def test_it_is_a_real_qwen2_stored_in_half_precision(world: Path, qwen: LoadedQwen):
    assert isinstance(qwen.model, Qwen2ForCausalLM)
    assert not qwen.model.training
    assert qwen.model.dtype == torch.float32
    stored = load_file(world / "qwen-tiny" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_name_and_hash_say_what_was_loaded(world: Path, qwen: LoadedQwen):
    assert qwen.name == "qwen-tiny"
    assert qwen.sha256 == folder_sha256(world / "qwen-tiny")


def test_a_reloaded_tokenizer_cuts_text_as_it_did_when_it_was_learned(qwen: LoadedQwen):
    learned = train_tokenizer(TEXTS * 5, QWEN_SIZE)
    for text in (*TEXTS, "It is spelled b-i-m.\nHint: 12 + 7 = 19, naïve “quotes”", "  two  blanks "):
        ids = learned(text)["input_ids"]
        assert qwen.tokenizer(text)["input_ids"] == ids
        assert qwen.tokenizer.decode(ids) == text


def test_the_chat_format_marks_roles_with_single_tokens(qwen: LoadedQwen):
    assert qwen.chat_prompt("Hi") == "<|user|>Hi<|end|><|assistant|>"
    first, *_, end, last = qwen.chat_ids("Hi")
    tokens = qwen.tokenizer.convert_ids_to_tokens([first, end, last])
    assert tokens == ["<|user|>", "<|end|>", "<|assistant|>"]
    assert qwen.end_token_ids == (end,)


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(RefusedInputError, match="found no such folder: check the preset"):
        load(tmp_path / "nothing-here")


def test_a_folder_without_safetensors_is_refused(world: Path, tmp_path: Path):
    folder = shutil.copytree(world / "qwen-tiny", tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RefusedInputError, match="expected .safetensors weights in .*other formats are never"):
        load(folder)


@pytest.mark.parametrize("damage", ["cut short", "overwritten", "empty"])
def test_damaged_weights_are_refused_by_name(world: Path, tmp_path: Path, damage: str):
    folder = shutil.copytree(world / "qwen-tiny", tmp_path / "model")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    damaged = {
        "cut short": content[: len(content) // 2],
        "overwritten": b"x" * 64 + content[64:],
        "empty": b"",
    }
    weights.write_bytes(damaged[damage])
    with pytest.raises(RefusedInputError, match="model.safetensors are damaged or cut short"):
        load(folder)


def test_a_damaged_configuration_is_refused(world: Path, tmp_path: Path):
    folder = shutil.copytree(world / "qwen-tiny", tmp_path / "model")
    (folder / "config.json").write_text("{")
    with pytest.raises(RefusedInputError, match="cannot read the language model in"):
        load(folder)


def test_a_model_without_chat_template_is_refused(world: Path, tmp_path: Path):
    folder = shutil.copytree(world / "qwen-tiny", tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(RefusedInputError, match="no chat template or no end token"):
        load(folder)


def test_a_hub_model_out_of_reach_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch):
    def offline(*_args, **_kwargs):
        raise OSError("We couldn't connect to the Hub.\nMore lines nobody needs.")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", offline)
    with pytest.raises(
        HallulabError, match="cannot get the language model Qwen/Qwen2.5-7B-Instruct"
    ) as error:
        load("Qwen/Qwen2.5-7B-Instruct")
    assert "\n" not in str(error.value)


def test_an_adapter_of_another_base_is_refused(world: Path):
    adapter = world / "adapters" / "epoch-2"
    check_adapter_base(adapter, world / "qwen-tiny")
    with pytest.raises(RefusedInputError, match="was made for qwen-tiny, not for Qwen/Qwen2.5-7B-Instruct"):
        check_adapter_base(adapter, "Qwen/Qwen2.5-7B-Instruct")
