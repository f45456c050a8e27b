import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.constructions import BUILDERS, construct, largest_hallucinating_variance

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150)


@st.composite
def mixtures_asked_for(draw, least_states=2):
    """N, d, weights and δ; the weights differ by up to a factor of ten thousand."""
    n = draw(st.integers(least_states, 8))
    shares = np.array(draw(st.lists(st.integers(1, 10_000), min_size=n, max_size=n)), dtype=float)
    return {
        "n_states": n,
        "n_dimensions": draw(st.integers(1, 12)),
        "weights": shares / shares.sum(),
        "delta": 10 ** draw(st.floats(-12, 3)),
    }


def spd(rng, n, d):
    """n symmetric positive definite matrices of very different shapes."""
    roots = rng.normal(size=(n, d, d)) * 10 ** rng.uniform(-0.7, 0.7, size=(n, 1, 1))
    return roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(d)


@REPEATABLE
@given(mixtures_asked_for(), st.sampled_from(["repaired", "nonempty"]), st.floats(0, 20), st.floats(0, 5))
def test_what_is_proved_holds_for_every_choice(asked, version, epsilon, lipschitz):
    hints = np.linspace(0, 3, asked["n_states"])
    for theorem, more in {
        "5.1": {},
        "5.2": {"epsilon": epsilon},
        "5.2.1": {"epsilon": epsilon},
        "5.3": {"lipschitz": lipschitz, "hint_norms": hints},
    }.items():
        certificate = construct(theorem, version=version, **asked, **more)
        assert certificate.holds, certificate.reason
        if version == "nonempty":
            assert (certificate.region_masses > 0.9 - 1e-9).all()
    certificate = construct("C.1", version=version, n_states=asked["n_states"], delta=asked["delta"])
    assert certificate.holds, certificate.reason
    if version == "nonempty":
        assert (certificate.region_masses > 0.9 - 1e-9).all()


@pytest.mark.parametrize("seed", range(30))
def test_theorem_5_1_repaired_for_any_covariances(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 6)), int(rng.integers(1, 8))
    certificate = construct(
        "5.1", weights=rng.dirichlet(np.ones(n)), n_dimensions=d, delta=10 ** rng.uniform(-9, 0),
        covariances=spd(rng, n - 1, d),
    )  # fmt: skip
    assert certificate.holds, certificate.reason


def test_theorem_5_1_as_written_fails_exactly_where_its_two_slips_are_felt():
    """Against the densities written out by hand, over random weights, δ and covariances."""
    seen = set()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        n, d = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        weights, delta = rng.dirichlet(np.full(n, 0.4)) * 0.98 + 0.02 / n, 10 ** rng.uniform(-5, 0)
        sigmas = spd(rng, n - 1, d)
        ones, half_constant = np.ones(d), d * math.log(2 * math.pi) / 2
        need = np.array([-2 * math.log(delta) - np.log(np.linalg.det(sigma)) for sigma in sigmas])
        m = np.sqrt([max(0, a) / (ones @ sigma @ ones) for a, sigma in zip(need, sigmas, strict=True)])
        at_zero = [
            -half_constant
            - np.log(np.linalg.det(sigma)) / 2
            - (a**2 * ones @ np.linalg.inv(sigma) @ ones) / 2
            for a, sigma in zip(m, sigmas, strict=True)
        ]
        last = -(weights[:-1] @ m) / weights[-1]
        at_zero.append(-half_constant - math.log(delta) - last**2 * d * delta ** (-2 / d) / 2)
        expected = tuple(log_f <= math.log(delta) for log_f in at_zero)

        certificate = construct(
            "5.1", version="as_written", weights=weights, n_dimensions=d, delta=delta, covariances=sigmas
        ) if n > 1 else construct("5.1", version="as_written", n_states=1, n_dimensions=d, delta=delta)  # fmt: skip
        found = [claim for claim in certificate.claims if claim.kind == "conclusion"]
        assert [claim.left for claim in found] == pytest.approx(at_zero, rel=1e-9, abs=1e-9)
        assert tuple(claim.holds for claim in found) == expected
        seen |= {("last", expected[-1]), *(("other", holds) for holds in expected[:-1])}
        if not certificate.holds:
            assert ("det(Σ_N)" in certificate.reason) or ("1ᵀΣ_i⁻¹1" in certificate.reason)
    assert seen == {("last", True), ("last", False), ("other", True), ("other", False)}


