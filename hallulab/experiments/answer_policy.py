"""How a learner of arbitrary facts behaves under four numbers: when it says IDK, how much it sharpens its guesses.

The base learner keeps what it knows. θ, shared by all prompts, begins at 0:

    P(IDK | c, t) = σ(log-odds of p̂(IDK|c) + θ₀ + θ₁ o(c) + θ₂ o(t)),   P(r | c, answering) ∝ p̂(r|c)^(1 + θ₃),

with o the log-odds of the base's confidence in its likeliest answer and of the stated target t. All log-odds are cut at
± a limit, so that θ = 0 is the base itself but where p̂(IDK|c) lies beyond it: there IDK is raised, or lowered, to σ of
the limit. Expected points and their gradient are sums over all answers: nothing is sampled (§4 of [KNVZ]).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.models.fact_learners import Learned
from hallulab.theory.confidence_targets import penalty
from hallulab.theory.is_it_valid import reduction

ABSTAIN_BIAS, BY_CONFIDENCE, BY_TARGET, SHARPENING = range(4)
"""places in θ"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Behaviour:
    """What a policy does at one target, over a set of prompts."""

    points: float
    idk: float
    right: float
    wrong: float


@dataclass(frozen=True, eq=False)
class Statements:
    """Answers that a policy may give, equal ones of one column together; each array of shape (n,)."""

    confidence: Values
    """P(r | c, answering), of one answer"""
    is_right: Values
    """1 or 0"""
    weight: Values
    """how often the answers are given"""


class AnswerPolicy:
    """A base learner's answers under four numbers θ, shape (4,), that decide how it behaves.

    Args:
        learned: what the base learner says, and the truth.
        log_odds_limit: log-odds are cut at ± this.
    """

    def __init__(self, learned: Learned, log_odds_limit: float = 6.0):
        self.learned = learned
        truth, model = learned.truth, learned.probability
        answers = model[:, :-1]  # IDK is the last column, of three or of all
        self._members, self._right = truth.n_members[:, :-1], truth.is_valid[:, :-1]
        given = (answers * self._members).sum(axis=1)  # (n_prompts,)
        self._can_answer = given > 0
        # what the base loses to implausible answers stays lost, and counts as wrong
        self._kept = np.minimum(1.0, given / np.where(self._can_answer, 1 - model[:, -1], 1.0))
        self._log_answers = np.log(answers, out=np.full(answers.shape, -np.inf), where=answers > 0)
        self._limit = log_odds_limit
        self._idk_log_odds = self._log_odds(model[:, -1])
        shares = answers / np.where(self._can_answer, given, 1.0)[:, None]
        self.confidence: Values = self._kept * shares.max(axis=1)
        """of the base in its likeliest answer, when it answers; shape (n_prompts,)"""
        self._confidence_log_odds = self._log_odds(self.confidence)

    def abstention(self, theta: Values, target: float) -> Values:
        """P(IDK | c, t), shape (n_prompts,)."""
        logit = (
            self._idk_log_odds
            + theta[ABSTAIN_BIAS]
            + theta[BY_CONFIDENCE] * self._confidence_log_odds
            + theta[BY_TARGET] * float(self._log_odds(np.array(target)))
        )
        return np.where(self._can_answer, 1 / (1 + np.exp(-np.clip(logit, -500, 500))), 1.0)

    def answers(self, theta: Values) -> Values:
        """P(r | c, answering) of one member of each column but IDK, shape (n_prompts, n_columns − 1)."""
        power = (1 + theta[SHARPENING]) * self._log_answers
        top = np.where(self._can_answer, power.max(axis=1), 0.0)
        weight = np.where(np.isfinite(self._log_answers), np.exp(power - top[:, None]), 0.0)
        total = (weight * self._members).sum(axis=1)
        return weight * (self._kept / np.where(total > 0, total, 1.0))[:, None]

    def behaviour(self, theta: Values, target: float, weights: Values) -> Behaviour:
        """What it does when the target is stated, and its expected points at that target; `weights` sum to 1."""
        right_share = (self.answers(theta) * self._members * self._right).sum(axis=1)
        answered = 1 - self.abstention(theta, target)
        right, wrong = (
            float(weights @ (answered * right_share)),
            float(weights @ (answered * (1 - right_share))),
        )
        return Behaviour(right - penalty(target) * wrong, 1 - right - wrong, right, wrong)

    def statements(self, theta: Values, target: float, weights: Values) -> "Statements":
        """Every answer but IDK that it may give when the target is stated; `weights` sum to 1."""
        answers = self.answers(theta)
        given = weights * (1 - self.abstention(theta, target))
        confidence = np.clip(answers, 0.0, 1.0)  # rounding may leave a hair more
        return Statements(
            confidence.ravel(),
            np.broadcast_to(self._right, answers.shape).astype(float).ravel(),
            (given[:, None] * answers * self._members).ravel(),
        )

    def expected_points(
        self, theta: Values, targets: Sequence[float], weights: Values
    ) -> tuple[float, Values]:
        """Mean over targets of the expected points a prompt, and its exact gradient in θ, shape (4,)."""
        answers = self.answers(theta) * self._members
        right_share = (answers * self._right).sum(axis=1)
        log_answers = np.where(np.isfinite(self._log_answers), self._log_answers, 0.0)
        mean_log = (answers * log_answers).sum(axis=1) / np.where(self._kept > 0, self._kept, 1.0)
        sharper = (answers * self._right * (log_answers - mean_log[:, None])).sum(axis=1)
        total, gradient = 0.0, np.zeros(4)
        for target in targets:
            cost = penalty(target)
            idk = self.abstention(theta, target)
            value = right_share - cost * (1 - right_share)
            total += float(weights @ ((1 - idk) * value))
            by_logit = -weights * idk * (1 - idk) * value
            gradient[ABSTAIN_BIAS] += by_logit.sum()
            gradient[BY_CONFIDENCE] += by_logit @ self._confidence_log_odds
            gradient[BY_TARGET] += by_logit.sum() * float(self._log_odds(np.array(target)))
            gradient[SHARPENING] += (weights * (1 - idk)) @ ((1 + cost) * sharper)
        return total / len(targets), gradient / len(targets)

    def rule_points(self, target: float, weights: Values) -> float:
        """Expected points of the base's likeliest answer, given iff its confidence exceeds the target."""
        top = self._log_answers.max(axis=1, keepdims=True)
        likeliest = np.isfinite(self._log_answers) & (self._log_answers >= top) & (self._members > 0)
        n_likeliest = (likeliest * self._members).sum(axis=1)
        right = (
            self._kept * (likeliest * self._members * self._right).sum(axis=1) / np.maximum(n_likeliest, 1)
        )
        value = right - penalty(target) * (1 - right)
        return float(weights @ np.where(self._can_answer & (self.confidence > target), value, 0.0))

    def delta(self, theta: Values, target: float) -> float:
        """δ of the policy over all prompts, against what the data says."""
        idk = self.abstention(theta, target)
        probability = np.column_stack([(1 - idk)[:, None] * self.answers(theta), idk])
        return float(reduction(self.learned.truth, probability).delta)

    def _log_odds(self, probability: Values) -> Values:
        with np.errstate(divide="ignore"):
            return np.clip(np.log(probability) - np.log1p(-probability), -self._limit, self._limit)
