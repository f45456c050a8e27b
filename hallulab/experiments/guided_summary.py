"""Sampling guided by density, from images that were all painted: what choosing among them buys, loses and costs.

Every way chooses among the same images, and images of one seed share their noise: so differences are paired, and
intervals draw whole seeds again (for the best of n whole groups of n seeds, among which it chooses).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.pictures_sweep import SweepRun, embedding_of
from hallulab.scoring.attribute_truth import TRUTHS
from hallulab.scoring.guided_pictures import best_of_each, keep_inside
from hallulab.theory.cluster_bootstrap import Estimate, cluster_draws, estimate, pair_means, ratios
from hallulab.theory.clustered_rate import ClusteredRate, clustered_rate
from hallulab.theory.regions import percentile_threshold

Record = Mapping[str, Any]
MASSES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
"""of the regions that keeping is tried with"""
GROUP_SIZES = (2, 4, 8, 16)
"""of best-of-n sampling"""
GENUINE, OUTSIDE, DIVERSITY = "truly genuine", "outside", "diversity"


@dataclass(frozen=True)
class Way:
    """One way of choosing among painted images."""

    name: str
    """"plain", "kept" or "best of n" """
    choose: Callable[[Sequence[float]], Sequence[int]]
    """places in the margins (nats) of one prompt's images, in order of their seeds"""
    n_together: int = 1
    """seeds that are chosen among together"""


@dataclass(frozen=True)
class GuidedRow:
    """One way of sampling from one checkpoint."""

    checkpoint: str
    way: str
    n_painted: int
    n: int
    """images that come out"""
    outside: ClusteredRate | None
    """by the frame that chooses: none of the kept, by construction; None without an image"""
    truths: dict[str, int] | None
    """truth → images; None in a world where it is not known"""
    genuine: ClusteredRate | None
    """share that is truly genuine"""
    diversity: Estimate | None
    """mean over prompts with at least two images of the mean cosine distance of two"""
    states: dict[str, int]
    """state → images most probable under it"""
    images_per_kept: Estimate | None
    """painted for each one that comes out"""
    seconds_per_kept: float | None
    """painting and judging, on the machine of the run"""


@dataclass(frozen=True)
class GuidedDifference:
    """What one way changes against plain sampling from the same checkpoint, on the same seeds."""

    checkpoint: str
    way: str
    quantity: str
    """share truly genuine, share outside, share most probable as a state, diversity"""
    plain: float
    chosen: float
    difference: Estimate
    """chosen − plain"""


@dataclass(frozen=True)
class TradeOff:
    """One way at one strength: what it costs, buys and loses against plain sampling."""

    checkpoint: str
    way: str
    strength: float
    """HDR mass of what is kept, or n"""
    n: int
    """images that come out"""
    images_per_kept: Estimate
    differences: tuple[GuidedDifference, ...]


def plain_kept_best(best_of: int) -> tuple[Way, ...]:
    """The three ways that a sweep compares."""
    return (
        Way("plain", lambda margins: range(len(margins))),
        Way("kept", keep_inside),
        best_way(best_of),
    )


def best_way(n: int) -> Way:
    """The most probable of every n; an incomplete last group gives none, but was painted too."""
    return Way(f"best of {n}", lambda margins: best_of_each(margins, n), n)


def guided_rows(images: Sequence[Record], best_of: int, *, seed: int = 0) -> tuple[GuidedRow, ...]:
    """Every way for every checkpoint, from records of complete cells."""
    return tuple(
        _row(painted, way, seed) for painted in _by_checkpoint(images) for way in plain_kept_best(best_of)
    )


def guided_differences(
    images: Sequence[Record], best_of: int, *, seed: int = 0
) -> tuple[GuidedDifference, ...]:
    """Kept and best-of-n against plain, for every checkpoint and quantity that both ways have."""
    return tuple(
        difference
        for painted in _by_checkpoint(images)
        for way in plain_kept_best(best_of)[1:]
        for difference in _differences(painted, way, seed)
    )


