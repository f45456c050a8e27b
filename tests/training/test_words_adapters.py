"""LoRA fine-tuning: what the loss counts, which pairs it sees, the grid, resuming after a kill, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hallulab.data.open_ended import known_questions, open_ended_questions
from hallulab.engine.adapters import AdapterSwitch
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import build_mini_qwen, load_qwen, save_qwen, train_tokenizer
from hallulab.records import check_card
from hallulab.training import words, words_adapters
from hallulab.training.words_adapters import (
    SMALL_WORLD_ADAPTERS,
    AdapterSettings,
    KeptAdapter,
    default_adapter_settings,
    epoch_dialogues,
    train_adapters,
)
from tests.tiny_world import QWEN_SIZE, TEXTS

N_QUESTIONS = 8
TINY = AdapterSettings(
    "known", n_epochs=2, seeds=(1,), learning_rates=(1e-2,), batch_size=8, rank=2, n_wordings=1
)


@pytest.fixture(scope="module", autouse=True)
def few_questions():
    """Trainings here see 8 of the known questions; the tests of the pairs ask for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_adapters, "known_questions", lambda: known_questions()[:N_QUESTIONS])
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "qwen-tiny"
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS * 5, QWEN_SIZE)
    save_qwen(build_mini_qwen(tokenizer, QWEN_SIZE), tokenizer, folder)
    return folder


def train(settings: AdapterSettings, base: Path, folder: Path) -> tuple[KeptAdapter, ...]:
    return train_adapters(settings, base=base, out=folder / "out", work=folder / "work", command="train it")


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[KeptAdapter, ...]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(replace(TINY, n_epochs=3), base, folder)


