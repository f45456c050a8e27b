import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_objectives import OBJECTIVES, objective_of
from hallulab.experiments.coin_settings import ObjectiveName

PREDICTED = torch.tensor([[0.5], [2.25], [-1.0]])  # three draws of two coins
LOGITS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
NAN, INF = math.nan, math.inf


def answered(name, outputs, answer, *, rounding="nearest"):
    return objective_of(name).answers_of(np.asarray(outputs, dtype=float), answer, rounding=rounding)


def said(*args, **kwargs):
    """The one number that is said for each draw."""
    answers = answered(*args, **kwargs)
    assert (answers.shares == 1).all()
    return answers.values[:, 0]


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


def test_a_prediction_is_rounded_as_the_variant_says_or_left_as_it_is():
    outputs = [[0.5], [2.2], [-0.4], [NAN], [INF]]
    np.testing.assert_array_equal(said("squared_error", outputs, "prediction"), [0, 2, 0, NAN, INF])
    up = said("absolute_error", [[0.5], [2.2], [-0.4]], "prediction", rounding="ceil")
    np.testing.assert_array_equal(up, [1, 3, 0])
    as_it_is = said("modal", outputs, "prediction", rounding=None)
    np.testing.assert_array_equal(as_it_is, [0.5, 2.2, -0.4, NAN, INF])


def test_a_predicted_pmf_answers_with_its_mode_or_its_mean():
    logits = np.log([[0.4, 0.35, 0.25], [0.1, 0.1, 0.8]])
    np.testing.assert_array_equal(said("cross_entropy", logits, "mode"), [0, 2])
    # means 0.85 and 1.7
    np.testing.assert_array_equal(said("cross_entropy", logits, "mean"), [1, 2])
    np.testing.assert_allclose(said("cross_entropy", logits, "mean", rounding=None), [0.85, 1.7])
    logits = np.log([[0.7, 0.2, 0.1]])  # mean 0.4
    np.testing.assert_array_equal(said("cross_entropy", logits, "mean"), [0])
    np.testing.assert_array_equal(said("cross_entropy", logits, "mean", rounding="ceil"), [1])


def test_samples_have_the_shares_of_the_predicted_pmf():
    pmf = np.array([[0.4, 0.35, 0.25], [0.1, 0.1, 0.8], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        found = answered("cross_entropy", np.log(pmf), "sample")
    np.testing.assert_array_equal(found.values, [[0, 1, 2]])
    np.testing.assert_allclose(found.shares, pmf)


@pytest.mark.parametrize("broken", [[NAN, 0.0, 0.0], [INF, 0.0, 0.0], [-INF, -INF, -INF]])
def test_logits_that_are_no_pmf_are_missing_answers(broken):
    logits = [[0.0, 0.0, 50.0], broken]
    for answer in ("mode", "mean"):
        np.testing.assert_array_equal(said("cross_entropy", logits, answer), [2, NAN])
    assert np.isnan(answered("cross_entropy", logits, "sample").shares).any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_answers_of_many_moments_are_those_of_each(name):
    objective = OBJECTIVES[name]
    outputs = np.random.default_rng(0).normal(size=(3, 4, objective.n_outputs(2)))
    for answer in objective.answers:
        found, alone = (objective.answers_of(o, answer, rounding="nearest") for o in (outputs, outputs[1]))
        each = np.broadcast_to(found.values, (3, *alone.values.shape))[1]
        np.testing.assert_array_equal(each, alone.values)
        np.testing.assert_array_equal(
            np.broadcast_to(found.shares, (3, *alone.shares.shape))[1], alone.shares
        )


def test_refuses_an_objective_that_does_not_exist():
    words = "expected objective squared_error or absolute_error or cross_entropy or modal, got 'hinge': choose one"
    with pytest.raises(RefusedInputError, match=words):
        objective_of("hinge")


def test_refuses_an_answer_that_the_objective_does_not_give():
    words = "expected an answer by mode or mean or sample after cross_entropy, got 'prediction'"
    with pytest.raises(RefusedInputError, match=words):
        answered("cross_entropy", LOGITS.numpy(), "prediction")
