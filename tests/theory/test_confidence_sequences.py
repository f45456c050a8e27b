"""Intervals that may be looked at after every sample: by hand, against a grid, and by simulation."""

import math

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.confidence_sequences import anytime_interval, log_evidence_against
from hallulab.theory.intervals import wilson_interval


def test_eight_in_a_row_decide_about_one_half_and_seven_do_not():
    # no success in n: evidence against 1/2 is 2^n / (n + 1); 2^7/8 = 16 < 20 = 1/0.05, 2^8/9 = 28.4 > 20
    assert math.exp(log_evidence_against(0.5, 0, 7)) == pytest.approx(16)
    assert anytime_interval(0, 7).high > 0.5 > anytime_interval(0, 8).high
    # its end p solves 1 / (9 (1 − p)^8) = 20
    assert anytime_interval(0, 8).high == pytest.approx(1 - (1 / 180) ** (1 / 8))
    assert anytime_interval(0, 8).low == 0
    # two in sixteen: 2^16 · 2 / (17 · 16 · 15) = 32.1 > 20; three: 2^16 · 6 / (17 · 16 · 15 · 14) = 6.9
    assert anytime_interval(2, 16).high < 0.5 < anytime_interval(3, 16).high


def test_nothing_is_known_before_the_first_sample():
    assert vars(anytime_interval(0, 0)) == {"low": 0, "high": 1}
    assert anytime_interval(0, 1).low == 0
    assert anytime_interval(1, 1).high == 1


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (1, 3), (5, 16), (16, 16), (40, 100), (0, 5000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_ends_are_where_a_fine_grid_puts_them(k: int, n: int, confidence: float):
    rates = np.linspace(0, 1, 20_001)
    kept = [rate for rate in rates if log_evidence_against(rate, k, n) < -math.log(1 - confidence)]
    interval = anytime_interval(k, n, confidence=confidence)
    assert interval.low == pytest.approx(kept[0], abs=1e-4)
    assert interval.high == pytest.approx(kept[-1], abs=1e-4)


def test_mirrored_samples_have_mirrored_intervals():
    some, others = anytime_interval(3, 11), anytime_interval(8, 11)
    assert some.low == pytest.approx(1 - others.high)
    assert some.high == pytest.approx(1 - others.low)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5])
def test_it_misses_at_no_look_in_95_percent_of_runs_where_a_plain_interval_misses_more(rate: float):
    rng = np.random.default_rng(0)
    n_runs, n = 2_000, 64
    counts = np.cumsum(rng.random((n_runs, n)) < rate, axis=1)
    ours = np.array([[_misses(anytime_interval(k, m), rate) for k in range(m + 1)] + [False] * (n - m)
                     for m in range(1, n + 1)])  # fmt: skip
    plain = np.array([[_misses(wilson_interval(k, m), rate) for k in range(m + 1)] + [False] * (n - m)
                      for m in range(1, n + 1)])  # fmt: skip
    looks = np.arange(n)
    assert ours[looks, counts].any(axis=1).mean() <= 0.05
    assert plain[looks, counts].any(axis=1).mean() > 0.1


@pytest.mark.parametrize("wrong", [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 0.0), (1, 3, 1.0)])
def test_wrong_counts_are_refused(wrong):
    with pytest.raises(RefusedInputError, match="expected"):
        anytime_interval(wrong[0], wrong[1], confidence=wrong[2])


def _misses(interval, rate: float) -> bool:
    return not interval.low <= rate <= interval.high
