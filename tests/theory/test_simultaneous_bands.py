import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.simultaneous_bands import MIN_CURVES, simultaneous_band


def band(curves, **options):
    return simultaneous_band(curves, rng=np.random.default_rng(0), **options)


def test_equal_curves_have_a_band_of_no_width():
    curve = np.linspace(-1, 1, 5)
    found = band([curve] * 6)
    np.testing.assert_allclose(found.mean, curve)
    assert (found.half_width, found.n) == (0, 6)
    assert found.is_below_zero.tolist() == [True, True, False, False, False]
    assert found.is_above_zero.tolist() == [False, False, False, True, True]


def test_few_curves_have_no_band_and_decide_nothing():
    found = band([[-1.0, 1.0]] * (MIN_CURVES - 1))
    assert found.half_width is None
    assert not found.is_below_zero.any()
    assert not found.is_above_zero.any()


def test_one_place_alone_is_a_bootstrap_interval_of_its_mean():
    values = np.random.default_rng(1).normal(size=30)
    means = np.random.default_rng(2).choice(values, size=(20_000, 30)).mean(axis=1)
    expected = np.quantile(np.abs(means - values.mean()), 0.95) * np.sqrt(30 / 29)
    assert band(values[:, None], n_resamples=20_000).half_width == pytest.approx(expected, rel=0.03)


def test_all_places_are_held_together():
    """The true mean curve is 0: how often the whole of it is in the band, or in one made for a single place."""
    rng = np.random.default_rng(3)
    together, alone = [], []
    for _ in range(300):
        steps = rng.normal(size=(20, 12))  # places that hang together a little
        curves = steps + np.roll(steps, 1, axis=1)
        found = simultaneous_band(curves, rng=rng, n_resamples=300)
        one = simultaneous_band(curves[:, :1], rng=rng, n_resamples=300)
        together.append(np.abs(found.mean).max() <= found.half_width)
        alone.append(np.abs(found.mean).max() <= one.half_width)
    assert np.mean(together) > 0.9
    assert np.mean(alone) < 0.8


def test_a_higher_confidence_is_wider():
    curves = np.random.default_rng(4).normal(size=(20, 3))
    assert band(curves, confidence=0.99).half_width > band(curves, confidence=0.9).half_width


@pytest.mark.parametrize("curves", [[], [[]], [1.0, 2.0], [[np.nan]]])
def test_refuses_what_are_no_curves(curves):
    with pytest.raises(RefusedInputError, match="expected finite curves of shape"):
        band(curves)


def test_refuses_a_confidence_out_of_range():
    with pytest.raises(RefusedInputError, match="expected a confidence between 0 and 1"):
        band([[1.0]], confidence=1)
