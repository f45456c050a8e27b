"""Can the confidence of an answer policy be believed? Reliability, ECE, MCE, Brier score and log loss, exactly.

Figure 2 of [KNVZ] shows a language model's calibration before and after reinforcement learning; this is the same
question to the policies that graders train.
"""

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.answer_policy import AnswerPolicy
from hallulab.experiments.post_training_run import CalibrationPoint
from hallulab.experiments.proper_scores import proper_scores
from hallulab.theory.calibration import N_BINS, bin_confidences

Values = NDArray[np.float64]

NEVER = 1e-9
"""a policy that answers less often than this has no calibration"""
SMALLEST_SHARE = 1e-3
"""of the answers in a bin that is shown, and that MCE looks at: enumeration leaves a trace in nearly every bin"""


def policy_calibration(
    policy: AnswerPolicy, theta: Values, target: float, weights: Values, *, seed: int, name: str
) -> CalibrationPoint:
    """The calibration of the answers that a policy gives when the target is stated.

    Args:
        policy: whose answers.
        theta: shape (4,).
        target: stated.
        weights: of the prompts, summing to 1, shape (n_prompts,).
        seed, name: of the world and of the policy, for the record.
    """
    statements = policy.statements(theta, target, weights)
    kept = statements.weight > 0
    confidence, right, weight = (
        values[kept] for values in (statements.confidence, statements.is_right, statements.weight)
    )
    if not weight.sum() > NEVER:
        nothing = (None,) * N_BINS
        return CalibrationPoint(
            seed, name, target, None, None, None, None, None, None, (0.0,) * N_BINS, nothing, nothing
        )
    bins = bin_confidences(confidence, right, weight=weight, group=np.zeros(len(weight), int)).reliability
    scores = proper_scores(confidence, right, weight)
    total, is_shown = weight.sum(), bins.share >= SMALLEST_SHARE
    return CalibrationPoint(
        seed=seed,
        policy=name,
        target=target,
        accuracy=float(weight @ right / total),
        confidence=float(weight @ confidence / total),
        ece=bins.ece,
        mce=float(abs(bins.outcome - bins.confidence)[is_shown].max()),
        brier=scores.brier,
        log_loss=scores.log_loss,
        bin_share=tuple(bins.share.tolist()),
        bin_confidence=_where(is_shown, bins.confidence),
        bin_accuracy=_where(is_shown, bins.outcome),
    )


def _where(is_shown: NDArray[np.bool_], values: Values) -> tuple[float | None, ...]:
    return tuple(float(value) if shown else None for value, shown in zip(values, is_shown, strict=True))
