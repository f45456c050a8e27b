"""Whether images δ-hallucinate: one verdict per image, and one for their mean ([LHZSL] 7.3)."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.densities.mean_tests import MeanTest, MeanTests
from hallulab.models.clip import LoadedClip
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.theory.intervals import Interval, wilson_interval


@dataclass(frozen=True)
class ImageScores:
    """Log-densities of some images, and the tests of their mean."""

    hcdr: HcdrFrame
    """The thresholds, at the mass asked for."""
    log_densities: NDArray[np.float64]
    """(n, n_states) of every image, nats."""
    mean: NDArray[np.float64]
    """(n_kept,) mean of the images' features: m̂ of [LHZSL] 7.3."""
    mean_tests: MeanTests
    """For means of as many images."""

    def with_mass(self, hdr_mass: float) -> "ImageScores":
        """The same images at another mass: decided again from what is stored, without a model."""
        return replace(
            self, hcdr=self.hcdr.with_mass(hdr_mass), mean_tests=self.mean_tests.with_mass(hdr_mass)
        )

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict per image."""
        return tuple(self.hcdr.decide(self.log_densities))

    @cached_property
    def mean_verdicts(self) -> dict[MeanTest, Verdict]:
        """Test → its verdict on the mean of the images."""
        return self.mean_tests.decide(self.mean)

    @property
    def mean_verdict(self) -> Verdict:
        """The paper's test."""
        return self.mean_verdicts["paper"]

    @property
    def matched_verdict(self) -> Verdict:
        """The same density against thresholds from means of as many genuine images."""
        return self.mean_verdicts["k_matched"]

    @property
    def n_outside(self) -> int:
        """Images outside every state's region."""
        return sum(verdict.is_hallucination for verdict in self.verdicts)

    @property
    def hallucination_rate(self) -> float:
        """Share of images outside."""
        return self.n_outside / len(self.verdicts)

    @property
    def interval(self) -> Interval:
        """95 % Wilson interval of the share."""
        return wilson_interval(self.n_outside, len(self.verdicts))

    def to_json(self) -> dict[str, Any]:
        """The verdict's part of the contract of `paint`; per-image entries are in `image_json`."""
        return {
            "mean": {
                **verdict_json(self.mean_verdict),
                "k": len(self.verdicts),
                **{
                    test: {
                        **verdict_json(self.mean_verdicts[test]),
                        "thresholds": {
                            state.state: state.threshold for state in self.mean_verdicts[test].states
                        },
                        "n_null": self.mean_verdicts[test].states[0].n_genuine,
                    }
                    for test in ("k_matched", "own_law")
                },
            },
            "hallucination_rate": self.hallucination_rate,
            "n_outside": self.n_outside,
            "n": len(self.verdicts),
            "interval": [self.interval.low, self.interval.high],
            "thresholds": dict(zip(self.hcdr.states, self.hcdr.thresholds.tolist(), strict=True)),
            "hdr_mass": self.hcdr.hdr_mass,
            "frame_hash": self.hcdr.content_hash,
        }


def score_embeddings(
    frame: PictureFrame, clip: LoadedClip, embeddings: NDArray[np.float32], hdr_mass: float, *, seed: int
) -> ImageScores:
    """Judge images by their (n, d) embeddings, one by one and as a mean; `seed` draws the null."""
    frame.check_embedder(clip)
    return ImageScores(
        hcdr=frame.features.hcdr.with_mass(hdr_mass),
        log_densities=frame.features.log_densities(embeddings),
        mean=frame.features.features(embeddings).mean(axis=0),
        mean_tests=frame.mean_tests(len(embeddings), hdr_mass, rng=np.random.default_rng(seed)),
    )


def verdict_json(verdict: Verdict | None) -> dict[str, Any]:
    """log_density{}, inside and margin_nats of one image; null where there is no verdict."""
    if verdict is None:
        return {"log_density": {}, "inside": None, "margin_nats": None}
    return {
        "log_density": {state.state: state.log_density for state in verdict.states},
        "inside": not verdict.is_hallucination,
        "margin_nats": verdict.margin_nats,
    }
