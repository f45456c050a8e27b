"""What a run on arbitrary facts says as numbers: means over worlds with intervals, bounds beside truth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np

from hallulab.experiments.facts_run import FactsSettings, FrequencyBin, LearnerPoint, SizePoint, WorldPoint
from hallulab.experiments.over_worlds import OverWorlds, over_worlds
from hallulab.theory.arbitrary_facts import FirstSize

BOUND_TOLERANCE = 1e-9
"""a bound is broken when err is beyond it by more than rounding"""


@dataclass(frozen=True)
class LearnerRow:
    """One learner over all worlds, at the end of its training."""

    learner: str
    epoch: int | None
    n_worlds: int
    err: OverWorlds
    abstained: OverWorlds
    right: OverWorlds
    lost_mass: OverWorlds
    err_iiv: OverWorlds
    best_err_iiv: OverWorlds
    ratio: OverWorlds
    """err / err_iiv"""
    delta: OverWorlds
    """δ = |p̂(A) − p(A)|"""
    slope: OverWorlds
    """δ again, as |dL(p̂_s)/ds| at s = 1"""
    bound: OverWorlds
    """Theorem 1"""
    sharp_bound: OverWorlds
    paper_lower_bound: OverWorlds
    """Theorem 2"""
    sharp_lower_bound: OverWorlds
    paper_upper_bound: OverWorlds | None
    """Theorem 2 from above; None for learners that it is not about, all but `UPPER_LEARNER`"""
    sharp_upper_bound: OverWorlds | None
    loss: OverWorlds
    largest_delta_gap: float
    """largest difference between |p̂(A) − p(A)| and the absolute slope of the loss, over the worlds"""
    n_violated: dict[str, int]
    """worlds in which err is beyond the bound, by its name"""
    n_silent: dict[str, int]
    """worlds in which the bound excludes no error rate at all, by its name"""
    by_frequency: tuple[tuple[FrequencyBin, OverWorlds], ...]
    """err by how often training answered the fact; the first world's bin with its mean over worlds"""


@dataclass(frozen=True)
class SizeRow:
    """The memoriser at one training size, means over the worlds."""

    n_samples: int
    n_worlds: int
    singleton_rate: float
    missing_mass: float
    err: float
    paper_lower_bound: float
    sharp_lower_bound: float
    paper_upper_bound: float
    sharp_upper_bound: float


LOWER_BOUNDS = ("bound", "sharp_bound", "paper_lower_bound", "sharp_lower_bound")
UPPER_BOUNDS = ("paper_upper_bound", "sharp_upper_bound")
UPPER_LEARNER = "memoriser"
"""the calibrated learner that the upper bounds are about"""
MEASURES = tuple(f.name for f in fields(LearnerRow) if f.type is OverWorlds and f.name != "slope")
"""of `LearnerPoint` that are averaged as they are"""


