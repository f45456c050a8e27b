"""What the Density tab says about a mixture: its regions, its best estimate, and a point that the visitor chose."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hallulab.errors import RefusedInputError
from hallulab.reports.density_figures import ShownRegions
from hallulab.theory.delta import is_delta_hallucination, log_delta_of
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.mixture_regions import N_DRAWS, MixtureRegions, mixture_regions
from hallulab.theory.region_draws import CONFIDENCE, Measure
from hallulab.theory.regions import check_mass

SEED = 0
"""the same draws for every answer, so that nothing flickers while a mean is dragged"""
HCDR, HDR = "HCDR", "HDR"
"""names of the union of the states' regions, and of the region with one threshold on the marginal"""


@dataclass(frozen=True)
class DensityRule:
    """What makes an answer plausible."""

    hdr_mass: float = 0.9
    """share of its own answers that each region holds"""
    delta: float | None = None
    """decides instead of the mass where given"""
    epsilon: float = 0.0
    """radius of the ball around A*, in the unit of the answers"""

    def __post_init__(self) -> None:
        check_mass(self.hdr_mass)
        if self.delta is not None:
            log_delta_of(self.delta)
        if not 0 <= self.epsilon < np.inf:
            raise RefusedInputError(f"expected a radius ε of 0 or more, got {self.epsilon}")


@dataclass(frozen=True, eq=False)
class PointVerdict:
    """Whether one answer is plausible, state by state."""

    position: NDArray[np.float64]
    """shape (n_dimensions,)"""
    log_densities: NDArray[np.float64]
    """log f_i, shape (n_states,), nats"""
    log_deltas: NDArray[np.float64]
    """log δ_i, shape (n_states,), nats"""
    log_marginal: float
    hdr_log_delta: float

    @property
    def margins(self) -> NDArray[np.float64]:
        """log f_i − log δ_i, shape (n_states,), nats: above 0 inside the region of state i."""
        return self.log_densities - self.log_deltas

    @property
    def margin_nats(self) -> float:
        """Largest margin: above 0 inside the HCDR."""
        return float(self.margins.max())

    @property
    def nearest_state(self) -> int:
        """The state of the largest margin, counted from 0."""
        return int(self.margins.argmax())

    @property
    def is_hallucination(self) -> bool:
        """Whether f_i <= δ_i for every state i (Def. 4.2 of [LHZSL])."""
        return bool(is_delta_hallucination(self.log_densities[None], self.log_deltas)[0])

    @property
    def is_in_hdr(self) -> bool:
        """Whether the one threshold on the marginal calls it plausible."""
        return self.log_marginal > self.hdr_log_delta

    def to_json(self) -> dict[str, Any]:
        """Both verdicts, state by state."""
        return {
            "position": self.position,
            "is_hallucination": self.is_hallucination,
            "margin_nats": self.margin_nats,
            "nearest_state": self.nearest_state + 1,
            "in_hdr": self.is_in_hdr,
            "log_marginal": self.log_marginal,
            "states": [
                {"state": index, "log_density": f, "log_delta": d, "inside": f > d}
                for index, (f, d) in enumerate(
                    zip(self.log_densities.tolist(), self.log_deltas.tolist(), strict=True), start=1
                )
            ],
        }


@dataclass(frozen=True)
class RegionRow:
    """One region of plausible answers, as the page lists it."""

    name: str
    log_delta: float | None
    """None for a union of regions with thresholds of their own"""
    mass: Measure | None
    """share of all answers inside; None for the region of one state"""
    own_mass: float | None
    """share of the state's own answers inside, exact; None for a region of no one state"""
    size: Measure | None
    """length or area; None where it exceeds what a float holds"""

    def to_json(self) -> dict[str, Any]:
        """Masses and size, with intervals where draws estimate them."""
        return {
            "name": self.name,
            "log_delta": self.log_delta,
            "mass": self.mass and self.mass.value,
            "mass_interval": _pair(self.mass),
            "own_mass": self.own_mass,
            "size": self.size and self.size.value,
            "size_interval": _pair(self.size),
        }