def test_theorem_5_1_as_written_with_unit_covariances_fails_in_a_window_of_delta():
    # with ρ = (1 − p_N)/p_N and t = −2 ln δ / d, state N fails where e^t ρ² < 2 − ln(2π)/t: never for p_N <= 0.7063
    for share in (0.5, 0.7, 0.71, 0.9, 0.99):
        for delta in np.geomspace(1e-8, 0.99, 60):
            t, rho = -math.log(delta), (1 - share) / share  # d = 2
            fails = math.exp(t) * rho**2 < 2 - math.log(2 * math.pi) / t
            certificate = construct("5.1", version="as_written", weights=[1 - share, share], delta=delta)
            assert certificate.holds != fails
            assert not (fails and share <= 0.7063)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.501, 0.8])
def test_theorem_5_2_with_all_other_means_on_one_ray_needs_a_last_weight_up_to_a_half(share):
    certificate = construct("5.2", version="as_written", weights=[1 - share, share])
    hypotheses = [claim.holds for claim in certificate.claims if claim.kind == "hypothesis"]
    assert hypotheses == [True, share <= 0.5]
    assert construct("5.2", weights=[1 - share, share]).holds


@pytest.mark.parametrize("version", ["repaired", "nonempty"])
@pytest.mark.parametrize("theorem", ["5.2", "5.2.1", "5.3"])
def test_no_point_of_the_ball_is_likelier_than_the_worst_point(theorem, version):
    rng = np.random.default_rng(0)
    certificate = construct(theorem, version=version, weights=[0.2, 0.5, 0.3], n_dimensions=3)
    radius = certificate.parameters.get("epsilon", certificate.parameters.get("largest_reach"))
    for number, mixture in enumerate(certificate.mixtures, start=1):
        directions = rng.normal(size=(20_000, 3))
        directions[:3] = mixture.means - mixture.optimal_estimator
        ball = mixture.optimal_estimator + radius * directions / np.linalg.norm(directions, axis=1)[:, None]
        tried = mixture.log_densities(ball).max(axis=0)
        claimed = [c.left for c in certificate.claims if c.input == number and c.kind == "conclusion"]
        assert claimed[:3] == pytest.approx(tried.tolist(), abs=1e-9)
        assert (tried <= certificate.log_delta).all()


def test_hints_reach_as_far_as_each_allows():
    certificate = construct("5.3", hint_norms=[0.5, 2.0], lipschitz=3.0)
    hints = [claim for claim in certificate.claims if claim.about.startswith("hint")]
    (mixture,) = certificate.mixtures
    distances = np.linalg.norm(mixture.means, axis=1)
    by_hand = stats.norm.logpdf(distances - [1.5, 6.0]) + stats.norm.logpdf(0)  # d = 2, unit covariances
    assert [claim.left for claim in hints] == pytest.approx(by_hand.tolist())


def test_many_inputs_have_different_optimal_estimators():
    certificate = construct("5.2.1", n_inputs=4)
    estimators = np.array([mixture.optimal_estimator for mixture in certificate.mixtures])
    assert np.linalg.norm(np.diff(estimators, axis=0), axis=1) == pytest.approx(np.ones(3))


@pytest.mark.parametrize("n", [2, 3, 10, 50])
@pytest.mark.parametrize("delta", [1e-200, 1e-3, 0.1, 0.2, 0.5, 0.99, 3.0])
def test_theorem_c_1_against_a_grid_of_variances(n, delta):
    """Of all variances up to the bound, none lifts f_i(A*) above δ; a hair above the bound, one does."""

    def log_f(variance):
        return -n / 2 * np.log(2 * math.pi * variance) - (n - 1) / (2 * n * variance)

    bound = largest_hallucinating_variance(n, math.log(delta))
    top = 1e3 if math.isinf(bound) else bound
    assert (log_f(top * np.geomspace(1e-6, 1, 4000)) <= math.log(delta) + 1e-9).all()
    if math.isfinite(bound):
        assert log_f(bound * 1.001) > math.log(delta)
    if delta < 1:
        claimed = -(n - 1) / (2 * n * math.log(delta))
        as_written_is_right = (log_f(claimed * np.geomspace(1e-6, 1, 4000)) <= math.log(delta)).all()
        assert construct("C.1", version="as_written", n_states=n, delta=delta).holds == as_written_is_right