def trade_offs(run: SweepRun, images: Sequence[Record]) -> tuple[TradeOff, ...]:
    """Keeping at several masses and the best of several numbers; without those that leave no image."""
    genuine = {state: np.asarray(sample) for state, sample in run.header["genuine"].items()}
    found = []
    for painted in _by_checkpoint(images):
        for mass in MASSES:
            thresholds = {state: percentile_threshold(sample, mass) for state, sample in genuine.items()}
            found.append(_trade_off(painted.judged_by(thresholds), Way("kept", keep_inside), mass, run))
        for n in GROUP_SIZES:
            if n <= run.settings.n_images:
                found.append(_trade_off(painted, best_way(n), n, run))
    return tuple(point for point in found if point is not None)


class _Painted:
    """The images of one checkpoint: the same seeds for every prompt."""

    def __init__(self, records: Sequence[Record], margins: NDArray[np.float64] | None = None):
        self.checkpoint: str = records[0]["checkpoint"]
        self.seeds = sorted({record["seed"] for record in records})
        prompts = list(dict.fromkeys(record["prompt"] for record in records))
        place = {(record["prompt"], record["seed"]): record for record in records}
        self.records = [[place[prompt, seed] for seed in self.seeds] for prompt in prompts]
        self.states = list(records[0]["log_density"])
        self.has_truth = all(record["truth"] is not None for record in records)
        self.margins = self.of(lambda record: record["margin_nats"]) if margins is None else margins
        self.state = self.of(
            lambda record: self.states.index(max(record["log_density"], key=record["log_density"].get))
        )
        self.genuine = self.of(lambda record: record["truth"] == "genuine")
        self.seconds = float(self.of(lambda record: record["seconds"]).sum())

    def of(self, value: Callable[[Record], Any]) -> NDArray[Any]:
        """(n_prompts, n_seeds) of a quantity."""
        return np.array([[value(record) for record in row] for row in self.records])

    def judged_by(self, thresholds: Mapping[str, float]) -> "_Painted":
        """The same images against other thresholds."""
        margins = self.of(
            lambda record: max(record["log_density"][state] - thresholds[state] for state in thresholds)
        )
        flat = [record for row in self.records for record in row]
        return _Painted(flat, margins)

    def chosen(self, way: Way) -> NDArray[np.bool_]:
        """(n_prompts, n_seeds) whether a way chooses an image."""
        mask = np.zeros(self.margins.shape, dtype=bool)
        for row, margins in zip(mask, self.margins, strict=True):
            row[list(way.choose(margins.tolist()))] = True
        return mask

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """(n_prompts, n_seeds, n_seeds) cosine distances of images of one prompt."""
        embeddings = np.array([[embedding_of(record) for record in row] for row in self.records], dtype=float)
        unit = embeddings / np.linalg.norm(embeddings, axis=2, keepdims=True)
        return 1 - unit @ unit.transpose(0, 2, 1)

    def clusters(self, way: Way) -> NDArray[np.int_]:
        """(n_seeds,) which seeds are drawn again together."""
        return np.arange(len(self.seeds)) // way.n_together


