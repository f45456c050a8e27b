import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_objectives import OBJECTIVES, objective_of
from hallulab.experiments.coin_run import ObjectiveName

PREDICTED = torch.tensor([[0.5], [2.25], [-1.0]])  # three draws of two coins
LOGITS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
NAN, INF = math.nan, math.inf


def answered(name, outputs, answer, *, counts=None, rounding="nearest", seed=0):
    return objective_of(name).answers_of(
        np.asarray(outputs, dtype=float),
        np.ones(len(outputs), dtype=int) if counts is None else np.asarray(counts),
        answer,
        rounding=rounding,
        rng=np.random.default_rng(seed),
    )


def test_each_objective_stands_under_its_name():
    assert tuple(OBJECTIVES) == get_args(ObjectiveName)
    assert all(objective.name == name for name, objective in OBJECTIVES.items())
    assert [objective.n_outputs(5) for objective in OBJECTIVES.values()] == [1, 1, 6, 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 0.5 heads predicted, 0, 1 or 2 came up
        ("squared_error", [0.25, 0.25, 2.25]),
        ("absolute_error", [0.5, 0.5, 1.5]),
        # bandwidth 1/2: 1 − exp(−2 · difference²), and 0.0005 · difference²
        (
            "modal",
            [1 - math.exp(-0.5) + 0.000125, 1 - math.exp(-0.5) + 0.000125, 1 - math.exp(-4.5) + 0.001125],
        ),
    ],
)
def test_losses_of_a_prediction_by_hand(name, expected):
    losses = OBJECTIVES[name].losses(PREDICTED, 2)
    assert losses.shape == (3, 3)
    assert losses[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_losses_of_logits_by_hand():
    losses = OBJECTIVES["cross_entropy"].losses(LOGITS, 2)
    total = 1 + math.e + math.e**2
    assert losses[0].tolist() == pytest.approx([math.log(total / math.e**k) for k in range(3)], abs=1e-6)
    assert losses[2].tolist() == pytest.approx([math.log(3)] * 3)


@pytest.mark.parametrize(
    ("name", "outputs", "torchs_own"),
    [
        ("squared_error", PREDICTED, lambda out, heads: mse_loss(out[:, 0], heads.float())),
        ("absolute_error", PREDICTED, lambda out, heads: l1_loss(out[:, 0], heads.float())),
        ("cross_entropy", LOGITS, cross_entropy),
    ],
)
def test_losses_and_their_gradients_are_torchs_own(name, outputs, torchs_own):
    heads = torch.tensor([2, 0, 1])
    ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    found = OBJECTIVES[name].losses(ours, 2).gather(1, heads[:, None]).mean()
    expected = torchs_own(theirs, heads)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_of_a_stack_of_networks_are_those_of_each(name):
    objective = OBJECTIVES[name]
    stacked = torch.randn(2, 4, objective.n_outputs(3), generator=torch.Generator().manual_seed(0))
    found = objective.losses(stacked, 3)
    assert found.shape == (2, 4, 4)
    torch.testing.assert_close(found[1], objective.losses(stacked[1], 3))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_prediction_far_from_every_count_is_still_pulled_back(name):
    outputs = torch.full((1, OBJECTIVES[name].n_outputs(64)), -40.0, requires_grad=True)
    OBJECTIVES[name].losses(outputs, 64)[0, 64].backward()
    gradient = outputs.grad
    assert gradient is not None
    assert gradient[0, -1] < -1e-3


def test_a_prediction_is_rounded_as_the_variant_says():
    found = answered(
        "squared_error", [[0.5], [2.2], [-0.4], [NAN], [INF]], "prediction", counts=[1, 2, 3, 4, 5]
    )
    np.testing.assert_array_equal(found.answers, [0, 2, 0, NAN, INF])
    np.testing.assert_array_equal(found.rows, range(5))
    np.testing.assert_array_equal(found.counts, [1, 2, 3, 4, 5])
    up = answered("absolute_error", [[0.5], [2.2], [-0.4]], "prediction", rounding="ceil")
    np.testing.assert_array_equal(up.answers, [1, 3, 0])


def test_a_predicted_pmf_answers_with_its_mode_or_its_mean():
    logits = np.log([[0.4, 0.35, 0.25], [0.1, 0.1, 0.8]])
    np.testing.assert_array_equal(answered("cross_entropy", logits, "mode").answers, [0, 2])
    # means 0.85 and 1.7
    np.testing.assert_array_equal(answered("cross_entropy", logits, "mean").answers, [1, 2])
    logits = np.log([[0.7, 0.2, 0.1]])  # mean 0.4
    np.testing.assert_array_equal(answered("cross_entropy", logits, "mean").answers, [0])
    np.testing.assert_array_equal(answered("cross_entropy", logits, "mean", rounding="ceil").answers, [1])


def test_samples_follow_the_predicted_pmf_and_every_flip_gets_one():
    pmf = np.array([[0.4, 0.35, 0.25], [0.1, 0.1, 0.8], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        found = answered("cross_entropy", np.log(pmf), "sample", counts=[10_000, 0, 400])
    table = np.zeros((3, 3))
    np.add.at(table, (found.rows, found.answers.astype(int)), found.counts)
    assert table.sum(axis=1).tolist() == [10_000, 0, 400]
    assert table[2, 2] == 0
    # standard deviation of a share at most sqrt(1/4 / 10,000) = 0.005
    np.testing.assert_allclose(table[0] / 10_000, pmf[0], atol=0.025)
    assert (found.counts > 0).all()


def test_samples_are_seeded():
    logits, counts = np.zeros((50, 3)), np.full(50, 20)
    one, again, other = (
        answered("cross_entropy", logits, "sample", counts=counts, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.counts, again.counts)
    assert one.counts.tolist() != other.counts.tolist()


@pytest.mark.parametrize("answer", ["mode", "mean", "sample"])
@pytest.mark.parametrize("broken", [[NAN, 0.0, 0.0], [INF, 0.0, 0.0], [-INF, -INF, -INF]])
def test_logits_that_are_no_pmf_are_missing_answers_and_counted(answer, broken):
    found = answered("cross_entropy", [[0.0, 0.0, 50.0], broken], answer, counts=[7, 9])
    assert found.counts.sum() == 16
    missing = np.isnan(found.answers)
    assert (found.rows[missing].tolist(), found.counts[missing].tolist()) == ([1], [9])
    assert found.answers[~missing].tolist() == [2]


def test_refuses_an_objective_that_does_not_exist():
    words = "expected objective squared_error or absolute_error or cross_entropy or modal, got 'hinge': choose one"
    with pytest.raises(RefusedInputError, match=words):
        objective_of("hinge")


def test_refuses_an_answer_that_the_objective_does_not_give():
    words = "expected an answer by mode or mean or sample after cross_entropy, got 'prediction'"
    with pytest.raises(RefusedInputError, match=words):
        answered("cross_entropy", LOGITS.numpy(), "prediction")
