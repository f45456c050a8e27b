"""What K images of one checkpoint and prompt show: rate, means and their power, margin, diversity, variance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import Verdict
from hallulab.densities.mean_tests import MEAN_TESTS, N_NULL_MEANS, MeanTest, MeanTests, genuine_means
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.theory.bootstrap import bootstrap_interval
from hallulab.theory.correlation import spearman
from hallulab.theory.diversity import cosine_diversity
from hallulab.theory.intervals import wilson_interval

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
        self._n_images, self._hdr_mass = n_images, hdr_mass

    @cached_property
    def tests(self) -> MeanTests:
        """Of means of K images."""
        return self.frame.mean_tests(
            self._n_images, self._hdr_mass, rng=np.random.default_rng([self.seed, 0])
        )

    @cached_property
    def _other_means(self) -> dict[str, NDArray[np.float64]]:
        """State → (n_null, n_kept) other means of genuine images: power is not measured on the thresholds' own."""
        rng = np.random.default_rng([self.seed, 1])
        return {
            state: genuine_means(rows, self._n_images, N_NULL_MEANS, rng=rng)
            for state, rows in self.frame.held_out_features.items()
        }

    def false_alarms(self) -> dict[str, Any]:
        """Test → state → how many means of K genuine images the test calls hallucinations.

        The images are the held-out ones behind the thresholds, drawn again: `frame-table` counts on images that no
        threshold saw.
        """
        outside = {state: self.tests.outside(means) for state, means in self._other_means.items()}
        return {
            test: {state: _rate_json(found[test]) for state, found in outside.items()} for test in MEAN_TESTS
        }

    def genuine_diversity(self) -> dict[str, Any]:
        """State → diversity of genuine held-out images, what a cell's can be held against."""
        return {
            state: diversity_json(self.frame.held_out[state][:N_GENUINE_FOR_DIVERSITY])
            for state in self.hcdr.states
        }

    def displacement(self, mean: NDArray[np.float64], state: str) -> dict[str, Any]:
        """How far a (n_kept,) mean lies from a state's genuine images, and from where on each test notices.

        Means of K genuine images are moved in the direction of `mean` until a test finds 80 % of them outside every
        region. All in spreads: the root mean square distance of one genuine image from the genuine centre.
        """
        genuine = self.frame.held_out_features[state]
        centre = genuine.mean(axis=0)
        spread = float(np.sqrt(((genuine - centre) ** 2).sum(axis=1).mean()))
        distance = float(np.linalg.norm(mean - centre))
        direction = (mean - centre) / distance if distance else np.zeros_like(mean)
        means = self._other_means[state]
        false_alarms = {test: float(found.mean()) for test, found in self.tests.outside(means).items()}
        detectable: dict[MeanTest, float | None] = dict.fromkeys(MEAN_TESTS)
        for moved in np.arange(DISPLACEMENT_STEP, MOST_DISPLACEMENT, DISPLACEMENT_STEP):
            searched: list[MeanTest] = [
                test for test in MEAN_TESTS if detectable[test] is None and false_alarms[test] < POWER
            ]
            if not searched:
                break
            outside = self.tests.outside(means + moved * spread * direction)
            for test in searched:
                if outside[test].mean() >= POWER:
                    detectable[test] = float(moved)
        return {
            "state": state,
            "observed": distance / spread,
            "detectable": detectable,
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
    mean = judge.frame.features.features(embeddings).mean(axis=0)
    verdicts = judge.tests.decide(mean)
    nearest = max(verdicts["k_matched"].states, key=lambda state: state.log_density - state.threshold).state
    return {
        "n": n,
        "n_outside": n_outside,
        "hallucination_rate": n_outside / n,
        "interval": asdict(interval),
        "margin_nats": mean_json(margins, judge.seed),
        "mean": {
            "log_density": {state.state: state.log_density for state in verdicts["paper"].states},
            **{test: _verdict_json(verdicts[test]) for test in MEAN_TESTS},
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
        "n_genuine": {state.state: state.n_genuine for state in verdict.states},
    }


def _rate_json(is_outside: NDArray[np.bool_]) -> dict[str, Any]:
    n, n_outside = len(is_outside), int(is_outside.sum())
    return {
        "n": n,
        "n_outside": n_outside,
        "rate": n_outside / n,
        "interval": asdict(wilson_interval(n_outside, n)),
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
    return mean_json(variances, seed) | {"rank_correlation_with_margin": spearman(its_margins, -variances)}


def mean_json(values: Sequence[float] | NDArray[np.float64], seed: int) -> dict[str, Any]:
    """Mean with its bootstrap interval."""
    found = bootstrap_interval(values, rng=np.random.default_rng(seed))
    assert found is not None  # a cell has images
    return {"mean": found.mean, "interval": asdict(found.interval), "n": found.n}
