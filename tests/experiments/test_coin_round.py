import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from hallulab.data.coins import all_draws, flip_draws
from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_round import CoinRound, train_epoch
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.models.coin_transformer import CoinTransformerSettings, build_coin_transformer
from hallulab.scoring.coins import coin_pmf


def settings(**changed):
    quick = {"flips": 640, "epochs": 2, "batch_size": 64, "learning_rate": 1e-3, "rounds": 3}
    return CoinSettings(**(quick | changed))


def moments_of(events):
    return [event for event in events if isinstance(event, CoinMoment)]


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_weights_are_those_of_a_plain_loop_over_all_rows(variant, objective):
    """Slow twin: one network, every row of every batch, autograd and torch's own Adam."""
    chosen = settings(
        coins_per_draw=3, flips=100, epochs=2, batch_size=32, variant=variant, objective=objective
    )
    if variant == "paper_code":
        chosen = without_dropout(chosen)
    stack = [CoinRound(chosen, seed, "cpu") for seed in (4, 5)]
    network = build_coin_transformer(3, stack[1].shape, seed=5)
    start = stack[1].weights.clone()
    order = stack[1].flips.copy()
    rng = np.random.default_rng([5, 1])
    rng.permutation(chosen.flips)  # the split
    for _ in range(chosen.epochs):
        list(train_epoch(stack, chosen))
    optimiser = torch.optim.Adam(network.parameters(), lr=chosen.learning_rate)
    for _ in range(chosen.epochs):
        rng.shuffle(order)
        for first in range(0, len(order), 32):
            draws, heads = np.divmod(order[first : first + 32], 4)
            outputs = network(torch.from_numpy(stack[1].labels[draws].astype(np.int64)))
            losses = OBJECTIVES[objective].losses(outputs, 3)
            loss = losses[torch.arange(len(heads)), torch.from_numpy(heads.astype(np.int64))].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    expected = torch.cat([weight.detach().flatten() for weight in network.parameters()])
    # Adam makes a step of full length of a gradient that is all rounding, so a few weights may differ by a step
    difference, way = (stack[1].weights - expected).abs(), (start - expected).abs().mean()
    assert difference.mean() < 1e-3 * way


def without_dropout(chosen):
    """The public code's network and answers, without the masks that the plain loop cannot draw."""
    choices = CoinSettings.choices.fget(chosen)
    changed = type("NoDropout", (CoinSettings,), {"choices": property(lambda _: choices_without(choices))})
    return changed(**{name: getattr(chosen, name) for name in chosen.__dataclass_fields__})


def choices_without(choices):
    return replace(choices, dropout=0.0)


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
def test_held_out_scores_are_what_a_loop_over_the_held_out_flips_finds(variant):
    """Slow twin: one held-out flip at a time, as the public code evaluates."""
    chosen = settings(coins_per_draw=3, flips=200, epochs=1, variant=variant)
    stack = [CoinRound(chosen, 5, "cpu")]
    last = moments_of(train_epoch(stack, chosen))[-1]
    shape = CoinTransformerSettings(tokens=chosen.choices.tokens, dropout=chosen.choices.dropout)
    network = build_coin_transformer(3, shape, seed=5)
    torch.nn.utils.vector_to_parameters(stack[0].weights, network.parameters())
    flips = flip_draws(3, 200, rng=np.random.default_rng([5, 0]))
    _, held_out = flips.split(0.2, rng=np.random.default_rng([5, 1]))
    errors, squares, probabilities, outside = [], [], [], []
    for index, heads in zip(held_out.draw_index.tolist(), held_out.heads.tolist(), strict=True):
        labels = held_out.draws[index].astype(np.int64)
        predicted = float(network(torch.from_numpy(labels[None])).detach()[0, 0])
        answer = int(np.rint(predicted) if variant == "fixed" else np.ceil(predicted))
        law = "data" if variant == "fixed" else "shifted"
        probabilities.append(float(coin_pmf(labels, 3, law=law)[answer]) if 0 <= answer <= 3 else 0.0)
        outside.append(not 0 <= answer <= 3 or coin_pmf(labels, 3)[answer] <= 0.3)
        errors.append((predicted - heads) ** 2)
        squares.append((answer - heads) ** 2)
    (scores,) = last.held_out
    assert scores.conditional_probability == pytest.approx(np.mean(probabilities))
    assert scores.hallucination_rate == pytest.approx(np.mean(outside))
    assert last.validation_loss == pytest.approx(np.mean(errors), rel=1e-4)
    assert scores.squared_error == pytest.approx(np.mean(squares))
    said = network(torch.from_numpy(all_draws(3).astype(np.int64))).detach().numpy()
    np.testing.assert_allclose(last.output_table(1), said, atol=1e-5)


def test_memory_is_that_of_the_flips():
    """Training holds a few bytes per flip and round: no table of M rows times N columns of floats."""
    chosen = settings(coins_per_draw=5, flips=200_000, rounds=2)
    tracemalloc.start()
    kept = [CoinRound(chosen, seed, "cpu") for seed in chosen.seeds]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / (len(kept) * chosen.flips) < 8
    assert kept[0].flips.nbytes == 4 * 160_000
