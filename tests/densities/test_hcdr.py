import json
import math

import numpy as np
import pytest

from hallulab.densities.hcdr import HcdrFrame
from hallulab.errors import RefusedInputError

CAT = np.arange(-10.0, 0.0)  # −10 … −1
DOG = np.arange(-20.0, -10.0)  # −20 … −11


def frame(**changes) -> HcdrFrame:
    return HcdrFrame(**{"states": ("cat", "dog"), "genuine_log_densities": (CAT, DOG), **changes})


def test_thresholds_by_hand():
    # 10th percentile of ten whole numbers lies 0.9 of the way from the first to the second
    np.testing.assert_allclose(frame().thresholds, [-9.1, -19.1], atol=1e-8)
    # ⌊0.1 · 11⌋ = 1: the smallest
    np.testing.assert_allclose(frame(threshold_rule="conformal").thresholds, [-10.0, -20.0], atol=1e-8)
    np.testing.assert_allclose(frame(tie_tolerance_nats=0.5).thresholds, [-9.6, -19.6], atol=1e-8)


def test_a_verdict_by_hand():
    inside, outside = frame().decide([[-12.0, -15.0], [-12.0, -25.0]])
    assert [state.inside for state in inside.states] == [False, True]
    assert not inside.is_hallucination
    # the largest density is the cat's, the largest margin the dog's: −15 − (−19.1)
    assert inside.argmax_state.state == "cat"
    assert inside.max_log_density == -12.0
    assert inside.margin_nats == pytest.approx(4.1, abs=1e-6)
    assert outside.is_hallucination
    assert outside.margin_nats == pytest.approx(-2.9, abs=1e-6)


def test_margin_and_verdict_never_disagree():
    rng = np.random.default_rng(0)
    for verdict in frame().decide(rng.uniform(-30, 0, (500, 2))):
        assert verdict.is_hallucination == (verdict.margin_nats <= 0)


def test_a_sample_at_its_own_threshold_is_inside():
    tied = frame(genuine_log_densities=(np.full(50, -3.0), DOG))
    assert not tied.decide([[-3.0, -99.0]])[0].is_hallucination


def test_another_mass_needs_no_model_and_keeps_the_samples():
    tight, loose = frame().with_mass(0.5), frame().with_mass(0.99)
    assert tight.thresholds[0] > frame().thresholds[0] > loose.thresholds[0]
    assert tight.genuine_log_densities is frame().genuine_log_densities or np.array_equal(
        tight.genuine_log_densities[0], CAT
    )


def test_absolute_delta_replaces_the_mass():
    absolute = frame().with_log_delta(math.log(0.2))
    verdict = absolute.decide([[math.log(0.2), math.log(0.21)]])[0]
    assert [state.inside for state in verdict.states] == [False, True]
    assert {state.n_genuine for state in verdict.states} == {0}
    assert absolute.with_mass(0.9).log_delta is None


def test_content_hash_sees_everything_that_decides():
    frames = [
        frame(), frame(hdr_mass=0.8), frame(threshold_rule="conformal"), frame(tie_tolerance_nats=0.1),
        frame(log_delta=-1.0), frame(states=("cat", "fox")), frame(genuine_log_densities=(CAT + 1e-9, DOG)),
    ]  # fmt: skip
    assert len({f.content_hash for f in frames}) == len(frames)
    assert frame().content_hash == frame().content_hash
    assert frame().decide([[0.0, 0.0]])[0].frame_hash == frame().content_hash


def test_json_holds_the_contract():
    document = json.loads(json.dumps(frame().decide([[-1.0, -2.0]])[0].to_json()))
    assert set(document["states"][0]) >= {"state", "log_density", "threshold", "inside"}
    assert {"max_log_density", "margin_nats", "is_hallucination", "frame_hash"} <= set(document)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"states": ()}, "at least one state"),
        ({"states": ("cat", "cat")}, "no state twice"),
        ({"genuine_log_densities": (CAT,)}, "for 2 states, got 1"),
        ({"hdr_mass": 1.0}, "mass between 0 and 1"),
        ({"threshold_rule": "median"}, "percentile or conformal, got 'median'"),
        ({"log_delta": math.inf}, "finite log δ"),
    ],
)
def test_refused_frames(changes, words):
    with pytest.raises(RefusedInputError, match=words):
        frame(**changes)


def test_refused_candidates():
    with pytest.raises(RefusedInputError, match=r"shape \(n, 2\), one column per state, got \(1, 3\)"):
        frame().decide([[0.0, 0.0, 0.0]])
    with pytest.raises(RefusedInputError, match="without NaN"):
        frame().decide([[math.nan, 0.0]])
