"""Mixtures whose optimal estimator δ-hallucinates: Theorems 5.1, 5.2, 5.2.1, 5.3 and C.1 of [LHZSL], built and checked.

Each theorem comes in three versions. `as_written` follows the paper's formulas, gaps included. `repaired` is proved for
every choice that `Construction` accepts. `nonempty` is proved as well, and leaves every state a region of answers above
δ: the paper's covariances can push every density below δ everywhere, and then every answer hallucinates, not A* alone.
The proofs are in docs/theory.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.certificates import Certificate, Claim
from hallulab.theory.construction_settings import Construction, chosen
from hallulab.theory.gaussians import LOG_TWO_PI, GaussianMixture
from hallulab.theory.worst_points import worst_log_densities

STATEMENTS = {
    "5.1": "There are Gaussian states under which the optimal estimator A* δ-hallucinates.",
    "5.2": "There are Gaussian states under which every estimator within ε of A* δ-hallucinates.",
    "5.2.1": "There are Gaussian states at each of many inputs under which an estimator within ε of A* at every one of "
    "them δ-hallucinates at every one of them.",
    "5.3": "There are Gaussian states under which an L-Lipschitz estimator that is optimal at X still δ-hallucinates "
    "at X + δ_i, for every hint δ_i, although the hint selects state Z_i.",
    "C.1": "There are Gaussian states around one-hot vectors under which the averaged distribution, which minimises "
    "the cross-entropy, δ-hallucinates.",
}
"""what each theorem says, in our words"""
REGION_MASS = 0.9
"""share of a state's own answers inside its region in the version nonempty, where its covariance is not given"""
SLACK = 1e-2
"""share by which the version nonempty sets means further away than proved, so that rounding decides nothing"""
VARIANCE_SLACK = 1e-6
"""share by which the repaired C.1 stays below the largest proved variance, so that rounding decides nothing"""
LEAST_BRACKET = 1e-9
"""how far the root of C.1's equation stays from where the equation has a double root"""
LOG_VARIANCE_LIMIT = 200.0
"""largest |ln variance|; beyond it, squared distances leave the range of double precision"""
LARGEST_COORDINATE = 1e100
"""of a mean; beyond it, squared distances may leave the range of double precision"""
INPUT_SPACING = 1.0
"""5.2.1: distance of the optimal estimators of neighbouring inputs"""


@dataclass(frozen=True)
class _Built:
    """What a theorem's formulas give, before it is checked; A* of the first input is at `centre`."""

    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    blames: tuple[str, ...]
    """per state: what is wrong in the theorem, should its density at A* exceed δ"""
    derived: dict[str, Any]
    """numbers that the formulas gave, by name"""
    centre: NDArray[np.float64]
    required: NDArray[np.float64] | None = None
    """per state: how far its mean must be from A*; None where the theorem asks for no distance"""
    required_as: str = ""
    """`required` in symbols"""
    radius: float = 0.0
    """every estimator this close to A* must hallucinate"""
    reaches: NDArray[np.float64] | None = None
    """5.3, per state: how far from A* an L-Lipschitz estimator can be at X + δ_i"""


def construct(theorem: str = "5.1", **choices: Any) -> Certificate:
    """Build what a theorem says exists, and check every claim about it in numbers.

    Args:
        theorem: 5.1, 5.2, 5.2.1, 5.3 or C.1.
        choices: fields of `hallulab.theory.construction_settings.Construction`.

    Returns: the certificate; it does not hold where a version as written fails.
    Raises RefusedInputError as `Construction` does, and where a number leaves the range of double precision.
    """
    settings = chosen(theorem, choices)
    with np.errstate(over="ignore", divide="ignore"):  # what is not finite is refused below
        return _certificate(settings, BUILDERS[settings.theorem](settings))


def _certificate(settings: Construction, built: _Built) -> Certificate:
    if not (np.abs(built.means) < LARGEST_COORDINATE).all():
        raise RefusedInputError(
            f"expected means up to {LARGEST_COORDINATE:g}, but these choices, with weights down to "
            f"{settings.probabilities.min():.3g}, set them too far apart for double precision: take weights that "
            "differ less, or shorter distances"
        )
    centres = [built.centre]
    if settings.theorem == "5.2.1":
        step = np.full(settings.dimensions, INPUT_SPACING / math.sqrt(settings.dimensions))
        centres = [built.centre + n * step for n in range(settings.n_inputs)]
    mixtures = tuple(
        GaussianMixture(settings.probabilities, built.means + (centre - built.centre), built.covariances)
        for centre in centres
    )
    claims = [
        claim
        for number, (mixture, centre) in enumerate(zip(mixtures, centres, strict=True), start=1)
        for claim in _claims(settings, built, mixture, centre, number)
    ]
    return Certificate(
        settings.theorem,
        settings.version,
        STATEMENTS[settings.theorem],
        _asked_for(settings) | built.derived,
        settings.log_delta,
        mixtures,
        tuple(claims),
    )


