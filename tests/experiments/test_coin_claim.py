import numpy as np
import pytest

from hallulab.data.coins import all_draws
from hallulab.experiments.coin_claim import coin_claim, least_loss, most_right
from hallulab.scoring.coins import coin_pmf
from tests.hand_made_coins import point, run

FLOOR = 0.3125
"""least expected squared error at N = 2"""


def claimed(*curves, epochs=4):
    """Rounds of (loss above the floor, P(right)) at epochs 0, 1, 2, …"""
    points = [
        point(seed, epoch, expected_loss=FLOOR + excess, conditional_probability_data_law=right)
        for seed, curve in enumerate(curves)
        for epoch, (excess, right) in enumerate(curve)
    ]
    return coin_claim(run(points, epochs=epochs, rounds=len(curves)))


def curve(*after, untrained=(2.0, 0.1)):
    """A round that is near its floor from epoch 1 on."""
    return (untrained, (0.01, 0.5), *after)


def test_floor_and_ceiling_are_those_of_the_exact_law():
    result = run()
    assert least_loss(result) == pytest.approx(FLOOR)
    assert most_right(result) == pytest.approx(29 / 48)  # 0.6042
    nats = run(objective="cross_entropy")
    pmf = coin_pmf(all_draws(2), 2)
    entropy = -np.where(pmf > 0, pmf * np.log(np.where(pmf > 0, pmf, 1)), 0).sum(axis=1).mean()
    assert least_loss(nats) == pytest.approx(entropy)


def test_being_right_that_stands_still_supports_the_claim():
    still = curve((0.008, 0.5), (0.006, 0.5), (0.004, 0.5))
    claim = claimed(still, still, still)
    assert (claim.n_near, claim.near_epoch.mean) == (3, 1)
    assert (claim.after.over_rounds, claim.after.n_undefined) == (None, 3)
    assert (claim.right_change.verdict, claim.right_change.mean, claim.right_change.p_value) == (
        "within",
        0,
        None,
    )
    assert claim.loss_change.mean == pytest.approx(-0.006)
    # ranks of the losses 5 4 3 2 1, of P(right) 1 and four times 3.5: r = −2 / √8 = −0.7071 in every round
    assert (claim.whole.over_rounds.mean, claim.whole.over_rounds.interval) == (
        pytest.approx(-0.5 * 2**0.5),
        None,
    )
    rights = (claim.right_untrained.mean, claim.right_near.mean, claim.right_last.mean)
    assert rights == pytest.approx((0.1, 0.5, 0.5))


def test_a_change_that_is_small_in_every_round_is_within_the_margin():
    rounds = [
        curve((0.008, 0.5), (0.006, 0.5), (0.004, 0.5 + change)) for change in (0.001, -0.001, 0.002, 0.0)
    ]
    claim = claimed(*rounds)
    assert claim.right_change.verdict == "within"
    assert claim.right_change.mean == pytest.approx(0.0005)
    assert claim.right_change.p_value < 0.05


def test_a_change_beyond_the_margin_speaks_against_the_claim():
    rounds = [curve((0.008, 0.52), (0.006, 0.55), (0.004, 0.6 + change)) for change in (0.001, -0.001, 0.002)]
    claim = claimed(*rounds)
    assert claim.right_change.verdict == "beyond"
    assert claim.after.over_rounds.mean == pytest.approx(-0.9)  # −1 of four moments, half a step nearer to 0


def test_few_or_scattered_rounds_cannot_say():
    scattered = [curve((0.008, 0.5), (0.006, 0.5), (0.004, 0.5 + change)) for change in (0.03, -0.03, 0.02)]
    assert claimed(*scattered).right_change.verdict == "undecided"
    assert claimed(*scattered[:2]).right_change.verdict == "undecided"


def test_rounds_that_never_come_near_are_not_asked():
    far = ((2.0, 0.1), (1.0, 0.2), (0.5, 0.3))
    claim = claimed(far, far, far, epochs=2)
    assert (claim.n_near, claim.right_change, claim.near_epoch.mean) == (0, None, None)
    assert (
        claim.whole.over_rounds.mean < -0.4
    )  # −1 in each of three rounds of three moments, half a step nearer to 0


def test_moments_without_numbers_are_left_out():
    points = [point(0, epoch, expected_loss=None) for epoch in range(5)]
    claim = coin_claim(run(points, rounds=1))
    assert (claim.n_near, claim.whole.over_rounds, claim.whole.n_undefined) == (0, None, 1)
