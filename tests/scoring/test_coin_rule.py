import math

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.scoring.coin_rule import CoinRule, is_outside, rule_of
from hallulab.scoring.coins import poisson_binomial_pmf


@pytest.mark.parametrize("delta", [0, 1.5, -0.1, math.nan])
def test_rule_refuses_a_delta_no_pmf_can_have(delta):
    with pytest.raises(RefusedInputError, match=r"expected δ in \(0, 1\] for a pmf"):
        CoinRule(delta=delta)


@pytest.mark.parametrize("delta", ["x", [0.3], True])
def test_rule_refuses_a_delta_that_is_no_number(delta):
    with pytest.raises(RefusedInputError, match="expected δ as a number, got"):
        CoinRule(delta=delta)


def test_rule_refuses_a_mass_outside_0_1_or_that_is_no_number():
    with pytest.raises(RefusedInputError, match="expected an HDR mass between 0 and 1"):
        CoinRule(hdr_mass=1.0, delta=None)
    with pytest.raises(RefusedInputError, match="expected an HDR mass as a number, got '0.9'"):
        CoinRule(hdr_mass="0.9")  # type: ignore[arg-type]


def test_a_person_gives_delta_or_a_mass_or_neither():
    assert rule_of(delta=None, hdr_mass=None) == CoinRule()
    assert rule_of(delta=0.4, hdr_mass=None) == CoinRule(delta=0.4)
    assert rule_of(delta=None, hdr_mass=0.8) == CoinRule(0.8, None)
    with pytest.raises(
        RefusedInputError, match=r"got both \(0.4 and 0.8\): choose the one that shall decide"
    ):
        rule_of(delta=0.4, hdr_mass=0.8)


def test_a_probability_at_delta_is_outside_however_it_was_rounded():
    probabilities = [0.3, 0.1 + 0.2, 0.3 + 1e-6, 0.0]
    log_delta = CoinRule(delta=0.3).log_delta(np.full((1, 2), 0.5))
    assert is_outside(probabilities, log_delta).tolist() == [True, True, False, True]


def test_by_mass_every_pmf_has_its_own_line():
    pmf = np.stack([poisson_binomial_pmf([0.5, 0.5]), poisson_binomial_pmf([0.9, 0.9])])
    log_delta = CoinRule(hdr_mass=0.5, delta=None).log_delta(pmf)
    assert (pmf > np.exp(log_delta)[:, None]).tolist() == [[False, True, False], [False, False, True]]
