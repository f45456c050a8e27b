"""`train`: which trainings run, with what, and the JSON contract. The trainings have tests of their own."""

from pathlib import Path

import pytest
import torch

from hallulab.records import folder_sha256


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, Path, Path]]:
    """Stands in for the trainings: each writes one small checkpoint and notes how it was called."""
    calls = []

    def stand_in(part: str):
        def train(settings, *, out: Path, work: Path) -> tuple[Path, ...]:
            calls.append((part, settings.seed, out, work))
            (out / part).mkdir(parents=True)
            (out / part / "model.safetensors").write_text(part)
            return (out / part,)

        return train

    modules = {"words": "words", "clip": "clip", "pictures": "pictures", "probe": "attribute_probe"}
    for part, module in modules.items():
        monkeypatch.setattr(f"hallulab.training.{module}.train_{part}", stand_in(part))
    return calls


def test_one_part_is_rebuilt_from_its_seed(run, trainings, tmp_path):
    found = run("train", "small-world", "clip", "--seed", "5", "--out", tmp_path / "out", "--json")
    assert found.exit_code == 0
    assert trainings == [("clip", 5, tmp_path / "out", tmp_path / "home" / "train")]
    folder = tmp_path / "out" / "clip"
    assert found.json["checkpoints"] == [{"path": str(folder), "sha256": folder_sha256(folder)}]


def test_all_parts_are_rebuilt_and_the_threads_kept(run, trainings, tmp_path):
    before = torch.get_num_threads()
    try:
        found = run("train", "small-world", "--threads", "1", "--out", tmp_path / "out")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert [part for part, *_ in trainings] == ["words", "clip", "pictures", "probe"]
    assert found.out.splitlines()[0] == "Trained 4 checkpoints of the small-world preset."


@pytest.mark.usefixtures("trainings")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["large-world"], "large-world"),
        (["small-world", "songs"], "songs"),
        (["small-world", "clip", "--seed", "-1"], "--seed"),
        (["small-world", "clip", "--threads", "0"], "--threads"),
    ],
)
def test_wrong_input_is_refused_in_one_line(run, arguments, words):
    assert words in run("train", *arguments).refusal
