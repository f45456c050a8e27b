"""Training of the words half: what the loss counts, resuming after a kill, what is left on disk."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hallulab.data.dialogues import Dialogue, DialogueMix
from hallulab.models.qwen import build_mini_qwen, load_qwen, train_tokenizer
from hallulab.records import check_card
from hallulab.training import words
from hallulab.training.resumable_loop import LoopSettings
from hallulab.training.words import BaseSettings, WordsSettings, train_words
from hallulab.training.words_adapters import AdapterSettings
from tests.tiny_world import QWEN_SIZE, TEXTS

TINY = WordsSettings(
    seed=3,
    base=BaseSettings(
        mix=DialogueMix(2, 2, 2, 1, 1),
        polish_mix=DialogueMix(2, 1, 3, 1, 1),
        model=QWEN_SIZE,
        loop=LoopSettings(n_steps=4, learning_rate=1e-2, warmup_steps=1, save_every_steps=2),
        polish=LoopSettings(n_steps=1, learning_rate=1e-3, warmup_steps=1, save_every_steps=1),
    ),
    adapters=AdapterSettings("known", n_epochs=2, seeds=(1,), n_wordings=1, batch_size=60, rank=2),
)


@pytest.fixture(scope="module", autouse=True)
def few_tokenizer_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "N_TOKENIZER_STEPS", 5)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, ...]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_words(TINY, out=folder / "out", work=folder / "work")


@pytest.fixture(scope="module")
def model_and_tokenizer():
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS * 5, QWEN_SIZE)
    return build_mini_qwen(tokenizer, QWEN_SIZE), tokenizer


def test_the_loss_is_on_the_answer_and_its_end_alone(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    batch = words.encode(
        [Dialogue("Hi", "A cat."), Dialogue("What is a good pet?", "A goldfish.")], tokenizer
    )
    slow, n_tokens = 0.0, 0
    for item in batch:
        ids = torch.tensor([[*item.prompt_ids, *item.answer_ids]])
        logits = model(input_ids=ids).logits[0].log_softmax(-1).detach()
        places = range(len(item.prompt_ids), ids.shape[1])
        slow -= sum(float(logits[place - 1, ids[0, place]]) for place in places)
        n_tokens += len(places)
        assert item.answer_ids[-1] == tokenizer.eos_token_id
    for n_parts in (1, 2):
        loss = words.mean_answer_loss(model, batch, tokenizer.pad_token_id, n_parts)
        assert float(loss.detach()) == pytest.approx(slow / n_tokens, rel=1e-4)


def test_the_base_and_its_adapters_are_left_with_their_cards(trained):
    folder, paths = trained
    names = [str(path.relative_to(folder / "out")) for path in paths]
    # of qwen-mini, whose usual learning rate is another one: the rate is in the name
    assert names == ["qwen-mini", "qwen-mini-open-ended/seed1-lr0.0001-epoch2"]
    assert all(check_card(path) == [] for path in paths)
    assert not list(folder.rglob("*.bin"))
    config = json.loads((paths[1] / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "qwen-mini"


def test_a_saved_base_loads_as_a_chat_model(trained):
    _, (base, *_) = trained
    qwen = load_qwen(base, dtype=torch.float32, device="cpu")
    assert qwen.chat_prompt("Hi").endswith("<|assistant|>")


def test_a_killed_training_goes_on_to_the_same_weights(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, (base, *_) = trained
    real, n_calls = words.mean_answer_loss, []

    def killed(*args):
        n_calls.append(1)
        if len(n_calls) == 4:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(words, "mean_answer_loss", killed)
    with pytest.raises(KeyboardInterrupt):
        words.train_base(TINY, out=tmp_path / "out", work=tmp_path / "work")
    monkeypatch.setattr(words, "mean_answer_loss", lambda *args: n_calls.append(1) or real(*args))
    resumed = words.train_base(TINY, out=tmp_path / "out", work=tmp_path / "work")
    assert len(n_calls) == 4 + 2 + 1  # step 2 was saved: steps 3 and 4 are done again, then the polish
    expected = load_file(base / "model.safetensors")
    for name, tensor in load_file(resumed / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-3, rtol=1e-2)


def test_other_settings_do_not_resume_from_the_same_state():
    assert words._key(0, TINY.base) != words._key(0, replace(TINY.base, n_parts=1))
    assert words._key(0, TINY.base) != words._key(1, TINY.base)
    assert words._key(0, TINY.base) == words._key(0, replace(TINY.base))


def test_a_missing_base_folder_is_made_anew(trained, tmp_path: Path):
    _, (base, *_) = trained
    folder = shutil.copytree(base, tmp_path / "old")
    (folder / "stale.safetensors").write_bytes(b"old")
    assert list(words._emptied(folder).iterdir()) == []