def _asked_for(settings: Construction) -> dict[str, Any]:
    """The settings that this theorem uses."""
    asked = {
        "n_states": settings.n_states,
        "n_dimensions": settings.dimensions,
        "weights": settings.probabilities.tolist(),
        "delta": settings.delta,
    }
    if settings.theorem in ("5.2", "5.2.1"):
        asked["epsilon"] = settings.epsilon
    if settings.theorem == "5.2.1":
        asked["n_inputs"] = settings.n_inputs
    if settings.theorem == "5.3":
        asked |= {"lipschitz": settings.lipschitz, "hint_norms": settings.hints.tolist()}
    return asked


# The claims


def _claims(
    settings: Construction, built: _Built, mixture: GaussianMixture, centre: NDArray, number: int
) -> list[Claim]:
    """A* is where it should be; the distances asked for; the density of every state at the worst point."""
    estimator = mixture.optimal_estimator
    # a weighted sum of N products: one rounding each, and one for every addition
    rounding = float(
        (mixture.n_states + 1) * np.finfo(float).eps * (mixture.weights @ np.abs(mixture.means)).max()
    )
    claims = [
        Claim(
            "max |Σ p_i μ_i − A*| <= 0", "estimator", float(np.abs(estimator - centre).max()), 0.0, "length",
            input=number, tolerance=rounding, blame="the weighted means do not cancel",
        )
    ]  # fmt: skip
    if built.required is not None:
        distances = _lengths(mixture.means - estimator)
        claims += [
            Claim(
                f"{built.required_as} <= ‖μ_{state} − A*‖", "hypothesis", float(least), float(distance), "length",
                state, number, tolerance=1e-12 * float(least) + 4 * rounding, blame=built.blames[state - 1],
            )
            for state, (least, distance) in enumerate(zip(built.required, distances, strict=True), start=1)
        ]  # fmt: skip
    claims += _density_claims(settings, built, mixture, number)
    return claims


def _density_claims(
    settings: Construction, built: _Built, mixture: GaussianMixture, number: int
) -> list[Claim]:
    estimator = mixture.optimal_estimator
    radii = {"": np.full(mixture.n_states, built.radius)}
    if built.reaches is not None:
        radii["hint "] = built.reaches
    claims = []
    for of_hint, reach in radii.items():
        densities = worst_log_densities(mixture, estimator, reach)
        for state, (density, radius) in enumerate(zip(densities, reach, strict=True), start=1):
            where = f"A* + {radius:.4g}-ball" if built.radius or built.reaches is not None else "A*"
            claims.append(
                Claim(
                    f"{of_hint and f'{of_hint}{state}: '}log f_{state}({where}) <= log δ", "conclusion",
                    float(density), settings.log_delta, "nats", state, number, blame=built.blames[state - 1],
                )
            )  # fmt: skip
    return claims


# Theorem 5.1


def _theorem_5_1(settings: Construction) -> _Built:
    """Means m_i·1 that cancel, and a last state that is spread out (as written: squeezed)."""
    if settings.version == "nonempty":
        return _nonempty_5_1(settings)
    d, as_written = settings.dimensions, settings.version == "as_written"
    coordinates, covariances = np.empty(0), np.empty((0, d, d))
    if settings.n_states > 1:
        others = _given_states(settings, default=1.0)
        divisors = others.covariances.sum(axis=(1, 2)) if as_written else _inverse_sums(others)
        coordinates = np.sqrt(np.maximum(0, -2 * settings.log_delta - others.log_determinants) / divisors)
        covariances = others.covariances
    last_variance = _variance((2 if as_written else -2) * settings.log_delta / d, settings)
    return _Built(
        _cancelling(settings.probabilities, coordinates[:, None] * np.ones(d)),
        np.concatenate([covariances, last_variance * np.eye(d)[None]]),
        (
            *["m_i is divided by 1ᵀΣ_i1, where the density of state i holds 1ᵀΣ_i⁻¹1"]
            * (settings.n_states - 1),
            "Σ_N = δ^(2/d)·I makes det(Σ_N)^(−1/2) equal to 1/δ, where the proof needs δ",
        ),
        {"mean_coordinates": coordinates.tolist(), "last_variance": last_variance},
        np.zeros(d),
    )


