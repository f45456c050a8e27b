import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.plain_coins import (
    PlainNetwork,
    plain_data,
    plain_evaluation,
    plain_round,
    poisson_binomial,
    probability_of,
)
from hallulab.data.coins import mean_heads
from hallulab.experiments import coin_round
from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_result import coin_result
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coins import run_coins
from hallulab.models.coin_transformer import CoinTransformer, CoinTransformerSettings
from hallulab.scoring.coins import coin_pmf, poisson_binomial_pmf


def settings(**changed):
    quick = {"batch_size": 64, "learning_rate": 1e-3, "rounds": 1, "points_per_epoch": 1}
    return CoinSettings(**(quick | changed))


def copy_weights(plain: PlainNetwork, network: CoinTransformer):
    """hallulab's weights from torch's own layers."""
    pairs = [(network.embed, plain.embed), (network.head, plain.head)]
    for ours, theirs in zip(network.layers, plain.encoder.layers, strict=True):
        attention = theirs.self_attn
        with torch.no_grad():
            ours.query_key_value.weight.copy_(attention.in_proj_weight)
            ours.query_key_value.bias.copy_(attention.in_proj_bias)
        pairs += [
            (ours.attention_out, attention.out_proj), (ours.attention_norm, theirs.norm1),
            (ours.widen, theirs.linear1), (ours.narrow, theirs.linear2),
            (ours.feed_forward_norm, theirs.norm2),
        ]  # fmt: skip
    for ours, theirs in pairs:
        ours.load_state_dict(theirs.state_dict())


def somewhat_trained(chosen: CoinSettings, seed: int) -> PlainNetwork:
    """A network whose predictions spread over the counts, so that equal scores are no accident."""
    torch.manual_seed(seed)
    network = PlainNetwork(chosen.coins_per_draw, chosen.choices)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    labels, heads = plain_data(chosen, seed)[0][:128]
    for _ in range(20):
        loss = nn.functional.mse_loss(network(labels), heads)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def points_of(chosen):
    return coin_result(chosen, [e for e in run_coins(chosen) if isinstance(e, CoinMoment)]).points


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
def test_both_report_the_same_for_the_same_weights(variant, monkeypatch):
    chosen = settings(coins_per_draw=5, flips=1_000, epochs=1, rounds=2, variant=variant)
    plain = {seed: somewhat_trained(chosen, seed) for seed in chosen.seeds}

    def with_its_weights(coins_per_draw, shape, *, seed):
        network = CoinTransformer(coins_per_draw, shape)
        copy_weights(plain[seed], network)
        return network

    monkeypatch.setattr(coin_round, "build_coin_transformer", with_its_weights)
    before_training = [point for point in points_of(chosen) if point.epoch == 0]
    assert {point.seed for point in before_training} == {0, 1}
    for point in before_training:
        theirs = plain_evaluation(plain[point.seed], plain_data(chosen, point.seed)[1], chosen)
        assert point.n == 200
        assert 0.2 < theirs.conditional_probability < 0.45
        assert 0 < theirs.hallucination_rate < 1
        assert point.held_out_conditional_probability == pytest.approx(
            theirs.conditional_probability, abs=1e-6
        )
        assert point.held_out_hallucination_rate == pytest.approx(theirs.hallucination_rate, abs=1e-6)
        assert point.validation_loss == pytest.approx(theirs.validation_loss, abs=1e-6)


def test_both_learn_the_same():
    # N = 2: the rounded mean is the most likely count of every draw, so a trained network gives the best answers
    chosen = settings(flips=2_000, epochs=4, batch_size=32, learning_rate=3e-4)
    ours = points_of(chosen)[1:]
    theirs = list(plain_round(chosen, 0))
    assert [epoch.epoch for epoch in theirs] == [point.epoch for point in ours] == [1, 2, 3, 4]
    # at its best epoch: single steps of this size still push a draw over a rounding edge and back
    labels, heads = (column.numpy() for column in plain_data(chosen, 0)[1].tensors)
    best = pytest.approx(coin_pmf(labels, 2).max(axis=1).mean())
    assert max(point.held_out_conditional_probability for point in ours) == best
    assert max(epoch.scores.conditional_probability for epoch in theirs) == best
    least = pytest.approx(((mean_heads(labels, 2) - heads) ** 2).mean(), rel=0.05)
    assert min(point.validation_loss for point in ours) == least
    assert min(epoch.scores.validation_loss for epoch in theirs) == least
    assert theirs[-1].train_loss == pytest.approx(ours[-1].train_loss, rel=0.1)


def test_the_plain_network_has_the_papers_shape():
    for tokens in ("coin", "vector"):
        chosen = settings(coins_per_draw=3, variant="fixed" if tokens == "coin" else "paper_code")
        ours = CoinTransformer(3, CoinTransformerSettings(tokens=tokens))
        plain = PlainNetwork(3, chosen.choices)
        assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ours.parameters())


@pytest.mark.parametrize("probabilities", [[], [0.3], [0.0, 1.0], [0.1, 0.5, 0.9, 1.0, 0.25]])
def test_the_loops_fill_the_pmf(probabilities):
    np.testing.assert_allclose(
        poisson_binomial(probabilities), poisson_binomial_pmf(probabilities), atol=1e-15
    )


def test_an_answer_that_cannot_come_up_has_probability_0():
    pmf = poisson_binomial([0.5, 0.5])
    assert [probability_of(answer, pmf) for answer in (-1, 0, 1, 2, 3)] == [0, 0.25, 0.5, 0.25, 0]
