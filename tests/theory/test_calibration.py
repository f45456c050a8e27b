"""Reliability, ECE and MCE: by hand, against scikit-learn's curve, and resampled by group."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from hallulab.errors import RefusedInputError
from hallulab.theory.calibration import bin_confidences


def test_hand_computed_example():
    # bins of width 1/2: {0.2: no, 0.4: yes} and {0.9: yes, 0.7: no (weight 2)}
    binned = bin_confidences([0.2, 0.4, 0.9, 0.7], [0, 1, 1, 0], weight=[1, 1, 1, 2], n_bins=2)
    found = binned.reliability
    assert found.confidence == pytest.approx([0.3, 2.3 / 3])
    assert found.outcome == pytest.approx([0.5, 1 / 3])
    assert found.ece == pytest.approx((2 * 0.2 + 3 * (2.3 / 3 - 1 / 3)) / 5)
    assert found.mce == pytest.approx(1.3 / 3)


def test_empty_bins_are_missing_not_zero():
    found = bin_confidences([0.05, 1.0], [0, 1]).reliability
    assert np.isnan(found.outcome[1:9]).all()
    assert (found.share[0], found.share[9]) == (0.5, 0.5)
    assert found.mce == pytest.approx(0.05)


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    confidence = rng.random(500)
    outcome = (rng.random(500) < confidence**2).astype(float)
    found = bin_confidences(confidence, outcome).reliability
    true, predicted = calibration_curve(outcome, confidence, n_bins=10)
    assert found.outcome == pytest.approx(true)
    assert found.confidence == pytest.approx(predicted)


def test_a_calibrated_model_has_a_small_error_and_an_overconfident_one_a_large_one():
    rng = np.random.default_rng(1)
    confidence = rng.random(20_000)
    outcome = (rng.random(20_000) < confidence).astype(float)
    assert bin_confidences(confidence, outcome).reliability.ece < 0.02
    assert bin_confidences(np.sqrt(confidence), outcome).reliability.ece > 0.1


def test_groups_are_resampled_whole():
    confidence, outcome = np.array([0.1, 0.3, 0.8, 0.95]), np.array([0.0, 1.0, 1.0, 0.0])
    binned = bin_confidences(confidence, outcome, group=[0, 0, 1, 1])
    ece, mce = binned.errors([[2, 0], [1, 1]])
    alone = bin_confidences(confidence[:2], outcome[:2]).reliability
    assert (ece[0], mce[0]) == (pytest.approx(alone.ece), pytest.approx(alone.mce))
    assert ece[1] == pytest.approx(binned.reliability.ece)


@pytest.mark.parametrize(
    ("confidence", "outcome", "weight", "words"),
    [
        ([0.5, 1.2], [0, 1], None, "confidence from 0 to 1"),
        ([0.5, np.nan], [0, 1], None, "confidence from 0 to 1"),
        ([0.5, 0.6], [0, 2], None, "outcome from 0 to 1"),
        ([0.5], [0, 1], None, "one shape"),
        ([0.5, 0.6], [0, 1], [0, 0], "not all 0"),
        ([0.5, 0.6], [0, 1], [-1, 2], "weights of 0 or more"),
    ],
)
def test_refusals(confidence, outcome, weight, words):
    with pytest.raises(RefusedInputError, match=words):
        bin_confidences(confidence, outcome, weight=weight)
