"""What Is-It-Valid runs say as numbers: the reduction and the calibration of every checkpoint, with intervals."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss

from hallulab.experiments.iiv import IivResult
from hallulab.theory.bootstrap import N_RESAMPLES
from hallulab.theory.calibration import BinnedConfidences, bin_confidences
from hallulab.theory.intervals import Interval, wilson_interval
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
View = Literal["likeliest", "is_it_valid"]
SCALES: dict[str, str] = {
    "renormalised": "p̂ of an answer divided by that of all listed answers",
    "per_token": "the same with every log-likelihood divided by the answer's tokens first",
    "as_is": "p̂ as the model has it; what it gives to answers that are not listed is lost",
}
VIEWS: dict[str, str] = {
    "likeliest": "how sure the model is of its likeliest listed answer, and whether that is valid",
    "is_it_valid": "how sure it must be that an answer of the Is-It-Valid mix is valid, and whether it is",
}
RESCALING_FACTORS = tuple((np.arange(10, 121) / 40).tolist())
"""s from 1/4 to 3"""
BROKEN_BELOW = 1e-9
"""a bound is broken when err is below it by more than rounding"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval over questions."""

    value: float | None
    """None where it is not defined"""
    low: float | None
    """of the 95 % percentile interval; None where a resample has no value, or with fewer than two questions"""
    high: float | None


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
class Bin:
    """One bin of a reliability diagram."""

    share: float
    """of all statements, by weight"""
    confidence: float | None
    """mean; None for an empty bin"""
    outcome: float | None
    """how often the statements hold; None for an empty bin"""
    low: float | None
    """of the 95 % interval of the outcome: Wilson's where every question makes one statement, else a bootstrap over
    questions"""
    high: float | None


@dataclass(frozen=True)
class CalibrationRow:
    """How far one checkpoint's probabilities can be believed on one question set."""

    question_set: str
    checkpoint: str
    view: str
    """of `VIEWS`"""
    n_questions: int
    accuracy: Estimate
    """how often the statement holds"""
    confidence: Estimate
    """mean"""
    ece: Estimate
    mce: Estimate
    brier: Estimate
    log_loss: Estimate
    """nats"""
    ece_change: Estimate
    """minus that of the first checkpoint on the same questions; nothing for the first itself"""
    log_loss_change: Estimate
    bins: tuple[Bin, ...]


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


def calibration_table(results: Sequence[IivResult]) -> tuple[CalibrationRow, ...]:
    """Every checkpoint of every run in both views, on the renormalised scale."""
    found = []
    for result in results:
        for view in get_args(View):
            first: _Statements | None = None
            for model in result.models:
                one = asked(result, model.checkpoint)
                if one is None:
                    continue
                said = _statements(one, view)
                found.append(_calibration(result, model.checkpoint, view, said, first))
                first = first or said
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


def summary_json(results: Sequence[IivResult]) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "runs": [
            {
                "settings": asdict(result.settings),
                "n_questions": len(result.questions),
                "models": [asdict(model) for model in result.models],
            }
            for result in results
        ],
        "table": [asdict(row) | {"is_broken": row.is_broken} for row in iiv_table(results)],
        "calibration": [asdict(row) for row in calibration_table(results)],
        "rescaling": [asdict(curve) for curve in rescaling_curves(results)],
    }


def _row(result: IivResult, checkpoint: str, scale: str, one: Asked) -> IivRow:
    world, model = one.world, one.model
    n = len(world.prompt_weights)
    plain, sharp, best = reduction(world, model), sharp_reduction(world, model), best_threshold(world, model)
    terms = prompt_terms(world, model, world.paper_threshold)
    own = prompt_terms(world, model, world.own_thresholds)
    at_best = prompt_terms(world, model, best.threshold)
    best_err_iiv = float(at_best.err_iiv.mean())  # a sum of what is misjudged: exactly 0 where nothing is
    counts = _counts(n, result.settings.seed) / n  # (n_resamples, n)
    err, iiv, own_iiv, best_iiv, over, lost = (
        counts @ values
        for values in (
            terms.err, terms.err_iiv, own.err_iiv, at_best.err_iiv, terms.overshoot, terms.lost_mass,
        )
    )  # fmt: skip

    def estimate(value: float | None, resampled: Values) -> Estimate:
        return _estimate(value, resampled, n)

    return IivRow(
        question_set=result.settings.question_set,
        checkpoint=checkpoint,
        scale=scale,
        n_questions=n,
        n_missing=len(result.questions) - n,
        n_candidates=int(world.n_members.sum()),
        err=estimate(_number(plain.err), err),
        err_iiv=estimate(_number(plain.err_iiv), iiv),
        own_err_iiv=estimate(_number(sharp.err_iiv), own_iiv),
        best_err_iiv=estimate(best_err_iiv, best_iiv),
        best_threshold=best.threshold,
        ratio=estimate(_ratio(plain.err, plain.err_iiv), _ratios(err, iiv)),
        own_ratio=estimate(_ratio(sharp.err, sharp.err_iiv), _ratios(err, own_iiv)),
        best_ratio=estimate(_ratio(plain.err, best_err_iiv), _ratios(err, best_iiv)),
        delta=estimate(_number(plain.delta), abs(over)),
        loss_slope=loss_slope(world, model),
        size_term=_number(plain.size_term),
        bound=estimate(_number(plain.bound), 2 * iiv - _number(plain.size_term) - abs(over) - lost),
        sharp_bound=estimate(_number(sharp.signed_bound), counts @ _sharp_slack(own)),
        lost_mass=estimate(_number(plain.lost_mass), lost),
    )


