import json
import math

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.bounds_audit import (
    MIN_HITS,
    audit_theorem,
    default_draws,
    setting_of,
    tightness_grid,
)
from hallulab.records import as_plain
from hallulab.theory.mean_laws import LAWS


def no_missing_as_zero(value) -> None:
    """No NaN, no infinity anywhere in a record."""
    if isinstance(value, dict):
        for item in value.values():
            no_missing_as_zero(item)
    elif isinstance(value, list | tuple):
        for item in value:
            no_missing_as_zero(item)
    elif isinstance(value, float):
        assert math.isfinite(value)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 2, 5, 50])
@pytest.mark.parametrize("radius", [0.0, 0.1, 3.0])
def test_every_number_is_there_or_has_a_reason(law, n, radius):
    audit = audit_theorem(setting_of(law, n, radius), n_draws=2000)
    record = audit.to_json()
    no_missing_as_zero(record)
    for bound in (record["paper"], *record["proved"]):
        assert (bound["value"] is None) == bool(bound["reason"])
        assert (bound["value"] is None) == (bound["log_value"] is None)
    assert record["paper"]["silent"] == ("silent" in (record["paper"]["reason"] or ""))
    assert json.loads(json.dumps(as_plain(record), allow_nan=False)) == as_plain(record)
    low, high = record["measured"]["interval"]
    assert record["enclosure"][0] <= high
    assert low <= record["enclosure"][1]
    if audit.best_proved is not None:
        assert audit.best_proved.value <= high


def test_the_audit_is_repeatable():
    setting = setting_of("laplace", 3, 0.1)
    assert audit_theorem(setting, n_draws=5000, seed=4) == audit_theorem(setting, n_draws=5000, seed=4)
    assert (
        audit_theorem(setting, n_draws=5000, seed=4).measured != audit_theorem(setting, n_draws=5000).measured
    )


def test_sentences_say_what_was_found():
    audit = audit_theorem(setting_of("gaussian", 2, 0.1), n_draws=1000)
    spoken = audit.sentence()
    assert f"the paper's product is {audit.paper.value:.3g}" in spoken
    assert "of 1,000 draws (99 % interval" in spoken
    assert (
        "the theorem is silent here" in audit_theorem(setting_of("gaussian", 2, 0.9), n_draws=1000).sentence()
    )


def test_tightness_needs_enough_hits():
    rare = audit_theorem(setting_of("gaussian", 10, 1.0), n_draws=1000)
    assert 0 < rare.measured.n_hits < MIN_HITS or rare.measured.n_hits == 0
    assert all(rare.tightness(bound) is None for bound in rare.proved)


def test_the_grid_holds_every_cell():
    points = list(tightness_grid(("gaussian", "two_point"), (2, 4), (0.05, 0.3), n_draws=4000))
    assert len({(point.law, point.n_states, point.radius) for point in points}) == 8
    for point in points:
        assert (point.value is None) == bool(point.reason)
        if point.tightness is not None:
            assert point.tightness == pytest.approx(point.value / point.truth)
        assert point.value is None or point.value <= point.truth_interval[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_states": 0}, "at least one state, got 0"),
        ({"variances": (1.0, 2.0)}, "one variance or 3, one per state, got 2"),
        ({"variances": (-1.0,)}, "variance above 0, got -1"),
        ({"weights": (0.2, 0.2, 0.2)}, "weights that sum to 1"),
        ({"n_dimensions": 0}, "at least one dimension"),
    ],
)
def test_settings_are_refused_in_words(options, words):
    with pytest.raises(RefusedInputError, match=words):
        setting_of("gaussian", **({"n_states": 3, "radius": 0.1} | options))


@pytest.mark.parametrize(
    ("n", "n_dimensions", "expected"), [(10, 1, 1_000_000), (50, 512, 1953), (50, 3, 333_333)]
)
def test_draws_are_as_many_as_one_waits_for(n, n_dimensions, expected):
    assert default_draws(setting_of("gaussian", n, 0.1, n_dimensions=n_dimensions)) == expected


def test_fifty_states_in_512_dimensions():
    # ‖A* − μ_i‖ is about √512 = 22.6: all are far at r = 15, none at r = 30
    near, far = (audit_theorem(setting_of("gaussian", 50, r, n_dimensions=512)) for r in (30, 15))
    assert (near.measured.rate, far.measured.rate) == (0, 1)
    assert near.best_proved is None
    assert far.best_proved.value == pytest.approx(1, abs=1e-6)
    assert near.enclosure is None


def test_draws_are_limited():
    with pytest.raises(RefusedInputError, match="1 to 100,000,000 draws, got 0"):
        audit_theorem(setting_of("gaussian", 2, 0.1), n_draws=0)
