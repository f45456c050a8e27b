"""Brier score and log loss of weighted statements, as scikit-learn computes them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss


@dataclass(frozen=True)
class ProperScores:
    """Two numbers that are least where confidence is what happens."""

    brier: float
    """mean of (confidence − outcome)²"""
    log_loss: float
    """mean of −ln of what the outcome was given, nats; scikit-learn keeps it off infinity"""


def proper_scores(
    confidence: NDArray[np.float64], outcome: NDArray[np.float64], weight: NDArray[np.float64]
) -> ProperScores:
    """Scores of statements.

    Args:
        confidence: in each, from 0 to 1, shape (n,).
        outcome: 1 where the statement holds, 0 where not, shape (n,).
        weight: of each, not all 0, shape (n,).
    """
    return ProperScores(
        brier=float(brier_score_loss(outcome, confidence, sample_weight=weight, pos_label=1.0)),
        log_loss=float(log_loss(outcome, confidence, sample_weight=weight, labels=[0.0, 1.0])),
    )