@dataclass(frozen=True)
class _Sample:
    """What one way chose, counted per cluster of seeds."""

    painted: _Painted
    mask: NDArray[np.bool_]
    """(n_prompts, n_seeds)"""
    cluster_of: NDArray[np.int_]
    """(n_seeds,)"""

    def per_cluster(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """(n_clusters,) sums of (n_prompts, n_seeds) values."""
        return np.bincount(self.cluster_of, weights=values.sum(axis=0)).astype(np.float64)

    def share(self, draws: NDArray[np.float64], of: NDArray[Any]) -> NDArray[np.float64]:
        """Per draw, the share of the chosen for which (n_prompts, n_seeds) `of` holds."""
        return ratios(draws, self.per_cluster(self.mask & of.astype(bool)), self.per_cluster(self.mask))

    def diversity(self, draws: NDArray[np.float64], prompts: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Per draw, mean over prompts of the mean distance of two chosen images; NaN where a prompt has no pair."""
        n = int(self.cluster_of[-1]) + 1
        member = np.eye(n)[self.cluster_of]  # (n_seeds, n_clusters)
        found = []
        for distances, mask in zip(self.painted.distances[prompts], self.mask[prompts], strict=True):
            pairs = np.outer(mask, mask) & ~np.eye(len(mask), dtype=bool)
            found.append(
                pair_means(draws, member.T @ (distances * pairs) @ member, member.T @ pairs @ member)
            )
        return np.mean(found, axis=0) if found else np.full(len(draws), np.nan)

    @property
    def prompts_with_pairs(self) -> NDArray[np.bool_]:
        """(n_prompts,) which prompts have two images."""
        return self.mask.sum(axis=1) >= 2


def _sample(painted: _Painted, way: Way) -> _Sample:
    return _Sample(painted, painted.chosen(way), painted.clusters(way))


def _draws(sample: _Sample, seed: int) -> NDArray[np.float64]:
    return cluster_draws(int(sample.cluster_of[-1]) + 1, rng=np.random.default_rng(seed))


def _row(painted: _Painted, way: Way, seed: int) -> GuidedRow:
    sample = _sample(painted, way)
    draws, n_clusters = _draws(sample, seed), int(sample.cluster_of[-1]) + 1
    n, n_painted = int(sample.mask.sum()), sample.mask.size
    truths = None
    if painted.has_truth:
        truth = painted.of(lambda record: record["truth"])
        truths = {name: int((sample.mask & (truth == name)).sum()) for name in TRUTHS}
    chosen = sample.per_cluster(sample.mask)
    return GuidedRow(
        painted.checkpoint,
        way.name,
        n_painted,
        n,
        clustered_rate(sample.per_cluster(sample.mask & (painted.margins <= 0)), chosen),
        truths,
        clustered_rate(sample.per_cluster(sample.mask & painted.genuine), chosen) if truths else None,
        estimate(sample.diversity(draws, sample.prompts_with_pairs), n_clusters),
        {
            state: int((sample.mask & (painted.state == index)).sum())
            for index, state in enumerate(painted.states)
        },
        _cost(sample, draws),
        painted.seconds / n if n else None,
    )


def _cost(sample: _Sample, draws: NDArray[np.float64]) -> Estimate | None:
    painted = ratios(draws, sample.per_cluster(np.ones_like(sample.mask)), sample.per_cluster(sample.mask))
    return estimate(painted, draws.shape[1])


def _differences(painted: _Painted, way: Way, seed: int) -> list[GuidedDifference]:
    sample = _sample(painted, way)
    plain = _Sample(painted, np.ones_like(sample.mask), sample.cluster_of)
    draws, prompts = _draws(sample, seed), sample.prompts_with_pairs
    quantities: dict[str, Callable[[_Sample], NDArray[np.float64]]] = {}
    if painted.has_truth:
        quantities[GENUINE] = lambda of: of.share(draws, painted.genuine)
    quantities[OUTSIDE] = lambda of: of.share(draws, painted.margins <= 0)
    # the shares of all states add up to 1: the first says nothing that the others do not
    for index, state in enumerate(painted.states[1:], start=1):
        quantities[f"most probable as {state}"] = lambda of, at=index: of.share(draws, painted.state == at)
    quantities[DIVERSITY] = lambda of: of.diversity(draws, prompts)
    found = []
    for name, measure in quantities.items():
        theirs, ours = measure(plain), measure(sample)
        difference = estimate(ours - theirs, draws.shape[1])
        if difference is not None:
            found.append(
                GuidedDifference(
                    painted.checkpoint, way.name, name, float(theirs[0]), float(ours[0]), difference
                )
            )
    return found


def _trade_off(painted: _Painted, way: Way, strength: float, run: SweepRun) -> TradeOff | None:
    sample = _sample(painted, way)
    cost = _cost(sample, _draws(sample, run.settings.seed))
    if cost is None:
        return None
    differences = tuple(_differences(painted, way, run.settings.seed))
    return TradeOff(
        painted.checkpoint, way.name.split(" of ")[0], strength, int(sample.mask.sum()), cost, differences
    )


def _by_checkpoint(images: Sequence[Record]) -> list[_Painted]:
    groups: dict[str, list[Record]] = {}
    for record in images:
        groups.setdefault(record["checkpoint"], []).append(record)
    return [_Painted(records) for records in groups.values()]
