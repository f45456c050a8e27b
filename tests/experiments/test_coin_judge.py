import numpy as np
import pytest

from hallulab.data.coins import CoinFlips
from hallulab.experiments.coin_judge import CoinJudge
from hallulab.experiments.coin_run import CoinSettings

# Two coins of four, drawn as {1, 2} twice and {3, 4} once; heads 0, 1 and 2.
FLIPS = CoinFlips(
    2,
    draws=np.array([[0, 1], [2, 3]], dtype=np.uint8),
    draw_index=np.array([0, 0, 1], dtype=np.uint16),
    heads=np.array([0, 1, 2], dtype=np.uint8),
)


def points(outputs, **changed):
    judge = CoinJudge(FLIPS, CoinSettings(**changed), seed=0)
    return list(judge.points(np.array(outputs, dtype=float), np.zeros((2, 3)), epoch=1, train_loss=None))


def test_one_answer_per_draw_is_scored_with_its_count():
    # {1, 2} have p = 1/4 and 1/2: P(0) = 3/8, P(1) = 1/2; {3, 4} have 3/4 and 1: P(1) = 1/4, P(2) = 3/4
    (point,) = points([[0.6], [1.2]])
    assert point.conditional_probability == pytest.approx((2 * 0.5 + 0.25) / 3)
    assert point.best_conditional_probability == pytest.approx((2 * 0.5 + 0.75) / 3)
    assert point.hallucination_rate == pytest.approx(1 / 3)  # 1/4 is at most δ = 0.3
    # answers 1, 1, 1 against heads 0, 1, 2
    assert point.squared_error == pytest.approx(2 / 3)
    # averages 3/4 and 7/4 against heads 0, 1 and 2
    assert point.bayes_mean_squared_error == pytest.approx((0.75**2 + 0.25**2 + 0.25**2) / 3)


@pytest.mark.parametrize("far", [-1e30, 7.0, np.inf, -np.inf])
def test_an_answer_that_cannot_come_up_has_probability_zero(far):
    (point,) = points([[0.6], [far]])
    assert point.conditional_probability == pytest.approx(2 * 0.5 / 3)
    assert point.n_missing == 0
    assert (point.squared_error is None) == np.isinf(far)


def test_a_missing_answer_is_left_out_of_every_mean_and_counted():
    (point,) = points([[0.6], [np.nan]])
    assert (point.n, point.n_missing) == (2, 1)
    assert point.conditional_probability == pytest.approx(0.5)
    assert point.squared_error == pytest.approx(0.5)  # answers 1, 1 against heads 0, 1


def test_samples_are_one_answer_per_flip_and_the_same_for_the_same_seed():
    logits = np.log([[0.5, 0.5, 1e-9], [1e-9, 0.5, 0.5]])
    first, again = (points(logits, objective="cross_entropy") for _ in range(2))
    assert [point.answer for point in first] == ["mode", "mean", "sample"]
    assert first == again
    assert all(point.n == 3 for point in first)
