"""Theorem 2 of [KNVZ] in many worlds: how often its bounds hold where they say something, and by how much."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hallulab.data.coins import check_whole
from hallulab.data.facts_world import MAX_SAMPLES, WorldSettings
from hallulab.experiments.facts_measure import BOUNDS
from hallulab.experiments.facts_run import FactsSettings
from hallulab.models.fact_learners import abstainer, counter, memoriser
from hallulab.theory.arbitrary_facts import PAPER_FAILURE
from hallulab.theory.intervals import Interval, clopper_pearson_interval

AUDITED = {"memoriser": memoriser, "counter": counter, "abstainer": abstainer}
"""learners that are held against the bounds; upper bounds are about the first alone"""
MAX_WORLDS = 100_000


@dataclass(frozen=True)
class AuditSettings:
    """So many worlds of one kind, with consecutive seeds."""

    world: WorldSettings = field(default_factory=WorldSettings)
    n_samples: int = FactsSettings.n_samples
    """N: training samples, IDK included"""
    n_worlds: int = 1_000
    seed: int = 0
    """of the first world"""

    def __post_init__(self) -> None:
        check_whole("n_samples", self.n_samples, 1, MAX_SAMPLES)
        check_whole("worlds", self.n_worlds, 1, MAX_WORLDS)
        check_whole("seed", self.seed, 0, 2**32 - 1 - MAX_WORLDS)

    @property
    def seeds(self) -> range:
        """The seed of every world."""
        return range(self.seed, self.seed + self.n_worlds)


@dataclass(frozen=True)
class AuditedWorld:
    """One world of an audit."""

    seed: int
    singleton_rate: float
    missing_mass: float
    fewest_errors: int
    """min|E_c| of this world"""
    is_in_esty: bool
    """whether Esty's 95 % interval holds the missing mass"""
    is_in_proved: bool
    err: dict[str, float]
    """by learner"""
    overshoot: dict[str, float]
    """p̂(A) − p(A), by learner"""
    lower_bounds: dict[str, dict[str, float]]
    """bound → learner → value"""
    upper_bounds: dict[str, float]
    """bound → value; they are about the memoriser alone"""

    def needed(self, learner: str) -> float:
        """sr − 2/min|E_c| − err − δ: what the concentration term of Theorem 2 must cover."""
        return self.singleton_rate - 2 / self.fewest_errors - self.err[learner] - abs(self.overshoot[learner])


@dataclass(frozen=True)
class AuditRow:
    """One bound on one learner, over all worlds; a bound that says nothing holds, and proves nothing."""

    bound: str
    learner: str
    n_worlds: int
    n_spoke: int
    """worlds in which it excludes some error rate"""
    n_held: int
    """of these, worlds in which it holds"""
    interval: Interval | None
    """95 % Clopper–Pearson, of the share held where it speaks; None where it never speaks"""
    mean_bound: float | None
    """where it speaks; None where it never does"""
    mean_err: float | None
    """in the same worlds"""

    @property
    def n_silent(self) -> int:
        """Worlds in which it excludes no error rate at all."""
        return self.n_worlds - self.n_spoke

    @property
    def share_held(self) -> float | None:
        """n_held / n_spoke; None where it never speaks."""
        return self.n_held / self.n_spoke if self.n_spoke else None


@dataclass(frozen=True)
class FactsAudit:
    """Many worlds of one kind."""

    settings: AuditSettings
    worlds: tuple[AuditedWorld, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[AuditRow, ...]:
        """Every bound on every learner that it is about."""
        found = []
        for bound in BOUNDS:
            is_lower = bound.endswith("lower")
            for learner in AUDITED if is_lower else ("memoriser",):
                values = np.array(
                    [
                        w.lower_bounds[bound][learner] if is_lower else w.upper_bounds[bound]
                        for w in self.worlds
                    ]
                )
                err = np.array([world.err[learner] for world in self.worlds])
                speaks = values > 0 if is_lower else values < 1
                holds = err >= values if is_lower else err <= values
                found.append(_row(bound, learner, values[speaks], err[speaks], holds[speaks], len(values)))
        return tuple(found)

    @property
    def needed_constant(self) -> float:
        """The c with which sr − 2/min|E_c| − c/√N − δ holds for the memoriser in 99 % of these worlds.

        Theorem 2 uses 35 + 6 ln N.
        """
        needed = [world.needed("memoriser") for world in self.worlds]
        return float(np.quantile(needed, 1 - PAPER_FAILURE)) * math.sqrt(self.settings.n_samples)

    @property
    def paper_constant(self) -> float:
        """35 + 6 ln N."""
        return 35 + 6 * math.log(self.settings.n_samples)

    def coverage(self, name: str) -> tuple[float, Interval]:
        """Share of the worlds whose missing mass lies in Good and Turing's interval, `esty` or `proved`."""
        n_in = sum(getattr(world, f"is_in_{name}") for world in self.worlds)
        return n_in / len(self.worlds), clopper_pearson_interval(n_in, len(self.worlds))

    def to_json(self) -> dict[str, Any]:
        """Counts and means; single worlds are in the records, or repeated from their seeds."""
        return {
            "settings": asdict(self.settings),
            "n_worlds": len(self.worlds),
            "table": [
                asdict(row) | {"n_silent": row.n_silent, "share_held": row.share_held} for row in self.rows
            ],
            "coverage": {
                name: {"share": share, "interval": [interval.low, interval.high], "n": len(self.worlds)}
                for name in ("esty", "proved")
                for share, interval in [self.coverage(name)]
            },
            "needed_constant": self.needed_constant,
            "paper_constant": self.paper_constant,
        }


def _row(
    bound: str, learner: str, values: np.ndarray, err: np.ndarray, holds: np.ndarray, n_worlds: int
) -> AuditRow:
    """A row from the worlds in which the bound speaks."""
    n, n_held = len(values), int(holds.sum())
    if not n:
        return AuditRow(bound, learner, n_worlds, 0, 0, None, None, None)
    interval = clopper_pearson_interval(n_held, n)
    return AuditRow(bound, learner, n_worlds, n, n_held, interval, float(values.mean()), float(err.mean()))


def row_of(rows: Sequence[AuditRow], bound: str, learner: str = "memoriser") -> AuditRow:
    """One row of the table."""
    return next(row for row in rows if (row.bound, row.learner) == (bound, learner))