def _nonempty_5_1(settings: Construction) -> _Built:
    """Means just outside every state's region; the last state as far as it must, by moving all of them."""
    d = settings.dimensions
    variance = _region_variance(settings)
    others = _given_states(settings, default=variance)
    peaks = others.log_peaks
    if (peaks <= settings.log_delta).any():
        raise RefusedInputError(
            f"expected covariances whose densities exceed δ = {settings.delta} somewhere, got a largest log-density "
            f"of {peaks.min():.4g} against log δ = {settings.log_delta:.4g}: take a smaller δ or smaller covariances"
        )
    # along 1/√d, state i falls to δ at this distance from its mean
    least = np.sqrt(2 * (peaks - settings.log_delta) / (_inverse_sums(others) / d))
    distances = _balanced_distances(settings, np.append(least, _region_radius(settings)) * (1 + SLACK))
    return _Built(
        distances[:, None] / math.sqrt(d) * np.ones(d),
        np.concatenate([others.covariances, variance * np.eye(d)[None]]),
        ("",) * settings.n_states,
        {"last_variance": variance, "mean_distances": np.abs(distances).tolist()},
        np.zeros(d),
    )


def _given_states(settings: Construction, *, default: float) -> GaussianMixture:
    """The states before the last, with the covariances given and means still at 0."""
    shape = (settings.n_states - 1, settings.dimensions, settings.dimensions)
    given = np.asarray(default if settings.covariances is None else settings.covariances, dtype=float)
    if given.shape not in ((), shape[:1], shape):
        raise RefusedInputError(
            f"expected covariances of the states before the last, as one variance, {shape[0]} variances or shape "
            f"{shape}, got shape {given.shape}"
        )
    if given.shape != shape:
        given = np.broadcast_to(given, shape[:1])[:, None, None] * np.eye(settings.dimensions)
    return GaussianMixture(np.full(shape[0], 1 / shape[0]), np.zeros(shape[:2]), given)


def _inverse_sums(states: GaussianMixture) -> NDArray[np.float64]:
    """1ᵀΣ_i⁻¹1, shape (n,): the squared distance of 1 from a mean at 0."""
    return states.squared_distances(np.ones((1, states.n_dimensions)))[0]


# Theorems 5.2, 5.2.1 and 5.3


def _ball(settings: Construction) -> _Built:
    """Theorems 5.2 and 5.2.1: every point of the ε-ball around A*."""
    return _outside_ball(settings, settings.epsilon, "ε")


def _theorem_5_3(settings: Construction) -> _Built:
    """Theorem 5.3: the ball that an L-Lipschitz estimator can reach from A* under hints up to B = max ‖δ_i‖."""
    reaches = settings.lipschitz * settings.hints
    built = _outside_ball(settings, float(reaches.max()), "LB")
    derived = {"largest_hint_norm": float(settings.hints.max()), "largest_reach": float(reaches.max())}
    return _Built(**{**vars(built), "reaches": reaches, "derived": built.derived | derived})


def _outside_ball(settings: Construction, radius: float, radius_as: str) -> _Built:
    d = settings.dimensions
    variance, required, required_as = 1.0, math.sqrt(max(0.0, -2 * settings.log_delta)), "√(−2 ln δ)"
    if settings.version == "nonempty":
        variance, required, required_as = (
            _region_variance(settings),
            _region_radius(settings),
            "radius of the region",
        )
    least = np.full(settings.n_states, required + radius)
    if settings.version == "as_written":
        ray = np.full((settings.n_states - 1, d), least[0] / math.sqrt(d))
        means = _cancelling(settings.probabilities, ray)
    else:
        slack = SLACK if settings.version == "nonempty" else 0.0
        distances = _balanced_distances(settings, least * (1 + slack))
        means = distances[:, None] / math.sqrt(d) * np.ones(d)
    share = settings.probabilities[-1]
    blame = (
        f"the last mean has to balance the others, and with p_N = {share:.4g} > 1/2 that brings it nearer to A* than "
        "the theorem requires of every mean"
    )
    return _Built(
        means,
        np.broadcast_to(variance * np.eye(d), (settings.n_states, d, d)),
        (blame,) * settings.n_states,
        {"variance": variance, "required_distance": float(least[0])},
        np.zeros(d),
        least,
        f"{required_as} + {radius_as}",
        radius,
    )


# Theorem C.1


def _theorem_c_1(settings: Construction) -> _Built:
    """States at one-hot vectors with a common variance: of all that the theorem allows, the worst for its claim."""
    n = settings.n_states
    largest = _largest_c1_variance(settings)
    if settings.covariances is None:
        variance = min(largest, _turning_point(n))
    else:
        given = np.asarray(settings.covariances, dtype=float)
        if given.shape != () or not 0 < given <= largest:
            raise RefusedInputError(
                f"expected one variance above 0 and at most {largest:.6g} for Theorem C.1, version "
                f"{settings.version}, got {settings.covariances}"
            )
        variance = _variance(math.log(given), settings)
    blame = (
        f"the condition on the variance d leaves out the factor (2πd)^(−N/2) of the density, which exceeds 1 for d "
        f"below 1/2π, as d = {variance:.4g} is"
    )
    return _Built(
        np.eye(n),
        np.broadcast_to(variance * np.eye(n), (n, n, n)),
        (blame,) * n,
        {"variance": variance, "largest_variance": None if math.isinf(largest) else largest},
        np.full(n, 1 / n),
    )


