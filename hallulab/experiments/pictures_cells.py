"""What K images of one checkpoint and prompt show: rate, means and their power, margin, diversity, variance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.scoring.picture_frames import PictureFrame, unit_rows
from hallulab.theory.bootstrap import bootstrap_interval
from hallulab.theory.correlation import spearman
from hallulab.theory.diversity import cosine_diversity
from hallulab.theory.intervals import wilson_interval
from hallulab.theory.regions import inside_regions

POWER = 0.8
"""a displacement counts as detectable when a test notices it this often"""
DISPLACEMENT_STEP, MOST_DISPLACEMENT = 0.02, 5.0
"""in spreads of one genuine image: how finely and how far detectable displacements are looked for"""
N_GENUINE_FOR_DIVERSITY = 400


class CellJudge:
    """A frame and the means of K genuine images, drawn once for all cells of a run.

    Args:
        frame: judges.
        hdr_mass: share of genuine images that belong inside.
        n_images: K.
        seed: of the genuine images drawn.
    """

    def __init__(self, frame: PictureFrame, hdr_mass: float, n_images: int, *, seed: int):
        self.frame, self.seed = frame, seed
        self.hcdr = frame.features.hcdr.with_mass(hdr_mass)
        self.n_images = n_images

    @cached_property
    def null_means(self) -> dict[str, NDArray[np.float64]]:
        """State → (n_null,) log-densities of means of K genuine images, nats."""
        return self.frame.null_means(self.n_images, rng=np.random.default_rng([self.seed, 0]))

    @cached_property
    def matched(self) -> HcdrFrame:
        """The frame whose thresholds come from means of K genuine images."""
        null = tuple(self.null_means[state] for state in self.hcdr.states)
        return HcdrFrame(self.hcdr.states, null, self.hcdr.hdr_mass, self.hcdr.threshold_rule)

    @cached_property
    def _fresh_means(self) -> dict[str, NDArray[np.float64]]:
        """State → (n_null, d) means of other genuine images: power is not measured on the thresholds' own."""
        return self.frame.genuine_means(self.n_images, rng=np.random.default_rng([self.seed, 1]))

    def genuine_diversity(self) -> dict[str, Any]:
        """State → diversity of genuine held-out images, what a cell's can be held against."""
        return {
            state: diversity_json(self.frame.held_out[state][:N_GENUINE_FOR_DIVERSITY])
            for state in self.hcdr.states
        }

    def displacement(self, mean: NDArray[np.float64], state: str) -> dict[str, Any]:
        """How far a (d,) mean lies from a state's genuine images, and from where on the two tests notice.

        Means of K genuine images are moved in the direction of `mean` until a test finds 80 % of them outside every
        region. All in spreads: the root mean square distance of one genuine image from the genuine centre.
        """
        genuine = unit_rows(self.frame.held_out[state])
        centre = genuine.mean(axis=0)
        spread = float(np.sqrt(((genuine - centre) ** 2).sum(axis=1).mean()))
        distance = float(np.linalg.norm(mean - centre))
        direction = (mean - centre) / distance if distance else np.zeros_like(mean)
        thresholds = {"paper": self.hcdr.thresholds, "k_matched": self.matched.thresholds}
        found: dict[str, float | None] = dict.fromkeys(thresholds)
        false_alarms: dict[str, float] = {}
        for moved in np.arange(0, MOST_DISPLACEMENT + DISPLACEMENT_STEP / 2, DISPLACEMENT_STEP):
            log_densities = self.frame.features.log_densities(
                self._fresh_means[state] + moved * spread * direction
            )
            for test, threshold in thresholds.items():
                is_outside = ~inside_regions(log_densities, threshold).any(axis=1)
                if moved == 0:
                    false_alarms[test] = float(is_outside.mean())
                if found[test] is None and false_alarms[test] < POWER <= is_outside.mean():
                    found[test] = float(moved)
            if all(found[test] is not None or false_alarms[test] >= POWER for test in thresholds):
                break
        return {
            "state": state,
            "observed": distance / spread,
            "detectable": found,
            "false_alarms": false_alarms,
            "power": POWER,
        }


def measure_cell(
    judge: CellJudge, records: Sequence[Mapping[str, Any]], embeddings: NDArray[np.float32]
) -> dict[str, Any]:
    """Everything a cell's record holds besides its names.

    Args:
        judge: of the run.
        records: of the K images.
        embeddings: (K, d), in their order.
    """
    n = len(records)
    n_outside = sum(not record["inside"] for record in records)
    interval = wilson_interval(n_outside, n)
    margins = [record["margin_nats"] for record in records]
    mean = unit_rows(embeddings).mean(axis=0)
    mean_log_densities = judge.frame.features.log_densities(mean[None])
    paper, matched = judge.hcdr.decide(mean_log_densities)[0], judge.matched.decide(mean_log_densities)[0]
    nearest = max(matched.states, key=lambda state: state.log_density - state.threshold).state
    return {
        "n": n,
        "n_outside": n_outside,
        "hallucination_rate": n_outside / n,
        "interval": asdict(interval),
        "margin_nats": _mean_json(margins, judge.seed),
        "mean": {
            "log_density": {state.state: state.log_density for state in paper.states},
            "paper": _verdict_json(paper),
            "k_matched": _verdict_json(matched) | {"n_null": len(judge.null_means[nearest])},
            "displacement": judge.displacement(mean, nearest),
        },
        "diversity": diversity_json(embeddings),
        "x0_variance": _variance_json(records, margins, judge.seed),
        "states": {
            state: sum(
                max(record["log_density"], key=record["log_density"].get) == state for record in records
            )
            for state in judge.hcdr.states
        },
        "seconds": sum(record["seconds"] for record in records),
    }


def diversity_json(embeddings: NDArray[Any]) -> dict[str, Any] | None:
    """Mean cosine distance of two images, with its interval; None for fewer than two."""
    found = cosine_diversity(embeddings) if len(embeddings) else None
    return None if found is None else asdict(found)


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "inside": not verdict.is_hallucination,
        "margin_nats": verdict.margin_nats,
        "thresholds": {state.state: state.threshold for state in verdict.states},
    }


def _variance_json(
    records: Sequence[Mapping[str, Any]], margins: Sequence[float], seed: int
) -> dict[str, Any] | None:
    """Mean of the variance of predicted clean latents, and whether it orders images as the margin does."""
    pairs = [
        (variance, margin)
        for record, margin in zip(records, margins, strict=True)
        for variance in record["x0_variance"].values()
        if variance is not None
    ]
    if not pairs:
        return None
    variances, its_margins = map(np.array, zip(*pairs, strict=True))
    return _mean_json(variances, seed) | {"rank_correlation_with_margin": spearman(its_margins, -variances)}


def _mean_json(values: Sequence[float] | NDArray[np.float64], seed: int) -> dict[str, Any]:
    found = bootstrap_interval(values, rng=np.random.default_rng(seed))
    assert found is not None  # a cell has images
    return {"mean": found.mean, "interval": asdict(found.interval), "n": found.n}