def _sharp_slack(own: PromptTerms) -> Values:
    """What each question adds to the sharp bound."""
    return 2 * own.err_iiv - own.valid_below - own.overshoot - own.lost_mass


@dataclass(frozen=True, eq=False)
class _Statements:
    """What a checkpoint is sure of, each statement of one question."""

    confidence: Values
    outcome: Values
    weight: Values
    question: NDArray[np.int64]
    bins: BinnedConfidences
    n: int
    """questions"""

    def means(self, values: Values) -> Values:
        """Weighted sum for each question; the weights of a question add up to 1."""
        return np.bincount(self.question, weights=self.weight * values, minlength=self.n).astype(float)

    @property
    def surprise(self) -> Values:
        """Each statement's log loss, nats, with the confidence kept off 0 and 1 as scikit-learn keeps it."""
        kept = np.clip(self.confidence, np.finfo(float).eps, 1 - np.finfo(float).eps)
        return -np.where(self.outcome > 0, np.log(kept), np.log1p(-kept))


def _statements(one: Asked, view: str) -> _Statements:
    world, n = one.world, len(one.world.prompt_weights)
    if view == "likeliest":
        best = one.log_probability.argmax(axis=1)
        confidence = one.model[np.arange(n), best]
        outcome = world.is_valid[np.arange(n), best].astype(float)
        weight, question = np.ones(n), np.arange(n)
    else:
        # Bayes: half p̂, half 1/|E_c|; above 1/2 exactly where p̂ exceeds its own threshold
        belief = expit(one.log_probability + np.log(world.n_errors)[:, None])
        valid_mass, error_mass = (n * mass for mass in world.mix)  # each question adds up to 1
        weights = np.stack([valid_mass, error_mass])
        holds = np.broadcast_to(np.array([1.0, 0.0])[:, None, None], weights.shape)
        which = np.broadcast_to(np.arange(n)[None, :, None], weights.shape)
        kept = weights > 0
        confidence, outcome = np.broadcast_to(belief, weights.shape)[kept], holds[kept]
        weight, question = weights[kept], which[kept]
    confidence = np.clip(confidence, 0.0, 1.0)
    bins = bin_confidences(confidence, outcome, weight=weight, group=question)
    return _Statements(confidence, outcome, weight, question, bins, n)


def _calibration(
    result: IivResult, checkpoint: str, view: str, said: _Statements, first: "_Statements | None"
) -> CalibrationRow:
    n = said.n
    counts = _counts(n, result.settings.seed)
    whole, (ece, mce) = said.bins.reliability, said.bins.errors(counts)
    losses = said.means(said.surprise)
    brier = said.means((said.confidence - said.outcome) ** 2)
    logged = float(log_loss(said.outcome, said.confidence, sample_weight=said.weight, labels=[0.0, 1.0]))
    squared = float(brier_score_loss(said.outcome, said.confidence, sample_weight=said.weight, pos_label=1.0))

    def estimate(value: float | None, resampled: Values) -> Estimate:
        return _estimate(value, resampled, n)

    def mean(values: Values) -> Estimate:
        each = said.means(values)
        return estimate(float(each.mean()), counts @ each / n)

    nothing = Estimate(None, None, None)
    ece_change = loss_change = nothing
    if first is not None and first.n == n:
        first_ece, _ = first.bins.errors(counts)
        ece_change = estimate(whole.ece - first.bins.reliability.ece, ece - first_ece)
        change = losses - first.means(first.surprise)
        loss_change = estimate(float(change.mean()), counts @ change / n)
    return CalibrationRow(
        question_set=result.settings.question_set,
        checkpoint=checkpoint,
        view=view,
        n_questions=n,
        accuracy=mean(said.outcome),
        confidence=mean(said.confidence),
        ece=estimate(whole.ece, ece),
        mce=estimate(whole.mce, mce),
        brier=estimate(squared, counts @ brier / n),
        log_loss=estimate(logged, counts @ losses / n),
        ece_change=ece_change,
        log_loss_change=loss_change,
        bins=_bins(said.bins, counts, is_one_each=view == "likeliest"),
    )


def _bins(binned: BinnedConfidences, counts: Values, *, is_one_each: bool) -> tuple[Bin, ...]:
    whole = binned.reliability
    outcomes = np.array([one.outcome for one in binned.resampled(counts)])  # (n_resamples, n_bins)
    found = []
    for place, share in enumerate(whole.share):
        if share == 0:
            found.append(Bin(0.0, None, None, None, None))
            continue
        if is_one_each:
            interval = wilson_interval(round(whole.outcome_sum[place]), round(whole.weight[place]))
        else:
            some = outcomes[~np.isnan(outcomes[:, place]), place]
            interval = Interval(*np.quantile(some, [0.025, 0.975]).tolist())
        found.append(
            Bin(
                float(share),
                float(whole.confidence[place]),
                float(whole.outcome[place]),
                interval.low,
                interval.high,
            )
        )
    return tuple(found)


def _counts(n: int, seed: int) -> Values:
    """How often each resample holds each question; the same for all checkpoints, which pairs them."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(float)


def _estimate(value: float | None, resampled: Values, n: int) -> Estimate:
    if value is None or n < 2 or not np.isfinite(resampled).all():
        return Estimate(value, None, None)
    interval = Interval(*np.quantile(resampled, [0.025, 0.975]).tolist())
    return Estimate(value, interval.low, interval.high)


def _number(value: Any) -> float:
    return float(value)


def _ratio(above: Any, below: Any) -> float | None:
    return float(above) / float(below) if below > 0 else None


def _ratios(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
