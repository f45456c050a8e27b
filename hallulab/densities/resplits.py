"""How much a threshold rule covers over many random splits of the same genuine samples."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.densities.feature_frame import FeatureFrame
from hallulab.densities.hcdr import THRESHOLD_RULES, ThresholdRule
from hallulab.errors import RefusedInputError
from hallulab.theory.regions import check_mass


def resplit_coverage(
    frame: FeatureFrame,
    genuine: Mapping[str, ArrayLike],
    rule: ThresholdRule,
    *,
    n_held_out: int,
    n_resplits: int,
    rng: np.random.Generator,
    hdr_mass: float = 0.9,
) -> NDArray[np.float64]:
    """Per split, the share of the other genuine samples inside their own state's region, averaged over states.

    Args:
        frame: gives the densities; it must not have been fitted on any of `genuine`.
        genuine: state → (n, d) embeddings.
        rule: how `n_held_out` of them become a threshold.
        n_held_out: samples per state behind a threshold; the others are judged.
        n_resplits: random splits.
        rng: draws the splits.
        hdr_mass: share that belongs inside.

    Returns: shape (n_resplits,).
    Raises RefusedInputError when a split would leave nothing to judge.
    """
    check_mass(hdr_mass)
    threshold_of = THRESHOLD_RULES[rule]
    shares = []
    for column, state in enumerate(frame.states):
        scores = frame.log_densities(genuine[state])[:, column]
        if not 1 <= n_held_out < len(scores):
            raise RefusedInputError(
                f"expected from 1 to {len(scores) - 1} held-out samples of {state}, of which there are "
                f"{len(scores)}, got {n_held_out}"
            )
        shuffled = rng.permuted(np.tile(scores, (n_resplits, 1)), axis=1)
        thresholds = np.array([threshold_of(row, hdr_mass) for row in shuffled[:, :n_held_out]])
        # as in HcdrFrame: a sample at its own threshold belongs inside
        shares.append((shuffled[:, n_held_out:] > thresholds[:, None] - 1e-9).mean(axis=1))
    return np.mean(shares, axis=0)


def half_coverage(
    frame: FeatureFrame, genuine: Mapping[str, ArrayLike], *, rng: np.random.Generator
) -> dict[str, tuple[int, int]]:
    """State → (inside, judged) of one random half of its genuine samples, thresholds set by the other half.

    What is counted never set a threshold. A sample is inside where any state's region holds it.

    Args:
        frame: at its mass and rule; it must not have been fitted on any of `genuine`.
        genuine: state → (n, d) embeddings, at least two each.
        rng: halves them.
    """
    setting, judged = {}, {}
    for column, state in enumerate(frame.states):
        scores = rng.permutation(frame.log_densities(genuine[state]))
        half = (len(scores) + 1) // 2
        setting[state], judged[state] = scores[:half, column], scores[half:]
    thresholds = replace(
        frame.hcdr, genuine_log_densities=tuple(setting[state] for state in frame.states)
    ).thresholds
    return {
        state: (int((scores > thresholds).any(axis=1).sum()), len(scores)) for state, scores in judged.items()
    }