@pytest.mark.parametrize("n", [2, 3, 5, 6, 10, 16, 17, 40])
def test_theorem_c_1_as_written_holds_down_to_a_delta_that_grows_with_n(n):
    turning_point = (n - 1) / n**2
    threshold = math.pi * (n - 1) / n if n <= 5 else n / 2 * (1 + math.log(2 * math.pi * turning_point))
    assert (threshold > 0) == (n <= 16)
    for log_delta in (-threshold * 0.999, -threshold * 1.001, -1e-4, -20.0):
        if log_delta < 0:
            found = construct("C.1", version="as_written", n_states=n, delta=math.exp(log_delta))
            assert found.holds == (-log_delta <= threshold)


def test_theorem_c_1_minimises_the_cross_entropy():
    rng = np.random.default_rng(1)
    (mixture,) = construct("C.1", n_states=4).mixtures

    def risk(q):
        return -(mixture.weights @ mixture.means) @ np.log(q)

    assert all(risk(mixture.optimal_estimator) <= risk(rng.dirichlet(np.ones(4))) for _ in range(200))


def test_region_masses_against_draws():
    certificate = construct("5.2", version="as_written", delta=0.05, n_states=3)
    (mixture,) = certificate.mixtures
    points, states = mixture.sample(60_000, rng=np.random.default_rng(2))
    inside = mixture.log_densities(points)[np.arange(len(states)), states] > certificate.log_delta
    for state in range(3):
        share = inside[states == state].mean()
        assert share == pytest.approx(certificate.region_masses[0, state], abs=0.012)  # four standard errors


def test_an_empty_hcdr_is_said():
    certificate = construct(
        "5.2", n_dimensions=8
    )  # unit covariances: (2π)^−4 = 0.0006 is the largest density
    assert certificate.holds
    assert certificate.remark.startswith("The HCDR is empty")
    assert "0.9 to 0.9" in construct("5.2", n_dimensions=8, version="nonempty").remark


@pytest.mark.parametrize("theorem", [name for name in BUILDERS if name != "C.1"])
@pytest.mark.parametrize("version", ["repaired", "nonempty"])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (50, 1), (2, 512), (50, 64)])
def test_many_states_and_dimensions(theorem, version, n, d):
    certificate = construct(theorem, version=version, n_states=n, n_dimensions=d)
    assert certificate.holds
    assert all(math.isfinite(claim.margin) for claim in certificate.claims)


def test_the_largest_of_all():
    assert construct("5.1", n_states=50, n_dimensions=512).holds


def test_one_state_hallucinates_when_it_is_spread_out():
    assert construct("5.1", n_states=1, n_dimensions=512).holds
    assert not construct("5.1", n_states=1, n_dimensions=1, delta=0.1, version="as_written").holds


@pytest.mark.parametrize("version", ["repaired", "nonempty"])
def test_the_smallest_delta_in_many_dimensions(version):
    assert construct("5.1", delta=5e-324, n_dimensions=100, version=version).holds
    assert construct("5.2", delta=5e-324, n_dimensions=100, version=version).holds
    assert construct("C.1", delta=5e-324, n_states=100, version=version).holds


