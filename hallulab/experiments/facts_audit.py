"""Theorem 2 of [KNVZ] put to the test in many worlds: how often its bounds hold, and by how much."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hallulab.data.coins import check_whole
from hallulab.experiments.facts_measure import BOUNDS, draw_facts
from hallulab.experiments.facts_run import FactsSettings
from hallulab.models.fact_learners import abstainer, counter, memoriser
from hallulab.theory.arbitrary_facts import (
    PAPER_FAILURE,
    count_singletons,
    estimate_missing_mass,
    missing_mass,
)
from hallulab.theory.intervals import Interval, clopper_pearson_interval
from hallulab.theory.is_it_valid import reduction

AUDITED = {"memoriser": memoriser, "counter": counter, "abstainer": abstainer}
MAX_WORLDS = 100_000


@dataclass(frozen=True)
class AuditedWorld:
    """One world of an audit."""

    seed: int
    singleton_rate: float
    missing_mass: float
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
        """sr − err − δ: what the concentration and size terms of a lower bound must cover."""
        return self.singleton_rate - self.err[learner] - abs(self.overshoot[learner])


@dataclass(frozen=True)
class AuditRow:
    """One bound on one learner, over all worlds."""

    bound: str
    learner: str
    n_worlds: int
    n_held: int
    n_silent: int
    """worlds in which it excludes no error rate at all"""
    interval: Interval
    """95 % Clopper–Pearson, of the share of worlds in which it holds"""
    mean_bound: float
    mean_err: float

    @property
    def share_held(self) -> float:
        """n_held / n_worlds."""
        return self.n_held / self.n_worlds


@dataclass(frozen=True)
class FactsAudit:
    """Many worlds of one kind, with consecutive seeds."""

    settings: FactsSettings
    worlds: tuple[AuditedWorld, ...]

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
                holds = err >= values if is_lower else err <= values
                silent = values <= 0 if is_lower else values >= 1
                n = len(self.worlds)
                interval = clopper_pearson_interval(int(holds.sum()), n)
                found.append(
                    AuditRow(
                        bound, learner, n, int(holds.sum()), int(silent.sum()), interval,
                        float(values.mean()), float(err.mean()),
                    )
                )  # fmt: skip
        return tuple(found)

    @property
    def needed_constant(self) -> float:
        """The c with which sr − 2/min|E_c| − c/√N − δ holds for the memoriser in 99 % of these worlds.

        Theorem 2 uses 35 + 6 ln N.
        """
        size_term = 2 / (self.settings.world.fewest_answers or self.settings.world.n_answers)
        needed = [world.needed("memoriser") - size_term for world in self.worlds]
        return float(np.quantile(needed, 1 - PAPER_FAILURE)) * math.sqrt(self.settings.n_samples)

    def coverage(self, name: str) -> tuple[float, Interval]:
        """Share of the worlds whose missing mass lies in Good and Turing's interval, `esty` or `proved`."""
        n_in = sum(getattr(world, f"is_in_{name}") for world in self.worlds)
        return n_in / len(self.worlds), clopper_pearson_interval(n_in, len(self.worlds))

    def to_json(self) -> dict[str, Any]:
        """Counts and means; single worlds are repeated from their seeds."""
        return {
            "settings": asdict(self.settings),
            "n_worlds": len(self.worlds),
            "table": [asdict(row) | {"share_held": row.share_held} for row in self.rows],
            "coverage": {
                name: {"share": share, "interval": [interval.low, interval.high], "n": len(self.worlds)}
                for name in ("esty", "proved")
                for share, interval in [self.coverage(name)]
            },
            "needed_constant": self.needed_constant,
            "paper_constant": 35 + 6 * math.log(self.settings.n_samples),
        }


def audit_worlds(settings: FactsSettings, n_worlds: int) -> Iterator[AuditedWorld]:
    """World after world, seeds from the settings' own on; the settings' learners and rounds are left aside."""
    check_whole("worlds", n_worlds, 1, MAX_WORLDS)
    for seed in range(settings.seed, settings.seed + n_worlds):
        yield audit_world(settings, seed)


def audit_world(settings: FactsSettings, seed: int) -> AuditedWorld:
    """One world, its exact learners, every bound on them."""
    facts, counts = draw_facts(settings, seed)
    seen, n = count_singletons(counts.n_answered, counts.n_samples), counts.n_samples
    truth = missing_mass(facts.fact_probability, counts.n_answered)
    estimate = estimate_missing_mass(seen)
    measured = {}
    for name, learn in AUDITED.items():
        learned = learn(facts, counts)
        measured[name] = reduction(learned.truth, learned.probability)
    fewest, most = int(facts.n_errors.min()), int(facts.n_errors.max())
    lower = {name: bound for name, bound in BOUNDS.items() if name.endswith("lower")}
    return AuditedWorld(
        seed=seed,
        singleton_rate=seen.rate,
        missing_mass=truth,
        is_in_esty=estimate.interval.low <= truth <= estimate.interval.high,
        is_in_proved=estimate.proved_interval.low <= truth <= estimate.proved_interval.high,
        err={name: float(found.err) for name, found in measured.items()},
        overshoot={name: float(found.overshoot) for name, found in measured.items()},
        lower_bounds={
            bound_name: {
                name: bound(seen.rate, n, fewest).value
                # the paper subtracts δ, the sharp bound the overshoot itself
                - float(found.delta if bound_name == "paper_lower" else found.overshoot)
                for name, found in measured.items()
            }
            for bound_name, bound in lower.items()
        },
        upper_bounds={
            name: bound(seen.rate, n, most).value for name, bound in BOUNDS.items() if name not in lower
        },
    )
