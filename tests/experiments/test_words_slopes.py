"""Slopes per epoch by hand, and how trainings are pooled."""

import numpy as np
import pytest

from hallulab.data.paper_table_1 import paper_scores
from hallulab.experiments.words_slopes import paper_slopes, pooled_slope, slope_per_epoch
from hallulab.scoring.training_history import AdapterTraining


def trained(training, epoch, *, seed=1, rate=0.001, loss=0.5):
    return AdapterTraining(training, epoch, seed, rate, loss)


def test_the_slope_goes_through_the_base():
    # of (2, 1), (3, 2), (4, 2): (2·1 + 3·2 + 4·2) / (4 + 9 + 16)
    assert slope_per_epoch(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 2.0])) == pytest.approx(16 / 29)


def test_it_is_least_squares_over_the_epochs_that_are_there():
    rng = np.random.default_rng(0)
    epochs, differences = np.array([2.0, 3.0, 4.0]), rng.normal(size=(3, 5))
    differences[1, 2] = np.nan
    differences[:, 4] = np.nan
    found = slope_per_epoch(epochs, differences)
    for question in range(4):
        there = np.isfinite(differences[:, question])
        (expected,), *_ = np.linalg.lstsq(epochs[there, None], differences[there, question], rcond=None)
        assert found[question] == pytest.approx(expected)
    assert np.isnan(found[4])  # nothing was measured


def test_trainings_of_one_seed_are_one_column():
    # four trainings, two seeds at two rates each; seed 1 rises by 0.1 per epoch, seed 2 by 0.3
    made = {
        f"{seed}-{rate}-{epoch}": trained(f"{seed}-{rate}", epoch, seed=seed, rate=rate, loss=rate)
        for seed in (1, 2)
        for rate in (0.001, 0.01)
        for epoch in (2, 4)
    }
    rises = {1: 0.1, 2: 0.3}
    differences = {name: np.full(6, rises[how.seed] * how.epoch) for name, how in made.items()}
    found = pooled_slope("incorrect", differences, made, seed=0)
    assert found is not None
    assert (found.n_trainings, found.slope.n_columns, found.slope.n_rows) == (4, 2, 6)
    assert found.slope.mean == pytest.approx(0.2)
    # with two seeds that differ, other seeds may be like either
    ends = (found.slope.interval.low, found.slope.interval.high)
    assert ends == pytest.approx((0.1, 0.3))
    assert [(one.learning_rate, one.n_trainings, one.loss) for one in found.by_rate] == [
        (0.001, 2, 0.001),
        (0.01, 2, 0.01),
    ]
    assert [one.slope.mean for one in found.by_training] == pytest.approx([0.1, 0.1, 0.3, 0.3])
    assert all(one.epochs == (2, 4) for one in found.by_training)


def test_without_a_known_epoch_there_is_no_slope():
    differences = {"tuned": np.ones(5)}
    assert pooled_slope("incorrect", differences, {"tuned": None}, seed=0) is None
    assert pooled_slope("incorrect", differences, {"tuned": trained("t", None)}, seed=0) is None
    assert pooled_slope("incorrect", {}, {}, seed=0) is None
    one_question = {"tuned": np.ones(1)}
    assert pooled_slope("incorrect", one_question, {"tuned": trained("t", 2)}, seed=0) is None


def test_the_paper_s_slopes_by_hand():
    scores = paper_scores("Qwen2.5-7B-Instruct", 2)  # 0.1868, then 0.1997, 0.2028, 0.2099
    rises = {epoch: score - scores[0] for epoch, score in scores.items() if epoch}
    expected = sum(epoch * rise for epoch, rise in rises.items()) / (4 + 9 + 16)
    assert paper_slopes()["Qwen2.5-7B-Instruct", 2] == pytest.approx(expected)
    assert len(paper_slopes()) == 4
