"""The training loop: it learns, and a killed run ends where an unbroken one does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hallulab.training.resumable_loop import LoopSettings, learning_rate_at, run_loop, work_folder

SETTINGS = LoopSettings(n_steps=60, learning_rate=0.05, warmup_steps=5, ema_decay=0.9, save_every_steps=10)


class Killed(Exception):
    pass


def line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def loss_of(model: nn.Module, killed_at: int | None = None):
    def loss_of_step(step: int) -> Tensor:
        if step == killed_at:
            raise Killed
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(16, 3, generator=generator)
        return nn.functional.mse_loss(model(inputs), inputs.sum(dim=1, keepdim=True))

    return loss_of_step


def test_the_loss_falls(tmp_path):
    model = line()
    trained = run_loop("line", model, loss_of(model), SETTINGS, work=tmp_path)
    assert trained.losses.shape == (60,)
    assert trained.losses[-10:].mean() < 0.1 * trained.losses[:10].mean()


@pytest.mark.parametrize("killed_at", [3, 10, 37])
def test_a_killed_run_ends_where_an_unbroken_one_does(tmp_path, killed_at):
    unbroken = line()
    expected = run_loop("line", unbroken, loss_of(unbroken), SETTINGS, work=tmp_path / "unbroken")
    broken = line()
    with pytest.raises(Killed):
        run_loop("line", broken, loss_of(broken, killed_at), SETTINGS, work=tmp_path / "broken")
    resumed = line()
    again = run_loop("line", resumed, loss_of(resumed), SETTINGS, work=tmp_path / "broken")
    np.testing.assert_array_equal(again.losses, expected.losses)
    for name, weight in expected.averaged.items():
        torch.testing.assert_close(again.averaged[name], weight, rtol=0, atol=0)
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)


def test_a_finished_run_does_nothing_again(tmp_path):
    model = line()
    expected = run_loop("line", model, loss_of(model), SETTINGS, work=tmp_path)
    again = line()
    trained = run_loop("line", again, loss_of(again, killed_at=0), SETTINGS, work=tmp_path)
    np.testing.assert_array_equal(trained.losses, expected.losses)


def test_frozen_weights_stay(tmp_path):
    model = line()
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    run_loop("line", model, loss_of(model), SETTINGS, work=tmp_path)
    torch.testing.assert_close(model.bias, before, rtol=0, atol=0)


def test_the_average_follows_its_definition(tmp_path):
    """Two steps by hand: a_n = d_n a_(n-1) + (1 - d_n) w_n with d_n = min(0.9, (1 + n) / (10 + n))."""
    model = line()
    start, seen = model.weight.detach().clone(), []
    run_loop(
        "line",
        model,
        loss_of(model),
        LoopSettings(n_steps=2, learning_rate=0.1, warmup_steps=1, ema_decay=0.9),
        work=tmp_path,
        on_step=lambda _, averaged: seen.append((model.weight.detach().clone(), averaged["weight"].clone())),
    )
    first = 2 / 11 * start + 9 / 11 * seen[0][0]
    torch.testing.assert_close(seen[0][1], first)
    torch.testing.assert_close(seen[1][1], 3 / 12 * first + 9 / 12 * seen[1][0])


def test_learning_rate_rises_then_falls():
    rates = [learning_rate_at(step, SETTINGS) for step in range(60)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[4] == rates[5] == pytest.approx(0.05)
    assert rates[-1] < 0.001
    constant = LoopSettings(n_steps=60, learning_rate=0.05, warmup_steps=5, cosine=False)
    assert learning_rate_at(59, constant) == 0.05


def test_other_settings_never_resume_from_a_folder():
    folders = {work_folder(Path("work"), "clip", LoopSettings(n, 0.1)) for n in (10, 20)}
    assert len(folders) == 2
    assert work_folder(Path("work"), "clip", SETTINGS) == work_folder(Path("work"), "clip", SETTINGS)
