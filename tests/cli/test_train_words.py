"""`train words`: which grid is trained from which base, the JSON contract, refusals. No weights are trained here."""

from pathlib import Path

import pytest

from hallulab.records import RecordFile, folder_sha256
from hallulab.training.words_adapters import AdapterSettings, KeptAdapter


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Stands in for the training: writes one small adapter per cell and notes how it was called."""
    calls = []

    def train(settings: AdapterSettings, **places) -> tuple[KeptAdapter, ...]:
        calls.append({"settings": settings, **places})
        kept = []
        for rate in settings.learning_rates:
            for seed in settings.seeds:
                path = places["out"] / f"seed{seed}-lr{rate:g}"
                RecordFile(path / "losses.jsonl").append({"epoch": 4, "loss": 0.25})
                kept.append(KeptAdapter(path, seed, rate, 4, 0.25))
        return tuple(kept)

    monkeypatch.setattr("hallulab.training.words_adapters.train_adapters", train)
    return calls


def test_four_learning_rates_by_four_seeds_are_one_command(run, asked, tmp_path):
    found = run(
        "train", "words", "--epochs", "3", "--seeds", "4", "--learning-rates", "1e-4,3e-4,1e-3,3e-3",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert found.exit_code == 0
    (call,) = asked
    assert call["settings"].seeds == (1, 2, 3, 4)
    assert call["settings"].learning_rates == (1e-4, 3e-4, 1e-3, 3e-3)
    assert call["settings"].n_epochs == 3
    assert Path(call["base"]).name == "qwen-tiny"
    assert (call["out"], call["work"]) == (tmp_path / "out", tmp_path / "home" / "train")
    assert (
        "--epochs 3 --seeds 4 --learning-rates 0.0001,0.0003,0.001,0.003 --questions all" in call["command"]
    )
    assert (found.json["preset"], found.json["questions"]) == ("tiny", "all")
    assert len(found.json["checkpoints"]) == 16
    folder = tmp_path / "out" / "seed1-lr0.0001"
    assert found.json["checkpoints"][0] == {
        "path": str(folder), "sha256": folder_sha256(folder), "seed": 1, "learning_rate": 1e-4, "epoch": 4,
        "train_loss": 0.25,
    }  # fmt: skip


def test_the_preset_decides_what_nobody_chose(run, asked, tmp_path):
    found = run("train", "words", "--preset", "small-world", "--out", tmp_path / "out")
    assert found.exit_code == 0
    (call,) = asked
    assert call["settings"].questions == "known"
    assert call["settings"].learning_rates == (1e-3,)
    assert Path(call["base"]).name == "qwen-mini"
    assert found.out.splitlines()[0] == f"Kept 2 adapters of qwen-mini in {tmp_path / 'out'}."


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "large-world"], "unknown preset 'large-world': use one of small-world, paper"),
        (["--epochs", "0"], "expected at least 1 epoch, got 0"),
        (["--learning-rates", "0"], "expected learning rates above 0, got 0"),
        (["--learning-rates", "fast"], "such as 1e-4,3e-4, got 'fast'"),
        (["--seeds", "0"], "expected one seed or more"),
        (["--questions", "some"], "'some' is not one of 'known', 'all'"),
    ],
)
def test_wrong_input_is_refused_in_one_line(run, tmp_path, arguments, words):
    assert words in run("train", "words", "--out", tmp_path / "out", *arguments).refusal


def test_a_run_needs_a_place_for_its_adapters(run):
    assert "--out" in run("train", "words").refusal
