import tracemalloc

import numpy as np
import pytest

from hallulab.data.coins import CoinFlips, flip_draws
from hallulab.experiments.coin_judge import CoinJudge
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_table import N_SCORED_SAMPLE, scored_table

# Two coins of four, drawn as {1, 2} twice and {3, 4} once; heads 0, 1 and 2.
FLIPS = CoinFlips(
    2,
    draws=np.array([[0, 1], [2, 3]], dtype=np.uint8),
    draw_index=np.array([0, 0, 1], dtype=np.uint16),
    heads=np.array([0, 1, 2], dtype=np.uint8),
)


def held_out(outputs, **changed):
    """Held-out scores when the network gives these outputs for {1, 2} and {3, 4}, the first and last of six draws."""
    judge = CoinJudge(FLIPS, CoinSettings(**changed), seed=0)
    asked = np.zeros((6, len(outputs[0])), dtype=np.float32)
    asked[[0, 5]] = outputs
    return judge.moment(asked, epoch=1, train_loss=None)


def test_a_network_is_asked_for_every_draw_where_they_are_few():
    judge = CoinJudge(FLIPS, CoinSettings(), seed=0)
    np.testing.assert_array_equal(judge.labels, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
    outputs = np.arange(6, dtype=np.float32)[:, None]
    assert judge.moment(outputs, epoch=0, train_loss=None).output_table(1).tolist() == outputs.tolist()


def test_one_answer_per_draw_is_scored_with_its_count():
    # {1, 2} have p = 1/4 and 1/2: P(0) = 3/8, P(1) = 1/2; {3, 4} have 3/4 and 1: P(1) = 1/4, P(2) = 3/4
    moment = held_out([[0.6], [1.2]])
    (scores,) = moment.held_out
    assert scores.conditional_probability == pytest.approx((2 * 0.5 + 0.25) / 3)
    assert scores.hallucination_rate == pytest.approx(1 / 3)  # 1/4 is at most δ = 0.3
    # answers 1, 1, 1 against heads 0, 1, 2
    assert scores.squared_error == pytest.approx(2 / 3)
    # outputs 0.6, 0.6 and 1.2 against heads 0, 1, 2
    assert moment.validation_loss == pytest.approx((0.36 + 0.16 + 0.64) / 3)


def test_the_public_codes_law_is_one_coin_too_low():
    # {1, 2} count as p = 0 and 1/4, {3, 4} as 1/2 and 3/4; rounded up the answers are 1 and 2
    (scores,) = held_out([[0.6], [1.2]], variant="paper_code").held_out
    assert scores.conditional_probability == pytest.approx((2 * 0.25 + 0.375) / 3)
    assert scores.conditional_probability_data_law == pytest.approx((2 * 0.5 + 0.75) / 3)


@pytest.mark.parametrize("far", [-1e30, 7.0, np.inf, -np.inf])
def test_an_answer_that_cannot_come_up_has_probability_zero(far):
    (scores,) = held_out([[0.6], [far]]).held_out
    assert scores.conditional_probability == pytest.approx(2 * 0.5 / 3)
    assert scores.n_missing == 0
    assert (scores.squared_error is None) == np.isinf(far)


def test_a_missing_answer_is_left_out_of_every_mean_and_counted():
    moment = held_out([[0.6], [np.nan]])
    (scores,) = moment.held_out
    assert (scores.n, scores.n_missing) == (2, 1)
    assert scores.conditional_probability == pytest.approx(0.5)
    assert scores.squared_error == pytest.approx(0.5)  # answers 1, 1 against heads 0, 1
    assert moment.validation_loss is None


def test_a_sampled_answer_counts_with_every_count_as_often_as_it_is_said():
    logits = np.log([[0.5, 0.5, 1e-30], [1e-30, 0.5, 0.5]])
    moment = held_out(logits, objective="cross_entropy")
    assert [scores.answer for scores in moment.held_out] == ["mode", "mean", "sample"]
    sample = moment.held_out[2]
    # {1, 2}: ½ · 3/8 + ½ · 1/2 = 7/16, twice; {3, 4}: ½ · 1/4 + ½ · 3/4 = 1/2
    assert sample.conditional_probability == pytest.approx((2 * 7 / 16 + 1 / 2) / 3)
    # answer 1 of {3, 4} has 1/4, at most 0.3: half of one flip in three
    assert sample.hallucination_rate == pytest.approx(1 / 6)
    # heads 0, 1, 2, answered with 0 or 1, 0 or 1, 1 or 2: each wrong by one half of the time
    assert sample.squared_error == pytest.approx(1 / 2)
    assert sample.n == 3


def test_held_out_draws_are_judged_in_chunks_that_do_not_show(monkeypatch):
    flips = flip_draws(4, 500, rng=np.random.default_rng(0))
    judge = CoinJudge(flips, CoinSettings(coins_per_draw=4, objective="cross_entropy"), seed=0)
    outputs = np.random.default_rng(1).normal(size=(70, 5)).astype(np.float32)
    whole = judge.moment(outputs, epoch=1, train_loss=None)
    monkeypatch.setattr("hallulab.experiments.coin_judge.DRAWS_PER_CHUNK", 7)
    pieces = judge.moment(outputs, epoch=1, train_loss=None)
    assert pieces.validation_loss == pytest.approx(whole.validation_loss)
    for piece, scores in zip(pieces.held_out, whole.held_out, strict=True):
        assert vars(piece) == pytest.approx(vars(scores)) or piece == scores


def test_with_many_coins_a_network_is_asked_for_a_sample_and_the_held_out_draws():
    flips = flip_draws(20, 200, rng=np.random.default_rng(0))
    judge = CoinJudge(flips, CoinSettings(coins_per_draw=20), seed=0)
    assert len(judge.labels) == N_SCORED_SAMPLE + 200
    sample = scored_table(20)
    outputs = np.concatenate([sample.mean, (flips.draws + 1).sum(axis=1) / 40]).astype(np.float32)[:, None]
    moment = judge.moment(outputs, epoch=1, train_loss=None)
    np.testing.assert_allclose(moment.output_table(1)[:, 0], sample.mean, rtol=1e-6)
    # the held-out flips are scored by their own outputs: Σp(1 − p) of 20 coins is about 3.3
    assert 2.5 < moment.validation_loss < 4.5


def test_memory_at_64_coins_is_that_of_the_labels():
    """Tables of pmfs over all held-out draws would take 65 · 8 bytes each; they are made and dropped chunk by chunk."""
    flips = flip_draws(64, 6_000, rng=np.random.default_rng(0))
    settings = CoinSettings(coins_per_draw=64)
    scored_table(64)  # shared by all rounds, and small
    tracemalloc.start()
    judge = CoinJudge(flips, settings, seed=0)
    held, _ = tracemalloc.get_traced_memory()
    outputs = np.zeros((len(judge.labels), 1), dtype=np.float32)
    judge.moment(outputs, epoch=1, train_loss=None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4 * 64 * 6_000  # labels twice, rows and counts of the flips
    assert peak - held < 30_000_000
