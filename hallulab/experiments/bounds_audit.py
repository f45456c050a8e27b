"""Theorem 6.1 of [LHZSL] beside what is proved and what happens: the audit, its grid, the search for a failure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from hallulab.errors import RefusedInputError
from hallulab.theory.hallucination_rate import MeasuredRate, enclose_probability, measure_rate
from hallulab.theory.intervals import Interval
from hallulab.theory.lower_bounds import (
    Bound,
    MeanSetting,
    PaperBound,
    conditional_bound,
    moment_bound,
    paper_bound,
    union_bound,
)
from hallulab.theory.mean_laws import LAWS, mean_law

BOUND_TITLES = {
    "paper": "the paper's product",
    "union": "union bound",
    "two_state": "two states: the equality",
    "conditional": "condition, then Chebyshev once",
    "moments": "the same from moments alone",
    "lattice": "lattice, lower end",
}
"""every bound by its name in records"""
DEFAULT_DRAWS = 1_000_000
MIN_DRAWS = 1_000
MAX_NUMBERS = 50_000_000
"""random numbers that an audit draws unasked: a second or so"""
MAX_DRAWS = 100_000_000
MIN_HITS = 100
"""fewest hits that a rate is divided by: with fewer it is off by a tenth and more, by chance alone"""


@dataclass(frozen=True)
class BoundsAudit:
    """One setting: what the paper's theorem says, what is proved, what is true."""

    setting: MeanSetting
    paper: PaperBound
    proved: tuple[Bound, ...]
    """each a theorem of docs/bounds.md"""
    enclosure: Interval | None
    """P_H lies between its ends; None where neither a formula nor the lattice applies"""
    measured: MeasuredRate
    seed: int

    @property
    def best_proved(self) -> Bound | None:
        """The largest proved bound; None when none says anything."""
        valued = [bound for bound in self.proved if bound.value is not None]
        return max(valued, key=lambda bound: bound.value or 0.0, default=None)

    def tightness(self, bound: Bound) -> float | None:
        """bound / measured rate, at most 1 up to chance when the bound holds.

        Returns: None without a bound, or with too few hits to divide by (`MIN_HITS`).
        """
        if bound.value is None or self.measured.n_hits < MIN_HITS:
            return None
        return bound.value / self.measured.rate

    @property
    def paper_exceeds_truth(self) -> bool | None:
        """Whether the paper's product is above P_H for sure (with the confidence of the interval); None if silent."""
        if self.paper.value is None:
            return None
        highest = self.enclosure.high if self.enclosure else self.measured.interval.high
        return self.paper.value > highest

    def sentence(self) -> str:
        """What to conclude, in one sentence."""
        n, low, high = self.measured.n_draws, self.measured.interval.low, self.measured.interval.high
        best = self.best_proved
        proved = (
            "nothing proved here says more than 0" if best is None else f"proved is at least {best.value:.4g}"
        )
        paper = (
            "the theorem is silent here"
            if self.paper.value is None
            else f"the paper's product is {self.paper.value:.3g}"
        )
        return (
            f"A* was further than r from every mean in {self.measured.rate:.4g} of {n:,} draws "
            f"({100 * self.measured.confidence:g} % interval {low:.4g} to {high:.4g}); {proved}; {paper}."
        )

    def to_json(self) -> dict[str, Any]:
        """Everything measured, and what repeats it."""
        return {
            "setting": setting_json(self.setting),
            "paper": {
                "silent": self.paper.value is None,
                **_bound_json(self.paper),
                "d": self.paper.estimator_spread,
                "states": [asdict(state) for state in self.paper.states],
                "tightness": self.tightness(self.paper),
                "exceeds_truth": self.paper_exceeds_truth,
            },
            "proved": [_bound_json(bound) | {"tightness": self.tightness(bound)} for bound in self.proved],
            "enclosure": self.enclosure and [self.enclosure.low, self.enclosure.high],
            "measured": {
                "rate": self.measured.rate,
                "n_hits": self.measured.n_hits,
                "n": self.measured.n_draws,
                "interval": [self.measured.interval.low, self.measured.interval.high],
                "confidence": self.measured.confidence,
                "seed": self.seed,
            },
            "sentence": self.sentence(),
        }


