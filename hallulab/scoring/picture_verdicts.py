"""Whether images δ-hallucinate: one verdict per image, and one for their mean ([LHZSL] 7.3)."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.models.clip import LoadedClip
from hallulab.scoring.picture_frames import N_NULL_MEANS, PictureFrame, unit_rows
from hallulab.theory.intervals import Interval, wilson_interval


@dataclass(frozen=True)
class ImageScores:
    """Log-densities of some images, of their mean, and of the means of as many genuine images."""

    hcdr: HcdrFrame
    """The thresholds, at the mass asked for."""
    log_densities: NDArray[np.float64]
    """(n, n_states) of every image, nats."""
    mean_log_densities: NDArray[np.float64]
    """(n_states,) of the mean of the images' unit embeddings, nats."""
    null_means: dict[str, NDArray[np.float64]]
    """State → log-densities of means of as many genuine images, nats."""

    def with_mass(self, hdr_mass: float) -> "ImageScores":
        """The same images at another mass: decided again from what is stored, without a model."""
        return replace(self, hcdr=self.hcdr.with_mass(hdr_mass))

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict per image."""
        return tuple(self.hcdr.decide(self.log_densities))

    @cached_property
    def mean_verdict(self) -> Verdict:
        """The paper's test: the verdict on the mean of the images."""
        return self.hcdr.decide(self.mean_log_densities[None])[0]

    @cached_property
    def matched_verdict(self) -> Verdict:
        """The mean against thresholds from means of as many genuine images: a test with power at any K."""
        null = HcdrFrame(
            self.hcdr.states,
            tuple(self.null_means[state] for state in self.hcdr.states),
            self.hcdr.hdr_mass,
            self.hcdr.threshold_rule,
        )
        return null.decide(self.mean_log_densities[None])[0]

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
        matched = {state.state: state.threshold for state in self.matched_verdict.states}
        return {
            "mean": {
                "log_density": _log_density(self.mean_verdict),
                "inside": not self.mean_verdict.is_hallucination,
                "margin_nats": self.mean_verdict.margin_nats,
                "k": len(self.verdicts),
                "k_matched": {
                    "thresholds": matched,
                    "inside": not self.matched_verdict.is_hallucination,
                    "margin_nats": self.matched_verdict.margin_nats,
                    "n_null": N_NULL_MEANS,
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
    mean = unit_rows(embeddings).mean(axis=0, keepdims=True)
    return ImageScores(
        hcdr=frame.features.hcdr.with_mass(hdr_mass),
        log_densities=frame.features.log_densities(embeddings),
        mean_log_densities=frame.features.log_densities(mean)[0],
        null_means=frame.null_means(len(embeddings), rng=np.random.default_rng(seed)),
    )


def verdict_json(verdict: Verdict | None) -> dict[str, Any]:
    """log_density{}, inside and margin_nats of one image; null where there is no verdict."""
    if verdict is None:
        return {"log_density": {}, "inside": None, "margin_nats": None}
    return {
        "log_density": _log_density(verdict),
        "inside": not verdict.is_hallucination,
        "margin_nats": verdict.margin_nats,
    }


def _log_density(verdict: Verdict) -> dict[str, float]:
    return {state.state: state.log_density for state in verdict.states}
