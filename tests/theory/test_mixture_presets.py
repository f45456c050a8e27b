import numpy as np
import pytest

from hallulab.theory.mixture_presets import MIXTURE_PRESETS
from hallulab.theory.mixture_regions import mixture_regions


def regions_of(name):
    preset = MIXTURE_PRESETS[name]
    return mixture_regions(preset.mixture, mass=preset.mass, rng=np.random.default_rng(0))


def verdicts_at_the_estimator(name):
    """Whether HDR and HCDR hold A*."""
    regions = regions_of(name)
    estimator = regions.mixture.optimal_estimator[None]
    return bool(regions.in_hdr(estimator)[0]), bool(regions.in_hcdr(estimator)[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("figure_2", (False, False)),
        ("figure_8", (True, False)),
        ("hdr_beyond_hcdr", (True, False)),
        ("hcdr_beyond_hdr", (True, True)),
        ("one_state", (True, True)),
        ("narrow_and_wide", (True, True)),
        ("ring", (True, False)),
        ("three_modes", (False, False)),
        ("crossing", (True, True)),
    ],
)
def test_the_estimator_is_where_the_preset_says(name, expected):
    assert verdicts_at_the_estimator(name) == expected


def test_every_preset_is_checked():
    assert len(MIXTURE_PRESETS) == 9
    assert all(preset.title and preset.what_to_see for preset in MIXTURE_PRESETS.values())


def test_figure_8_differs_both_ways():
    regions = regions_of("figure_8")
    points = np.array([[0.0], [2.5], [-2.5]])
    assert regions.in_hdr(points).tolist() == [True, False, False]
    assert regions.in_hcdr(points).tolist() == [False, True, True]


def test_likeliest_answer_of_all_is_outside_every_state():
    regions = regions_of("hdr_beyond_hcdr")
    grid = np.linspace(-4, 4, 8001)[:, None]
    assert grid[regions.mixture.log_marginal(grid).argmax()][0] == pytest.approx(0, abs=1e-9)


def test_rare_state_is_all_outside_the_hdr():
    regions = regions_of("hcdr_beyond_hdr")
    rare = np.linspace(*regions.hcdr.intervals[1], 101)[1:-1, None]
    assert regions.in_hcdr(rare).all()
    assert not regions.in_hdr(rare).any()


def test_verdicts_in_the_plane_do_not_hang_on_the_draws():
    for name in ("ring", "three_modes", "crossing"):
        regions = regions_of(name)
        threshold = regions.hdr_log_delta.interval
        at_estimator = regions.mixture.log_marginal(regions.mixture.optimal_estimator[None])[0]
        assert not threshold.low <= at_estimator <= threshold.high
