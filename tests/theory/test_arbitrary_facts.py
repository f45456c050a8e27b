"""Good–Turing and Theorem 2 of [KNVZ] against hand calculation, closed forms and simulation."""

import math
from itertools import product

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.arbitrary_facts import (
    count_singletons,
    estimate_missing_mass,
    expected_singleton_rate,
    first_size,
    missing_mass,
    missing_mass_excess,
    missing_mass_shortfall,
    paper_lower_bound,
    paper_upper_bound,
    sharp_lower_bound,
    sharp_upper_bound,
)


def test_singletons_and_missing_mass_by_hand():
    # facts seen 0, 1, 1, 2, 5 times in 12 samples, 3 of which said "I do not know"
    seen = count_singletons([0, 1, 1, 2, 5], 12)
    assert (seen.n_once, seen.n_twice, seen.rate) == (2, 1, 2 / 12)
    assert missing_mass([0.1, 0.2, 0.2, 0.2, 0.2], [0, 1, 1, 2, 5]) == 0.1
    assert estimate_missing_mass(seen).estimate == 2 / 12
    # Esty: variance (1/6 · 5/6 + 2 · 1/12) / 12
    width = 1.959964 * math.sqrt((5 / 36 + 1 / 6) / 12)
    found = estimate_missing_mass(seen).interval
    assert (found.low, found.high) == pytest.approx((max(0, 1 / 6 - width), 1 / 6 + width), abs=1e-6)


def test_expectations_by_enumeration():
    q, n = np.array([0.5, 0.2, 0.1]), 4  # the remaining 0.2 is "I do not know"
    probability = np.append(q, 0.2)
    rate = mass = 0.0
    for sample in product(range(4), repeat=n):
        counts = np.bincount(sample, minlength=4)[:3]
        weight = probability[list(sample)].prod()
        rate += weight * count_singletons(counts, n).rate
        mass += weight * missing_mass(q, counts)
    assert expected_singleton_rate(q, n) == pytest.approx(rate)
    assert (q * (1 - q) ** n).sum() == pytest.approx(mass)
    assert 0 <= rate - mass <= 1 / n
    assert expected_singleton_rate([1.0], 1) == 1
    assert expected_singleton_rate([1.0], 3) == 0
    assert np.full(60_000, 1 / 60_000).sum() != 1  # in floats
    assert expected_singleton_rate(np.full(60_000, 1 / 60_000), 1) <= 1


def test_theorem_2_by_hand():
    lower = paper_lower_bound(0.3, 3_000, 364, delta=0.01)
    # (35 + 6 ln 3000) / √3000 = (35 + 48.038) / 54.772 = 1.5161: alone more than any error rate
    assert lower.concentration == pytest.approx(1.5161, abs=1e-4)
    assert lower.value == pytest.approx(0.3 - 2 / 364 - 1.5161 - 0.01, abs=1e-4)
    assert not lower.says_something
    upper = paper_upper_bound(0.3, 3_000, 364)
    assert upper.value == pytest.approx(0.3 - 0.3 / 365 + 13 / math.sqrt(3_000))
    assert upper.says_something


def test_sharp_bounds_by_hand():
    # N = 10⁶, sr = 0.2: ln 400 = 5.9915, m = 0.2 − 1e-6 − 2.27198 · 2.44775e-3 = 0.194438
    # κ = (365/364) √(5.9915 · ln(4e8) / 2e6) = 1.002747 · √(5.9915 · 19.8070 / 2e6) = 0.0077241
    found = sharp_lower_bound(0.2, 1_000_000, 364)
    assert found.value == pytest.approx(0.194438 - 0.0077241 * math.sqrt(0.194438) - 2 / 364, abs=2e-6)
    assert found.value > paper_lower_bound(0.2, 1_000_000, 364).value
    # ln 200 = 5.2983: (364/365)(0.2 + 2.41421 · 2.30181e-3)
    upper = sharp_upper_bound(0.2, 1_000_000, 364)
    assert upper.value == pytest.approx(364 / 365 * (0.2 + 2.41421 * 2.30181e-3), abs=1e-6)
    assert upper.value < paper_upper_bound(0.2, 1_000_000, 364).value


def test_the_sharp_lower_bound_grows_with_the_singleton_rate():
    values = [sharp_lower_bound(rate, 5_000, 364).value for rate in np.linspace(0, 1, 400)]
    assert (np.diff(values) >= -1e-15).all()
    assert values[0] == pytest.approx(-2 / 364)


@pytest.mark.parametrize(("n_facts", "n"), [(3, 5), (40, 30), (2_000, 300), (2_000, 20_000)])
def test_tails_of_the_missing_mass(n_facts, n):
    rng, failure = np.random.default_rng([n_facts, n]), 0.1
    weights = 1 / np.arange(1, n_facts + 1)
    q = np.append(0.9 * weights / weights.sum(), 0.1)
    gaps = []
    for counts in rng.multinomial(n, q, size=1_000)[:, :-1]:
        gaps.append(missing_mass(q[:-1], counts) - count_singletons(counts, n).rate)
    gaps = np.array(gaps)
    assert (gaps < -1 / n - missing_mass_shortfall(n, failure)).mean() <= failure
    assert (gaps > missing_mass_excess(n, failure)).mean() <= failure


def test_esty_covers_about_as_often_as_it_says():
    rng, n = np.random.default_rng(0), 3_000
    weights = 1 / np.arange(1, 1_001) ** 0.9
    q = np.append(0.9 * weights / weights.sum(), 0.1)
    covered = proved = 0
    for counts in rng.multinomial(n, q, size=1_000)[:, :-1]:
        found, truth = estimate_missing_mass(count_singletons(counts, n)), missing_mass(q[:-1], counts)
        covered += found.interval.low <= truth <= found.interval.high
        proved += found.proved_interval.low <= truth <= found.proved_interval.high
    assert 930 <= covered <= 970  # 3 standard errors around 950
    assert proved == 1_000


def test_first_size():
    bound = lambda rate, n: paper_lower_bound(rate, n, 364)  # noqa: E731
    q = np.full(100_000, 1 / 100_000)
    found = first_size(bound, lambda n: expected_singleton_rate(q, n))
    # (35 + 6 ln N)/√N + 2/364 falls below 1 at N = 7995, as trying every N shows
    assert found.in_some_world == next(n for n in range(1, 10_000) if bound(1.0, n).value > 0)
    assert found.in_this_world is not None
    assert found.until is not None
    for n, says in ((found.in_this_world, True), (found.in_this_world - 1, False), (found.until, True)):
        assert bound(expected_singleton_rate(q, n), n).says_something == says
    assert not bound(expected_singleton_rate(q, found.until + 1), found.until + 1).says_something
    small = np.full(100, 1 / 100)
    assert first_size(bound, lambda n: expected_singleton_rate(small, n)).in_this_world is None
    upper = first_size(
        lambda rate, n: paper_upper_bound(rate, n, 364), lambda n: expected_singleton_rate(small, n)
    )
    assert upper.until is None
    assert upper.in_some_world == 170  # 13/√N < 1 from N = 170 on


def test_refusals():
    with pytest.raises(RefusedInputError, match="at most N"):
        count_singletons([3, 4], 6)
    with pytest.raises(RefusedInputError, match="confidence"):
        estimate_missing_mass(count_singletons([1], 1), confidence=1.0)
    with pytest.raises(RefusedInputError, match="singleton rate"):
        paper_lower_bound(1.2, 10, 3)
    with pytest.raises(RefusedInputError, match="at least one plausible error"):
        sharp_upper_bound(0.2, 10, 0)
