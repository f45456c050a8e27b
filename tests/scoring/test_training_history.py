"""What a checkpoint's folder tells of its training."""

import json
from pathlib import Path

import numpy as np
import pytest

from hallulab.scoring.training_history import steps_in_name, training_history
from hallulab.training.unet_checkpoints import write_losses


def test_the_losses_beside_a_checkpoint_are_read(tmp_path: Path):
    lines = [{"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25}, {"loss": 1.0}]
    (tmp_path / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3')
    history = training_history(str(tmp_path))
    assert (history.n_steps, history.loss, len(history.points)) == (20, 0.375, 2)


def test_the_loss_is_the_mean_of_the_last_steps_as_if_they_were_kept_one_by_one(tmp_path: Path):
    """Lines average ten steps, the last one what is left: the mean of the last fifty steps from both must agree."""
    losses = np.random.default_rng(0).random(90).astype(np.float32)
    for n_steps in (7, 25, 50, 70, 90):
        write_losses(tmp_path / "losses.jsonl", losses[:n_steps])
        assert training_history(str(tmp_path)).loss == pytest.approx(losses[:n_steps][-50:].mean(), abs=1e-5)
    write_losses(
        tmp_path / "losses.jsonl", losses[:65]
    )  # fifty steps begin within a line, which counts by its half
    by_line = [losses[start : start + 10].mean() for start in range(0, 70, 10)]
    by_line[-1] = losses[60:65].mean()
    expected = (5 * by_line[1] + 10 * sum(by_line[2:6]) + 5 * by_line[6]) / 50
    assert training_history(str(tmp_path)).loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("place", ["someone/model", "/nowhere"])
def test_a_place_without_a_record_has_no_history(place: str):
    history = training_history(place)
    assert (history.n_steps, history.loss) == (None, None)


@pytest.mark.parametrize(("name", "steps"), [("step-2800", 2800), ("step-0025", 25), ("base", None)])
def test_a_name_may_tell_the_steps(name: str, steps: int | None):
    assert steps_in_name(name) == steps