def audit_theorem(
    setting: MeanSetting, *, n_draws: int | None = None, seed: int = 0, confidence: float = 0.99
) -> BoundsAudit:
    """The paper's product, the proved bounds and the truth for one setting.

    Args:
        setting: laws, weights, r, dimensions.
        n_draws: of the measured rate; `default_draws` when None.
        seed: of the draws.
        confidence: of their interval.

    Raises RefusedInputError for a number of draws that no one can wait for, or a confidence outside (0, 1).
    """
    chosen = default_draws(setting) if n_draws is None else n_draws
    if not 1 <= chosen <= MAX_DRAWS:
        raise RefusedInputError(f"expected 1 to {MAX_DRAWS:,} draws, got {chosen:,}")
    enclosure = enclose_probability(setting)
    return BoundsAudit(
        setting=setting,
        paper=paper_bound(setting.moments, setting.weights, setting.radius),
        proved=_proved(setting, enclosure),
        enclosure=enclosure,
        measured=measure_rate(setting, chosen, rng=np.random.default_rng(seed), confidence=confidence),
        seed=seed,
    )


def default_draws(setting: MeanSetting) -> int:
    """`DEFAULT_DRAWS`, or fewer where each takes so many numbers that nobody would wait for them."""
    numbers_each = setting.n_states * setting.n_dimensions
    return max(MIN_DRAWS, min(DEFAULT_DRAWS, MAX_NUMBERS // numbers_each))


def _proved(setting: MeanSetting, enclosure: Interval | None) -> tuple[Bound, ...]:
    bounds = [
        union_bound(setting),
        conditional_bound(setting),
        moment_bound(setting.moments, setting.weights, setting.radius),
    ]
    if enclosure is not None:
        bounds.append(_bound_of("two_state" if setting.n_states == 2 else "lattice", enclosure.low))
    return tuple(bounds)


def _bound_of(name: str, value: float) -> Bound:
    if value > 0:
        return Bound(name, value, log_value=math.log(value))
    return Bound(name, None, "it says nothing here: P_H is 0, or too small for the lattice to tell from 0")


def setting_of(
    law: str,
    n_states: int,
    radius: float,
    *,
    variances: Sequence[float] = (1.0,),
    weights: Sequence[float] | None = None,
    n_dimensions: int = 1,
    degrees_of_freedom: float | None = None,
) -> MeanSetting:
    """A setting in which every mean has the same kind of law.

    Args:
        law: a name of `LAWS`.
        n_states: N, at least 1.
        radius: r.
        variances: per axis, one for all states or one per state.
        weights: p_i; equal when None.
        n_dimensions: of an answer.
        degrees_of_freedom: of student_t.

    Raises RefusedInputError for what cannot be audited, in words.
    """
    if n_states < 1:
        raise RefusedInputError(f"expected at least one state, got {n_states}")
    if len(variances) not in (1, n_states):
        raise RefusedInputError(f"expected one variance or {n_states}, one per state, got {len(variances)}")
    spread = tuple(variances) * n_states if len(variances) == 1 else tuple(variances)
    laws = tuple(mean_law(law, variance, degrees_of_freedom=degrees_of_freedom) for variance in spread)
    chosen = tuple(weights) if weights is not None else (1 / n_states,) * n_states
    return MeanSetting(laws, chosen, radius, n_dimensions)


@dataclass(frozen=True)
class TightnessPoint:
    """One bound in one cell of the grid."""

    law: str
    n_states: int
    radius: float
    """r, in standard deviations of a mean"""
    bound: str
    """a key of `BOUND_TITLES`"""
    value: float | None
    reason: str | None
    """why there is no value"""
    truth: float
    """measured P_H"""
    truth_interval: tuple[float, float]
    n_draws: int
    tightness: float | None
    """value / truth"""


def tightness_grid(
    laws: Sequence[str] = tuple(LAWS),
    n_states: Sequence[int] = (2, 3, 10, 30),
    radii: Sequence[float] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9),
    *,
    n_draws: int = 100_000,
    seed: int = 0,
) -> Iterator[TightnessPoint]:
    """bound / truth for equal weights and unit variances in one dimension, cell by cell."""
    for name, n, radius in product(laws, n_states, radii):
        audit = audit_theorem(setting_of(name, n, radius), n_draws=n_draws, seed=seed)
        interval = audit.measured.interval
        for bound in (audit.paper, *audit.proved):
            yield TightnessPoint(
                name, n, radius, bound.name, bound.value, bound.reason, audit.measured.rate,
                (interval.low, interval.high), n_draws, audit.tightness(bound),
            )  # fmt: skip


def setting_json(setting: MeanSetting) -> dict[str, Any]:
    """A setting as records keep it."""
    return {
        "laws": [{"law": law.name, **asdict(law)} for law in setting.laws],
        "weights": list(setting.weights),
        "radius": setting.radius,
        "n_states": setting.n_states,
        "n_dimensions": setting.n_dimensions,
    }


def _bound_json(bound: Bound) -> dict[str, Any]:
    return {
        "name": bound.name,
        "title": BOUND_TITLES[bound.name],
        "value": bound.value,
        "log_value": bound.log_value,
        "reason": bound.reason,
        "is_proved": bound.is_proved,
    }