def test_json_has_every_claim_and_is_json():
    certificate = construct("5.3", version="nonempty", n_states=3)
    found = json.loads(json.dumps(certificate.to_json(), allow_nan=False))
    assert (found["theorem"], found["version"], found["holds"], found["reason"]) == (
        "5.3",
        "nonempty",
        True,
        None,
    )
    assert len(found["claims"]) == found["n_claims"] == 1 + 3 + 3 + 3
    assert found["claims"][-1]["margin_nats"] == pytest.approx(certificate.claims[-1].margin)
    assert found["claims"][0]["margin_nats"] is None
    assert len(found["mixtures"][0]["variances"]) == 3
    full = construct("5.1", covariances=[[[2.0, 0.5], [0.5, 1.0]]]).to_json()
    assert full["mixtures"][0]["covariances"][0] == [[2.0, 0.5], [0.5, 1.0]]
    assert json.dumps(construct("C.1", delta=0.5).to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("theorem", "choices", "words"),
    [
        ("6.1", {}, "expected theorem 5.1, 5.2, 5.2.1, 5.3 or C.1, got '6.1'"),
        ("5.1", {"version": "fixed"}, "expected version as_written, repaired or nonempty, got 'fixed'"),
        ("5.1", {"epsilon": 1.0}, "Theorem 5.1 has no epsilon: expected it with 5.2 or 5.2.1 only"),
        ("5.2", {"hints": 1.0}, "expected choices among"),
        ("5.1", {"n_states": 0}, "expected n_states as a whole number from 1, got 0"),
        ("5.1", {"n_dimensions": 1.5}, "expected n_dimensions as a whole number from 1, got 1.5"),
        ("5.1", {"delta": 0}, "expected δ above 0, got 0"),
        ("5.1", {"delta": -0.1}, "expected δ above 0, got -0.1"),
        ("5.1", {"delta": math.nan}, "expected δ above 0, got nan"),
        ("5.1", {"delta": 2, "version": "as_written"}, "takes δ in (0, 1], got 2"),
        ("C.1", {"delta": 1, "version": "as_written"}, "positive for δ < 1 only, got δ = 1"),
        ("5.1", {"weights": [0.5, 0.6]}, "expected weights that sum to 1, got a sum of 1.1"),
        ("5.1", {"weights": [0.0, 1.0]}, "expected weights above 0, got 0"),
        ("5.1", {"weights": [0.5, 0.5], "n_states": 3}, "expected 3 weights, one per state, got 2"),
        ("C.1", {"weights": [0.4, 0.6]}, "Theorem C.1 is about equal weights 1/N"),
        ("C.1", {"n_states": 3, "n_dimensions": 2}, "expected n_dimensions = n_states = 3, got 2"),
        ("C.1", {"covariances": 0.2}, "expected one variance above 0 and at most 0.08"),
        ("5.2", {"n_states": 1}, "expected at least 2 states for Theorem 5.2"),
        ("5.1", {"n_states": 1, "version": "nonempty"}, "expected at least 2 states for Theorem 5.1"),
        ("5.2", {"epsilon": -1}, "expected epsilon of 0 or more, got -1"),
        ("5.3", {"lipschitz": math.inf}, "expected lipschitz of 0 or more, got inf"),
        ("5.3", {"hint_norms": [1.0, 2.0, 3.0]}, "expected one hint norm, or 2, one per state, got 3"),
        ("5.3", {"hint_norms": [-1.0, 2.0]}, "expected hint norms of 0 or more, got -1"),
        ("5.1", {"covariances": [1.0, 2.0]}, "as one variance, 1 variances or shape (1, 2, 2), got shape (2,)"),
        ("5.1", {"covariances": [[[1.0, 2.0], [2.0, 1.0]]]}, "has the eigenvalue -1"),
        ("5.1", {"covariances": 9.0, "version": "nonempty"}, "whose densities exceed δ = 0.1 somewhere"),
        ("5.1", {"delta": 1e-300, "n_dimensions": 1}, "needs a variance of 1e+600, more than double precision"),
        ("5.2", {"weights": [1e-200, 1.0]}, "too far apart for double precision"),
        ("5.2", {"epsilon": 1e200}, "or shorter distances"),
        ("5.2.1", {"n_states": 50, "n_dimensions": 512, "n_inputs": 6}, "expected at most 67,108,864 numbers"),
    ],
)  # fmt: skip
def test_refusals(theorem, choices, words):
    with pytest.raises(RefusedInputError) as refusal:
        construct(theorem, **choices)
    assert words in str(refusal.value)