def _largest_c1_variance(settings: Construction) -> float:
    """The variance up to which the version says that A* hallucinates; infinite where any will do."""
    n, log_delta = settings.n_states, settings.log_delta
    if settings.version == "as_written":
        return -(n - 1) / (n * 2 * log_delta)
    proved = largest_hallucinating_variance(n, log_delta) * (1 - VARIANCE_SLACK)
    return proved if settings.version == "repaired" else min(proved, _region_variance(settings))


def _turning_point(n_states: int) -> float:
    """The variance at which log f_i(A*) of Theorem C.1 is largest."""
    return (n_states - 1) / n_states**2


def largest_hallucinating_variance(n_states: int, log_delta: float) -> float:
    """The largest d such that in Theorem C.1, A* = (1/N, …, 1/N) δ-hallucinates for every variance up to d.

    log f_i(A*) = −(N/2) ln(2πd) − (N − 1)/(2Nd) rises up to d = τ = (N − 1)/N² and falls from there on. With d = τ/w
    it is −(N/2) (ln(2πτ) + w − ln w), so the answer is where w − ln w = −(2/N) log δ − ln(2πτ), at the root above 1.

    Args:
        n_states: N >= 2.
        log_delta: nats.

    Returns: infinity where no variance at all lifts f_i(A*) above δ.
    """
    target = -2 * log_delta / n_states - LOG_TWO_PI - math.log(_turning_point(n_states))
    if target <= 1 - LEAST_BRACKET:  # w − ln w >= 1 for every w
        return math.inf
    target = max(target, 1 + LEAST_BRACKET)
    # w − ln w > w/2 for every w > 0, so the root lies below 2 · target
    found = optimize.root_scalar(
        lambda w: w - math.log(w) - target, bracket=(1.0, 2 * target), method="brentq"
    )
    return _turning_point(n_states) / found.root


# Geometry


def _cancelling(weights: NDArray, means: NDArray) -> NDArray[np.float64]:
    """The means given, and the last one that makes Σ p_i μ_i = 0: (N − 1, d) → (N, d)."""
    last = -(weights[:-1] / weights[-1]) @ means
    return np.concatenate([means, last[None]])


def _lengths(rows: NDArray) -> NDArray[np.float64]:
    """Euclidean lengths, shape (n,), of rows whose squares may underflow."""
    largest = np.abs(rows).max(axis=1)
    return largest * np.linalg.norm(rows / np.where(largest > 0, largest, 1)[:, None], axis=1)


def _balanced_distances(settings: Construction, least: NDArray) -> NDArray[np.float64]:
    """Signed distances on one line with Σ p_i a_i = 0 and |a_i| >= least_i: the last against all others, shape (N,)."""
    weights = settings.probabilities
    pull = float(weights[:-1] @ least[:-1])
    scale = max(1.0, weights[-1] * least[-1] / pull) if pull else 1.0
    others = scale * least[:-1]
    return np.append(others, -(weights[:-1] @ others) / weights[-1])


def _region_variance(settings: Construction) -> float:
    """The variance c at which U_i^δ of N(μ, cI) holds REGION_MASS of its own answers."""
    square = float(stats.chi2.ppf(REGION_MASS, df=settings.dimensions))
    return _variance(-LOG_TWO_PI - (2 * settings.log_delta + square) / settings.dimensions, settings)


def _region_radius(settings: Construction) -> float:
    """The radius of that region."""
    return math.sqrt(_region_variance(settings) * stats.chi2.ppf(REGION_MASS, df=settings.dimensions))


def _variance(log_variance: float, settings: Construction) -> float:
    """exp(log_variance), if its squares stay in the range of double precision."""
    if abs(log_variance) > LOG_VARIANCE_LIMIT:
        raise RefusedInputError(
            f"δ = {settings.delta:g} in {settings.dimensions} dimensions needs a variance of "
            f"1e{log_variance / math.log(10):+.0f}, more than double precision can work with: "
            "take a δ nearer to 1 or more dimensions"
        )
    return math.exp(log_variance)


BUILDERS: dict[str, Callable[[Construction], _Built]] = {
    "5.1": _theorem_5_1,
    "5.2": _ball,
    "5.2.1": _ball,
    "5.3": _theorem_5_3,
    "C.1": _theorem_c_1,
}