@dataclass(frozen=True, eq=False)
class DensityAnswer:
    """Everything the page says about one mixture under one rule."""

    regions: MixtureRegions
    rule: DensityRule
    best: PointVerdict
    """A*"""
    ball_margin_nats: float
    """largest margin in the ε-ball around A*: the whole ball hallucinates where it is 0 or less"""
    point: PointVerdict | None

    @property
    def mixture(self) -> GaussianMixture:
        """What the answer is about."""
        return self.regions.mixture

    @property
    def is_ball_hallucination(self) -> bool:
        """Whether every answer within ε of A* hallucinates."""
        return self.ball_margin_nats <= 0

    @property
    def shown(self) -> ShownRegions:
        """What the figure needs of the regions."""
        intervals = self.regions.hdr.intervals
        return ShownRegions(
            self.regions.hcdr.log_deltas,
            self.regions.hdr_log_delta.value,
            None if intervals is None else tuple((float(low), float(high)) for low, high in intervals),
        )

    @property
    def rows(self) -> tuple[RegionRow, ...]:
        """The region of every state, their union (the HCDR), and the HDR."""
        hcdr, hdr, threshold = self.regions.hcdr, self.regions.hdr, self.regions.hdr_log_delta.value
        return (
            *(
                _state_row(self.mixture, state, float(hcdr.log_deltas[state]))
                for state in range(self.mixture.n_states)
            ),
            RegionRow(HCDR, None, hcdr.mass, None, hcdr.volume),
            RegionRow(HDR, threshold, hdr.mass, None, hdr.volume),
        )

    def to_json(self) -> dict[str, Any]:
        """The answer of the endpoint, before its sentence."""
        is_measured = self.regions.hdr.mass.interval is not None
        return {
            **self.mixture.to_json(),
            "hdr_mass": None if self.rule.delta is not None else self.rule.hdr_mass,
            "delta": self.rule.delta,
            "epsilon": self.rule.epsilon,
            "optimal_estimator": self.best.to_json(),
            "ball": {"is_hallucination": self.is_ball_hallucination, "margin_nats": self.ball_margin_nats},
            "regions": [row.to_json() for row in self.rows],
            "n_draws": N_DRAWS if is_measured else None,
            "seed": SEED if is_measured else None,
            "confidence": CONFIDENCE if is_measured else None,
            "point": None if self.point is None else self.point.to_json(),
        }


def answer_about(
    mixture: GaussianMixture, rule: DensityRule, point: tuple[float, ...] | None = None
) -> DensityAnswer:
    """Regions and verdicts of a mixture in one or two dimensions.

    Raises RefusedInputError for more dimensions or a point of another dimension.
    """
    if mixture.n_dimensions > 2:
        raise RefusedInputError(f"expected answers in 1 or 2 dimensions, got {mixture.n_dimensions}")
    mass = rule.hdr_mass if rule.delta is None else None
    regions = mixture_regions(mixture, mass=mass, delta=rule.delta, rng=np.random.default_rng(SEED))
    best = mixture.optimal_estimator
    return DensityAnswer(
        regions, rule, _verdict(regions, best), regions.ball_margin_nats(best, rule.epsilon),
        None if point is None else _verdict(regions, np.array(point)),
    )  # fmt: skip


def _verdict(regions: MixtureRegions, position: NDArray[np.float64]) -> PointVerdict:
    log_densities = regions.mixture.log_densities(position[None])
    return PointVerdict(
        position, log_densities[0], regions.hcdr.log_deltas, float(regions.mixture.marginal_of(log_densities)[0]),
        regions.hdr_log_delta.value,
    )  # fmt: skip


def _state_row(mixture: GaussianMixture, state: int, log_delta: float) -> RegionRow:
    """The region of one Gaussian state, an interval or an ellipse: exact."""
    squared_radius = 2 * max(float(mixture.log_peaks[state]) - log_delta, 0.0)
    d = mixture.n_dimensions
    unit_ball = 2.0 if d == 1 else np.pi
    size = unit_ball * squared_radius ** (d / 2) * float(np.exp(mixture.log_determinants[state] / 2))
    own_mass = float(special.gammainc(d / 2, squared_radius / 2))
    return RegionRow(f"state {state + 1}", log_delta, None, own_mass, Measure(size))


def _pair(measure: Measure | None) -> list[float] | None:
    if measure is None or measure.interval is None:
        return None
    return [measure.interval.low, measure.interval.high]
