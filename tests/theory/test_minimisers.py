import numpy as np
import pytest
import torch

from hallulab.data.coins import all_draws
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.scoring.coins import coin_pmf
from hallulab.theory.minimisers import likeliest_count, median_count, modal_prediction, modal_risk


def test_median_and_mode_by_hand():
    pmf = [[0.2, 0.2, 0.6], [0.45, 0.1, 0.45], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]
    assert median_count(pmf).tolist() == [2, 1, 1, 0]
    assert likeliest_count(pmf).tolist() == [2, 0, 1, 0]


def test_rounding_errors_do_not_break_a_tie():
    a_hair = 1e-15
    assert likeliest_count([[0.5 - a_hair, 0.5 + a_hair]]).tolist() == [0]
    assert median_count([[0.5 - a_hair, 0.5 + a_hair]]).tolist() == [0]


def test_modal_prediction_by_hand():
    # certain: the count itself. Two equally likely neighbours: halfway. Two distant ones: the lower, moved by the
    # pull alone, whose slope 0.001 · (a − 3) meets half the kernel's, 2a: a = 0.003 / 2.001
    pmf = [[0, 0, 0, 1, 0, 0, 0], [0, 0.5, 0.5, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0, 0.5]]
    assert modal_prediction(pmf).tolist() == pytest.approx([3, 1.5, 0.003 / 2.001], abs=1e-6)


def test_modal_prediction_follows_the_tall_peak_where_the_mean_does_not():
    pmf = [[0.6, 0.0, 0.0, 0.0, 0.4]]
    assert modal_prediction(pmf)[0] == pytest.approx(0, abs=0.01)
    assert modal_prediction(np.flip(pmf))[0] == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize("coins_per_draw", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("objective", "minimiser"),
    [("absolute_error", median_count), ("modal", modal_prediction)],
)
def test_no_prediction_costs_less_than_the_minimiser(coins_per_draw, objective, minimiser):
    """Against the very loss that trains the network, over a fine grid of predictions."""
    pmf = coin_pmf(all_draws(coins_per_draw), coins_per_draw)
    grid = np.linspace(-1, coins_per_draw + 1, 4001)

    def risk(predictions):  # (k,) → (n_draws, k)
        losses = OBJECTIVES[objective].losses(torch.from_numpy(predictions[:, None]), coins_per_draw)
        return pmf @ losses.numpy().T

    ours = np.diag(risk(minimiser(pmf)))
    assert (ours[:, None] <= risk(grid) + 1e-12).all()


def test_no_logits_cost_less_than_the_log_of_the_pmf():
    pmf = coin_pmf(all_draws(3), 3)
    rng = np.random.default_rng(0)

    def risk(probabilities):
        logits = torch.from_numpy(np.log(probabilities + 1e-300))  # what cannot come up costs nothing
        return (pmf * OBJECTIVES["cross_entropy"].losses(logits, 3).numpy()).sum(axis=1)

    for _ in range(50):
        assert (risk(pmf) <= risk(rng.dirichlet(np.ones(4), size=len(pmf)))).all()


def test_the_modal_risk_is_the_expected_loss_of_the_objective():
    pmf, predictions = coin_pmf(all_draws(2), 2), np.linspace(-0.5, 2.5, 6)
    losses = OBJECTIVES["modal"].losses(torch.from_numpy(predictions)[:, None], 2).numpy()
    np.testing.assert_allclose(modal_risk(pmf, predictions), (pmf * losses).sum(axis=1))
    assert (modal_risk(pmf, modal_prediction(pmf)) <= modal_risk(pmf, predictions) + 1e-12).all()
