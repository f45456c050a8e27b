"""What Is-It-Valid runs say of calibration: reliability, ECE, MCE, Brier, log loss, before and after tuning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hallulab.experiments.iiv import IivResult
from hallulab.experiments.iiv_estimates import Estimate, estimate, question_counts
from hallulab.experiments.iiv_reduction import Asked, asked
from hallulab.experiments.proper_scores import proper_scores
from hallulab.theory.calibration import BinnedConfidences, bin_confidences
from hallulab.theory.intervals import Interval, wilson_interval
from hallulab.theory.multiple_tests import holm

View = Literal["likeliest", "is_it_valid"]
VIEWS: dict[str, str] = {
    "likeliest": "how sure the model is of its likeliest listed answer, and whether that is valid",
    "is_it_valid": "how sure it must be that an answer of the Is-It-Valid mix is valid, and whether it is",
}
Values = NDArray[np.float64]


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
    compared_with: str | None
    """the checkpoint of the changes below: the base where it was asked, else the first; None for itself, and where the
    two were not asked the same questions"""
    ece_change: Estimate
    """minus that of the other on the same questions, drawn together"""
    ece_change_p: float | None
    """two-sided bootstrap p-value of no change, by Holm's correction over all changes of this view"""
    log_loss_change: Estimate
    bins: tuple[Bin, ...]


def calibration_table(results: Sequence[IivResult]) -> tuple[CalibrationRow, ...]:
    """Every checkpoint of every run in both views, on the renormalised scale."""
    return tuple(row for view in get_args(View) for row in _corrected(_of_view(results, view)))


def _of_view(results: Sequence[IivResult], view: str) -> list[CalibrationRow]:
    found = []
    for result in results:
        given = {model: asked(result, model.checkpoint) for model in result.models}
        said = {model: _statements(one, view) for model, one in given.items() if one is not None}
        reference = next((model for model in said if model.is_base), next(iter(said), None))
        for model, own in said.items():
            other = None if model is reference or reference is None else said[reference]
            row = _calibration(result, model.checkpoint, view, own, other)
            if reference is not None and row.ece_change.value is not None:
                row = replace(row, compared_with=reference.checkpoint)
            found.append(row)
    return found


def _corrected(rows: list[CalibrationRow]) -> list[CalibrationRow]:
    """The same with p-values that know how many there are."""
    known = [place for place, row in enumerate(rows) if row.ece_change_p is not None]
    adjusted = holm([rows[place].ece_change_p or 0.0 for place in known])
    for place, p in zip(known, adjusted, strict=True):
        rows[place] = replace(rows[place], ece_change_p=float(p))
    return rows


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
    result: IivResult, checkpoint: str, view: str, said: _Statements, other: "_Statements | None"
) -> CalibrationRow:
    n = said.n
    counts = question_counts(n, result.settings.seed)
    whole, (ece, mce) = said.bins.reliability, said.bins.errors(counts)
    losses = said.means(said.surprise)
    brier = said.means((said.confidence - said.outcome) ** 2)
    scores = proper_scores(said.confidence, said.outcome, said.weight)

    def mean(values: Values) -> Estimate:
        each = said.means(values)
        return estimate(float(each.mean()), counts @ each / n, n)

    ece_change = loss_change = Estimate(None, None, None)
    p = None
    if other is not None and other.n == n:
        moved = ece - other.bins.errors(counts)[0]
        ece_change = estimate(whole.ece - other.bins.reliability.ece, moved, n)
        p = _bootstrap_p(moved) if n > 1 else None
        change = losses - other.means(other.surprise)
        loss_change = estimate(float(change.mean()), counts @ change / n, n)
    return CalibrationRow(
        question_set=result.settings.question_set,
        checkpoint=checkpoint,
        view=view,
        n_questions=n,
        accuracy=mean(said.outcome),
        confidence=mean(said.confidence),
        ece=estimate(whole.ece, ece, n),
        mce=estimate(whole.mce, mce, n),
        brier=estimate(scores.brier, counts @ brier / n, n),
        log_loss=estimate(scores.log_loss, counts @ losses / n, n),
        compared_with=None,
        ece_change=ece_change,
        ece_change_p=p,
        log_loss_change=loss_change,
        bins=_bins(said.bins, counts, is_one_each=view == "likeliest"),
    )


def _bootstrap_p(changes: Values) -> float:
    """Twice the share of resamples on the rarer side of 0, the observation counted in: never 0."""
    rarer = min((changes <= 0).sum(), (changes >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (len(changes) + 1)))


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
