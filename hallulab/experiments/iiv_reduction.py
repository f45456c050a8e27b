"""What Is-It-Valid runs say of Theorem 1: every checkpoint's reduction beside its error rate, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.iiv import IivResult
from hallulab.experiments.iiv_estimates import Estimate, estimate, question_counts
from hallulab.theory.is_it_valid import (
    AnswerWorld,
    PromptTerms,
    best_threshold,
    loss_slope,
    prompt_terms,
    reduction,
    rescaled_loss,
    sharp_reduction,
)

Scale = Literal["renormalised", "per_token", "as_is"]
SCALES: dict[str, str] = {
    "renormalised": "p̂ of an answer divided by that of all listed answers",
    "per_token": "the same with every log-likelihood divided by the answer's tokens first",
    "as_is": "p̂ as the model has it; what it gives to answers that are not listed is lost",
}
RESCALING_FACTORS = tuple((np.arange(10, 121) / 40).tolist())
"""s from 1/4 to 3"""
BROKEN_BELOW = 1e-9
"""a bound is broken when err is below it by more than rounding"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class IivRow:
    """One checkpoint on one question set, measured against Theorem 1; every question weighs the same."""

    question_set: str
    checkpoint: str
    scale: str
    """of `SCALES`"""
    n_questions: int
    n_missing: int
    """questions of the run that this checkpoint was not asked yet"""
    n_candidates: int
    err: Estimate
    """p̂(E)"""
    err_iiv: Estimate
    """at the paper's threshold, 1/min|E_c|"""
    own_err_iiv: Estimate
    """at each question's own, 1/|E_c|"""
    best_err_iiv: Estimate
    """at the one threshold that is best for all questions; the interval keeps that threshold"""
    best_threshold: float
    ratio: Estimate
    """err / err_iiv; 2 is what the reduction gives where its other terms vanish"""
    own_ratio: Estimate
    best_ratio: Estimate
    """err / best_err_iiv"""
    delta: Estimate
    """|p̂(A) − p(A)| at the paper's threshold"""
    loss_slope: float
    """dL(p̂_s)/ds at s = 1, by differentiating the loss: δ again, but for its sign"""
    size_term: float
    """max|V_c| / min|E_c|"""
    bound: Estimate
    """Theorem 1: err is at least this"""
    sharp_bound: Estimate
    """the same with nothing given away"""
    lost_mass: Estimate
    """1 − p̂(V ∪ E)"""

    @property
    def is_broken(self) -> bool:
        """Whether err is below a bound, which no model can be."""
        err, bounds = self.err.value or 0.0, (self.bound.value, self.sharp_bound.value)
        return any(bound is not None and err < bound - BROKEN_BELOW for bound in bounds)


@dataclass(frozen=True)
class RescalingCurve:
    """L(p̂_s) − L(p̂) of one checkpoint: its slope at s = 1 is the signed δ."""

    question_set: str
    checkpoint: str
    factors: tuple[float, ...]
    loss_change: tuple[float, ...]
    """nats"""
    slope: float


@dataclass(frozen=True, eq=False)
class Asked:
    """One checkpoint's p̂ beside the truth, for the questions it has been asked."""

    world: AnswerWorld
    log_probability: Values
    """ln p̂(r|c) on the chosen scale, −∞ where a question has fewer answers, shape (n_questions, n_columns)"""

    @property
    def model(self) -> Values:
        """p̂(r|c)."""
        return np.exp(self.log_probability)


def asked(result: IivResult, checkpoint: str, scale: str = "renormalised") -> Asked | None:
    """What one checkpoint said so far; None before its first question."""
    pairs = [
        (question, result.scores[checkpoint, question.id])
        for question in result.questions
        if (checkpoint, question.id) in result.scores
    ]
    if not pairs:
        return None
    width = max(len(question.answers) for question, _ in pairs)
    data, log_p = np.zeros((len(pairs), width)), np.full((len(pairs), width), -np.inf)
    is_valid, n_members = np.zeros((len(pairs), width), bool), np.zeros((len(pairs), width), np.int64)
    for row, (question, scores) in enumerate(pairs):
        n = len(question.answers)
        data[row, :n], is_valid[row, :n], n_members[row, :n] = (
            question.data_probability, question.is_valid, 1,
        )  # fmt: skip
        values: Values = np.asarray(scores.log_likelihoods, dtype=float)
        if scale == "per_token":
            values = values / np.asarray(scores.n_tokens)
        log_p[row, :n] = values if scale == "as_is" else values - np.logaddexp.reduce(values)
    world = AnswerWorld(np.full(len(pairs), 1 / len(pairs)), data, is_valid, n_members)
    return Asked(world, log_p)