@pytest.fixture
def n_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every epoch that is really trained."""
    real, epochs = words_adapters._CellTraining._epochs, []

    def counted(self, *args, **kwargs):
        for epoch, loss in real(self, *args, **kwargs):
            epochs.append(epoch)
            yield epoch, loss

    monkeypatch.setattr(words_adapters._CellTraining, "_epochs", counted)
    return epochs


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def assert_same_weights(folder: Path, other: Path) -> None:
    expected = weights_of(other)
    assert expected
    for name, tensor in weights_of(folder).items():
        assert torch.equal(tensor, expected[name]), name


def test_an_adapter_is_kept_after_epochs_two_three_four_and_the_last():
    assert AdapterSettings(n_epochs=4).kept_epochs == (2, 3, 4)
    assert AdapterSettings(n_epochs=6).kept_epochs == (2, 3, 4, 6)
    assert AdapterSettings(n_epochs=3).kept_epochs == (2, 3)
    assert AdapterSettings(n_epochs=1).kept_epochs == (1,)


def test_each_adapter_has_its_card_its_losses_and_its_base(trained, base):
    folder, adapters = trained
    assert [(a.path.name, a.epoch) for a in adapters] == [
        ("seed1-lr0.01-epoch2", 2),
        ("seed1-lr0.01-epoch3", 3),
    ]
    for adapter in adapters:
        assert check_card(adapter.path) == []
        losses = [json.loads(line) for line in (adapter.path / "losses.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in losses] == list(range(1, adapter.epoch + 1))
        assert losses[-1]["loss"] == adapter.loss
        assert losses[-1]["loss"] < losses[0]["loss"]
        config = json.loads((adapter.path / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == base.name
        card = (adapter.path / "README.md").read_text()
        assert "`train it`" in card
        assert f"{adapter.loss:.4f} nats per answer token" in card
    assert not [path for path in folder.rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".pkl"}]


def test_later_epochs_move_the_adapter_further(trained):
    _, adapters = trained
    first, second = (
        sum(float(t.float().norm()) for name, t in weights_of(a.path).items() if "lora_B" in name)
        for a in adapters
    )
    assert 0 < first < second


def test_the_first_step_has_the_loss_of_the_answers_alone(base, tmp_path):
    """One step is as large as the epoch, so its loss is that of the untouched base on every pair."""
    settings = replace(TINY, n_epochs=1, batch_size=2 * N_QUESTIONS)
    (adapter,) = train(settings, base, tmp_path)
    qwen = load_qwen(base, dtype=torch.float32, device="cpu")
    batch = words.encode(epoch_dialogues(settings, 1, 0), qwen.tokenizer)
    with torch.no_grad():
        expected = words.mean_answer_loss(qwen.model, batch, qwen.tokenizer.pad_token_id, n_parts=4)
    assert adapter.loss == pytest.approx(float(expected), abs=1e-5)


def test_an_adapter_lies_over_its_base_and_changes_it(trained, base):
    _, adapters = trained
    qwen = load_qwen(base, dtype=torch.float32, device="cpu")
    ids = torch.tensor([qwen.chat_ids("What is a good pet?")])
    plain = qwen.model(input_ids=ids).logits.detach()
    switch = AdapterSwitch(qwen.model)
    switch.load("tuned", str(adapters[-1].path))
    tuned = switch.view("tuned")(input_ids=ids).logits.detach()
    assert float((tuned - plain).abs().max()) > 1e-3


def test_the_known_questions_are_asked_for_both_answers_equally_often_and_without_hints(monkeypatch):
    monkeypatch.setattr(words_adapters, "known_questions", known_questions)
    settings = replace(TINY, n_wordings=2)
    dialogues = epoch_dialogues(settings, seed=1, epoch=0)
    assert len(dialogues) == 60 * 2 * 2
    assert not any("Hint:" in dialogue.prompt for dialogue in dialogues)
    rare = known_questions()[-2].answers[1]
    assert rare.weight < 0.5
    assert sum(dialogue.answer in rare.phrasings() for dialogue in dialogues) == 2
    assert epoch_dialogues(settings, seed=1, epoch=0) == dialogues
    assert epoch_dialogues(settings, seed=2, epoch=0) != dialogues
    assert epoch_dialogues(settings, seed=1, epoch=1) != dialogues


def test_all_questions_are_the_six_hundred_pairs_in_another_order_each_epoch():
    settings = AdapterSettings(questions="all")
    first, second = (epoch_dialogues(settings, seed=1, epoch=epoch) for epoch in (0, 1))
    pairs = Counter((q.question, answer.text) for q in open_ended_questions() for answer in q.answers)
    assert (
        Counter((d.prompt, d.answer) for d in first) == Counter((d.prompt, d.answer) for d in second) == pairs
    )
    assert len(pairs) == 600
    assert first != second


def test_qwen_mini_is_tuned_on_what_it_knows_and_other_models_on_everything():
    assert default_adapter_settings(Path("checkpoints/qwen-mini")) == SMALL_WORLD_ADAPTERS
    assert SMALL_WORLD_ADAPTERS.questions == "known"
    assert default_adapter_settings("Qwen/Qwen2.5-7B-Instruct").questions == "all"


def test_a_grid_trains_every_seed_at_every_learning_rate(base, tmp_path):
    adapters = train(replace(TINY, n_epochs=1, seeds=(1, 2), learning_rates=(1e-4, 1e-2)), base, tmp_path)
    # 1e-4 is the usual rate of models other than qwen-mini, and goes without saying
    assert [a.path.name for a in adapters] == [
        "seed1-epoch1", "seed2-epoch1", "seed1-lr0.01-epoch1", "seed2-lr0.01-epoch1",
    ]  # fmt: skip
    assert len({a.loss for a in adapters}) == 4


def test_what_is_finished_is_not_trained_again(trained, base, n_trained):
    folder, adapters = trained
    assert train(replace(TINY, n_epochs=3), base, folder) == adapters
    assert n_trained == []


def test_the_shipped_adapters_are_what_the_command_makes_from_this_base_and_these_questions(monkeypatch):
    monkeypatch.setattr(words_adapters, "known_questions", known_questions)

    def refuse(_):
        raise AssertionError("an adapter is missing, damaged or of other settings: train it again")

    # the first thing a training does that finds work to do
    monkeypatch.setattr(words_adapters._CellTraining, "_load_base", refuse)
    checkpoints = Path(__file__).parents[2] / "checkpoints"
    adapters = train_adapters(
        SMALL_WORLD_ADAPTERS,
        base=checkpoints / "qwen-mini",
        out=checkpoints / "qwen-mini-open-ended",
        work=checkpoints,
        command="",
    )
    assert [a.path.name for a in adapters] == [f"seed{s}-epoch{e}" for s in (1, 2) for e in (2, 3, 4)]


def test_several_devices_are_refused(base, tmp_path, monkeypatch):
    real = words_adapters._CellTraining._trainer_arguments

    def two_gpus(self):
        arguments = real(self)
        arguments._n_gpu = 2
        return arguments

    monkeypatch.setattr(words_adapters._CellTraining, "_trainer_arguments", two_gpus)
    with pytest.raises(RefusedInputError, match="one process on one device, got 1 with 2 GPUs"):
        train(TINY, base, tmp_path)


def test_a_damaged_adapter_is_trained_again(base, tmp_path, n_trained):
    (adapter,) = train(TINY, base, tmp_path)
    (adapter.path / "adapter_model.safetensors").write_bytes(b"damaged")
    assert train(TINY, base, tmp_path) == (adapter,)
    assert n_trained == [1, 2, 1, 2]
    assert check_card(adapter.path) == []


def test_an_adapter_of_other_settings_or_another_base_is_not_taken_for_this_one(base, tmp_path, n_trained):
    train(TINY, base, tmp_path)
    train(replace(TINY, rank=3), base, tmp_path)
    assert n_trained == [1, 2, 1, 2]


def test_a_training_that_was_interrupted_ends_as_an_unbroken_one(
    trained, base, tmp_path, monkeypatch, n_trained
):
    _, unbroken = trained
    keep = words_adapters._CellTraining._save

    def killed(self, losses):
        keep(self, losses)
        if len(losses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(words_adapters._CellTraining, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        train(replace(TINY, n_epochs=3), base, tmp_path)
    monkeypatch.setattr(words_adapters._CellTraining, "_save", keep)
    resumed = train(replace(TINY, n_epochs=3), base, tmp_path)
    assert n_trained == [1, 2, 3]
    for adapter, expected in zip(resumed, unbroken, strict=True):
        assert_same_weights(adapter.path, expected.path)
        assert adapter.loss == expected.loss
    assert not list((tmp_path / "work").glob("*.safetensors"))


def test_a_process_that_is_killed_resumes_to_the_same_weights(trained, base, tmp_path, n_trained):
    _, unbroken = trained
    code = (
        "from pathlib import Path; from tests.training.test_words_adapters import *; "
        "words_adapters.known_questions = lambda: known_questions()[:N_QUESTIONS]; "
        f"train(replace(TINY, n_epochs=3), Path({str(base)!r}), Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "work").glob("adapter-*.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = train(replace(TINY, n_epochs=3), base, tmp_path)
    assert n_trained in ([2, 3], [3])
    for adapter, expected in zip(resumed, unbroken, strict=True):
        assert_same_weights(adapter.path, expected.path)


def test_an_unfinished_cell_begins_anew_when_an_earlier_adapter_was_removed(
    trained, base, tmp_path, monkeypatch
):
    _, unbroken = trained
    keep = words_adapters._CellTraining._save

    def killed(self, losses):
        keep(self, losses)
        if len(losses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(words_adapters._CellTraining, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        train(replace(TINY, n_epochs=3), base, tmp_path)
    monkeypatch.setattr(words_adapters._CellTraining, "_save", keep)
    (tmp_path / "out" / "seed1-lr0.01-epoch2" / "adapter_model.safetensors").unlink()
    resumed = train(replace(TINY, n_epochs=3), base, tmp_path)
    for adapter, expected in zip(resumed, unbroken, strict=True):
        assert_same_weights(adapter.path, expected.path)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"n_epochs": 0}, "at least 1 epoch, got 0"),
        ({"learning_rates": (1e-3, 0.0)}, "learning rates above 0, got 0"),
        ({"learning_rates": (-1e-3,)}, "learning rates above 0, got -0.001"),
        ({"learning_rates": (float("nan"),)}, "learning rates above 0, got nan"),
        ({"learning_rates": (1e-3, 1e-3)}, "each once, got [0.001, 0.001]"),
        ({"seeds": ()}, "one seed or more"),
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen, said):
    with pytest.raises(RefusedInputError) as refused:
        replace(TINY, **chosen)
    assert said in str(refused.value)


def test_pairs_that_are_longer_than_the_context_are_refused(tmp_path):
    small = replace(QWEN_SIZE, max_tokens=20)
    tokenizer = train_tokenizer(TEXTS * 5, small)
    save_qwen(build_mini_qwen(tokenizer, small), tokenizer, tmp_path / "qwen-short")
    with pytest.raises(RefusedInputError, match="at most 20 tokens, the context of qwen-short"):
        train(TINY, tmp_path / "qwen-short", tmp_path)
