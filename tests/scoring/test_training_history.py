"""What a checkpoint's folder tells of its training."""

import json
from pathlib import Path

import pytest

from hallulab.scoring.training_history import steps_in_name, training_history


def test_the_losses_beside_a_checkpoint_are_read(tmp_path: Path):
    lines = [{"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25}, {"loss": 1.0}]
    (tmp_path / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3')
    history = training_history(str(tmp_path))
    assert (history.n_steps, history.loss, len(history.points)) == (
        20,
        0.375,
        2,
    )  # fewer than 50 steps: all of them


def test_the_loss_of_a_checkpoint_is_the_mean_of_its_last_50_steps(tmp_path: Path):
    """The steps 16 to 65: five of the second line, ten each of four, five of the last, which is shorter."""
    lines = [(10, 9.0), (20, 6.0), (30, 5.0), (40, 4.0), (50, 3.0), (60, 2.0), (65, 1.0)]
    written = "".join(json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in lines)
    (tmp_path / "losses.jsonl").write_text(written)
    by_hand = (5 * 6 + 10 * 5 + 10 * 4 + 10 * 3 + 10 * 2 + 5 * 1) / 50
    assert training_history(str(tmp_path)).loss == pytest.approx(by_hand)


@pytest.mark.parametrize("place", ["someone/model", "/nowhere"])
def test_a_place_without_a_record_has_no_history(place: str):
    history = training_history(place)
    assert (history.n_steps, history.loss) == (None, None)


@pytest.mark.parametrize(("name", "steps"), [("step-2800", 2800), ("step-0025", 25), ("base", None)])
def test_a_name_may_tell_the_steps(name: str, steps: int | None):
    assert steps_in_name(name) == steps