@dataclass(frozen=True)
class FactsResult:
    """Everything a run measured so far."""

    settings: FactsSettings
    points: tuple[WorldPoint | LearnerPoint | SizePoint, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def worlds(self) -> tuple[WorldPoint, ...]:
        """One a seed."""
        return tuple(point for point in self.points if isinstance(point, WorldPoint))

    @property
    def learners(self) -> tuple[LearnerPoint, ...]:
        """Every learner in every world, at every epoch that was read."""
        return tuple(point for point in self.points if isinstance(point, LearnerPoint))

    @property
    def sizes(self) -> tuple[SizeRow, ...]:
        """The memoriser by training size."""
        by_size: dict[int, list[SizePoint]] = {}
        for point in self.points:
            if isinstance(point, SizePoint):
                by_size.setdefault(point.n_samples, []).append(point)
        names = [f.name for f in fields(SizeRow) if f.name not in ("n_samples", "n_worlds")]
        return tuple(
            SizeRow(
                n, len(points), **{name: float(np.mean([getattr(p, name) for p in points])) for name in names}
            )
            for n, points in sorted(by_size.items())
        )

    @property
    def table(self) -> tuple[LearnerRow, ...]:
        """Learners in the order of the settings, each at its last epoch."""
        return tuple(self._row(points) for points in self._last_points().values())

    @property
    def training(self) -> tuple[LearnerRow, ...]:
        """The trained learner, epoch by epoch; empty without one."""
        by_epoch: dict[int, list[LearnerPoint]] = {}
        for point in self.learners:
            if point.epoch is not None:
                by_epoch.setdefault(point.epoch, []).append(point)
        return tuple(self._row(points) for _, points in sorted(by_epoch.items()))

    @property
    def singleton_rate(self) -> OverWorlds:
        """sr."""
        return over_worlds(point.singleton_rate for point in self.worlds)

    @property
    def missing_mass(self) -> OverWorlds:
        """The truth that sr estimates."""
        return over_worlds(point.missing_mass for point in self.worlds)

    @property
    def first_sizes(self) -> dict[str, FirstSize]:
        """From how many samples each bound says something; the same for all worlds but for |R_c|: the first one's."""
        return self.worlds[0].first_sizes if self.worlds else {}

    def to_json(self) -> dict[str, Any]:
        """Settings, every world, the table, the curve over training sizes."""
        return {
            "settings": asdict(self.settings),
            "n_worlds": len(self.worlds),
            "worlds": [asdict(point) for point in self.worlds],
            "singleton_rate": asdict(self.singleton_rate),
            "missing_mass": asdict(self.missing_mass),
            "first_sizes": {name: asdict(size) for name, size in self.first_sizes.items()},
            "table": [_row_json(row) for row in self.table],
            "training": [_row_json(row) for row in self.training],
            "sizes": [asdict(row) for row in self.sizes],
        }

    def _last_points(self) -> dict[str, list[LearnerPoint]]:
        """Learner → its points at the last epoch that all of its worlds have."""
        found = {}
        for name in self.settings.learners:
            points = [point for point in self.learners if point.learner == name]
            if not points:
                continue
            ends = {
                seed: max(point.epoch or 0 for point in points if point.seed == seed)
                for seed in {point.seed for point in points}
            }
            shared = min(ends.values())
            found[name] = [point for point in points if (point.epoch or 0) == shared]
        return found

    def _row(self, points: Sequence[LearnerPoint]) -> LearnerRow:
        first = points[0]
        about = self._bounds(points)
        bins = [
            (one, over_worlds(point.by_frequency[place].err for point in points))
            for place, one in enumerate(first.by_frequency)
        ]
        return LearnerRow(
            learner=first.learner,
            epoch=first.epoch,
            n_worlds=len(points),
            slope=over_worlds(abs(point.loss_slope) for point in points),
            largest_delta_gap=max(abs(point.delta - abs(point.loss_slope)) for point in points),
            n_violated={
                name: sum(map(partial(_is_broken, name), (p.err for p in points), values))
                for name, values in about.items()
            },
            n_silent={
                name: sum(not says_something(name, value) for value in values)
                for name, values in about.items()
            },
            by_frequency=tuple(bins),
            **{name: over_worlds(about[name]) if name in about else None for name in UPPER_BOUNDS},
            **{name: over_worlds(getattr(point, name) for point in points) for name in MEASURES},
        )

    def _bounds(self, points: Sequence[LearnerPoint]) -> dict[str, list[float]]:
        """Every bound that is about this learner, world by world."""
        found = {name: [getattr(point, name) for point in points] for name in LOWER_BOUNDS}
        worlds = {world.seed: world for world in self.worlds}
        if points[0].learner == UPPER_LEARNER and all(point.seed in worlds for point in points):
            found |= {name: [getattr(worlds[point.seed], name) for point in points] for name in UPPER_BOUNDS}
        return found


def says_something(bound: str, value: float) -> bool:
    """Whether a bound of this name and value excludes any error rate."""
    return value < 1 if bound in UPPER_BOUNDS else value > 0


def _is_broken(bound: str, err: float, value: float) -> bool:
    beyond = err - value if bound in UPPER_BOUNDS else value - err
    return beyond > BOUND_TOLERANCE


def _row_json(row: LearnerRow) -> dict[str, Any]:
    frequencies = [
        {"answered": one.label, "n_prompts_first_world": one.n_prompts, "err": asdict(err)}
        for one, err in row.by_frequency
    ]
    return asdict(row) | {"by_frequency": frequencies}