def iiv_table(results: Sequence[IivResult], scales: Sequence[str] = get_args(Scale)) -> tuple[IivRow, ...]:
    """Every checkpoint of every run on every scale."""
    found = []
    for result in results:
        for scale in scales:
            for model in result.models:
                one = asked(result, model.checkpoint, scale)
                if one is not None:
                    found.append(_row(result, model.checkpoint, scale, one))
    return tuple(found)


def rescaling_curves(results: Sequence[IivResult]) -> tuple[RescalingCurve, ...]:
    """The loss as everything above the paper's threshold is scaled by s, on the renormalised scale."""
    found = []
    for result in results:
        for model in result.models:
            one = asked(result, model.checkpoint)
            if one is None:
                continue
            change = rescaled_loss(one.world, one.model, RESCALING_FACTORS)
            found.append(
                RescalingCurve(
                    result.settings.question_set, model.checkpoint, RESCALING_FACTORS,
                    tuple(np.real(change).tolist()), loss_slope(one.world, one.model),
                )
            )  # fmt: skip
    return tuple(found)


def _row(result: IivResult, checkpoint: str, scale: str, one: Asked) -> IivRow:
    world, model = one.world, one.model
    n = len(world.prompt_weights)
    plain, sharp, best = reduction(world, model), sharp_reduction(world, model), best_threshold(world, model)
    terms = prompt_terms(world, model, world.paper_threshold)
    own = prompt_terms(world, model, world.own_thresholds)
    at_best = prompt_terms(world, model, best.threshold)
    best_err_iiv = float(at_best.err_iiv.mean())  # a sum of what is misjudged: exactly 0 where nothing is
    counts = question_counts(n, result.settings.seed) / n  # (n_resamples, n)
    err, iiv, own_iiv, best_iiv, over, lost = (
        counts @ values
        for values in (
            terms.err, terms.err_iiv, own.err_iiv, at_best.err_iiv, terms.overshoot, terms.lost_mass,
        )
    )  # fmt: skip

    def over_questions(value: float | None, resampled: Values) -> Estimate:
        return estimate(value, resampled, n)

    return IivRow(
        question_set=result.settings.question_set,
        checkpoint=checkpoint,
        scale=scale,
        n_questions=n,
        n_missing=len(result.questions) - n,
        n_candidates=int(world.n_members.sum()),
        err=over_questions(_number(plain.err), err),
        err_iiv=over_questions(_number(plain.err_iiv), iiv),
        own_err_iiv=over_questions(_number(sharp.err_iiv), own_iiv),
        best_err_iiv=over_questions(best_err_iiv, best_iiv),
        best_threshold=best.threshold,
        ratio=over_questions(_ratio(plain.err, plain.err_iiv), _ratios(err, iiv)),
        own_ratio=over_questions(_ratio(sharp.err, sharp.err_iiv), _ratios(err, own_iiv)),
        best_ratio=over_questions(_ratio(plain.err, best_err_iiv), _ratios(err, best_iiv)),
        delta=over_questions(_number(plain.delta), abs(over)),
        loss_slope=loss_slope(world, model),
        size_term=_number(plain.size_term),
        bound=over_questions(_number(plain.bound), 2 * iiv - _number(plain.size_term) - abs(over) - lost),
        sharp_bound=over_questions(_number(sharp.signed_bound), counts @ _sharp_slack(own)),
        lost_mass=over_questions(_number(plain.lost_mass), lost),
    )


def _sharp_slack(own: PromptTerms) -> Values:
    """What each question adds to the sharp bound."""
    return 2 * own.err_iiv - own.valid_below - own.overshoot - own.lost_mass


def _number(value: Any) -> float:
    return float(value)


def _ratio(above: Any, below: Any) -> float | None:
    return float(above) / float(below) if below > 0 else None


def _ratios(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
