"""Generating reduced to Is-It-Valid: err >= 2 err_iiv − |V|/|E| − δ (Corollary 1 and Theorem 1 of [KNVZ]).

Is-It-Valid (IIV): a prompt c ~ μ comes with a valid answer r ~ p(·|c) or, as often, with an error drawn uniformly from
E_c; a language model p̂ calls the pair valid iff p̂(r|c) exceeds a threshold. `docs/facts.md` holds the proofs.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

TOLERANCE = 1e-6
"""how far probabilities may be from summing to 1: a float32 softmax is this far off"""
COMPLEX_STEP = 1e-20
"""of the derivative of the loss: with an imaginary step no digits cancel, so it may be this small"""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AnswerWorld:
    """Prompts, their plausible answers, which of them are valid, and what the data says (§3.1–3.2 of [KNVZ]).

    A column is an answer. Answers of a prompt that share validity, p(r|c) and p̂(r|c) may share a column: `n_members`
    says how many they are, so that a hundred thousand prompts with 365 answers each need three columns, not 366.

    Raises RefusedInputError for shapes that disagree, numbers that are no distribution, data that contains errors
    (the theorems need p(V) = 1), or a prompt without a plausible error.
    """

    prompt_weights: Values
    """μ(c), shape (n_prompts,), summing to 1"""
    data_probability: Values
    """p(r|c) of one member, shape (n_prompts, n_columns); 0 for errors"""
    is_valid: NDArray[np.bool_]
    """whether the answer is in V_c or in E_c, shape (n_prompts, n_columns)"""
    n_members: NDArray[np.int64]
    """plausible answers in the column, shape (n_prompts, n_columns); 0 where this prompt has none"""

    def __post_init__(self) -> None:
        shape = self.data_probability.shape
        if len(shape) != 2 or not shape[0] or not shape[1]:
            raise RefusedInputError(f"expected p(r|c) of shape (n_prompts, n_columns), got {shape}")
        for name, given in (("is_valid", self.is_valid), ("n_members", self.n_members)):
            if given.shape != shape:
                raise RefusedInputError(f"expected {name} of the shape of p(r|c), {shape}, got {given.shape}")
        if self.prompt_weights.shape != shape[:1]:
            raise RefusedInputError(f"expected μ of shape {shape[:1]}, got {self.prompt_weights.shape}")
        _check_sum("μ(c)", self.prompt_weights, np.ones_like(self.prompt_weights))
        _check_sum("p(r|c)", self.data_probability, self.n_members)
        if (self.n_members < 0).any():
            raise RefusedInputError("expected n_members of 0 or more, got a negative one")
        if (self.data_probability * self.n_members)[~self.is_valid].any():
            raise RefusedInputError(
                "expected data without errors, p(V) = 1, got p(r|c) > 0 for an error: call that answer valid"
            )
        if (self.n_errors < 1).any():
            raise RefusedInputError(
                "expected at least one plausible error for every prompt, got a prompt with none: Is-It-Valid "
                "is not defined for it, leave it out"
            )

    @cached_property
    def n_valid(self) -> NDArray[np.int64]:
        """|V_c|, shape (n_prompts,)."""
        return (self.n_members * self.is_valid).sum(axis=1)

    @cached_property
    def n_errors(self) -> NDArray[np.int64]:
        """|E_c|, shape (n_prompts,)."""
        return (self.n_members * ~self.is_valid).sum(axis=1)

    @cached_property
    def mix(self) -> tuple[Values, Values]:
        """Probability of each column in the IIV mix: as a valid answer, as an error; each sums to 1/2."""
        halved = 0.5 * self.prompt_weights[:, None] * self.n_members
        return halved * self.data_probability, halved * ~self.is_valid / self.n_errors[:, None]

    @property
    def paper_threshold(self) -> float:
        """1 / min_c |E_c|, for all prompts."""
        return 1 / int(self.n_errors.min())

    @property
    def own_thresholds(self) -> Values:
        """1 / |E_c|, one for each prompt, shape (n_prompts,)."""
        return 1 / self.n_errors


@dataclass(frozen=True)
class Reduction:
    """One model measured against Corollary 1 and Theorem 1; all are probabilities or differences of them.

    Every number is a float, or an array when several models were measured at once.
    """

    err: Values | float
    """p̂(E): how often the model generates an error"""
    err_iiv: Values | float
    """how often the model's threshold misjudges an answer of the IIV mix"""
    overshoot: Values | float
    """p̂(A) − p(A), A = {r : p̂(r|c) > threshold}: above 0 for a model too sure of what it calls valid"""
    size_term: Values | float
    """what errors too rare to be told from valid answers cost: max_c |V_c| / min_c |E_c| in the paper's bound"""
    lost_mass: Values | float
    """1 − p̂(V ∪ E): probability of answers that nobody called plausible; the paper assumes 0"""

    @property
    def delta(self) -> Values | float:
        """δ = |p̂(A) − p(A)|."""
        return abs(self.overshoot)

    @property
    def bound(self) -> Values | float:
        """err >= 2 err_iiv − size term − δ − lost mass; the last is our addition, 0 in the paper's setting."""
        return 2 * self.err_iiv - self.size_term - self.delta - self.lost_mass

    @property
    def signed_bound(self) -> Values | float:
        """The same with the overshoot in place of δ, never lower: who is too unsure gains nothing by it."""
        return 2 * self.err_iiv - self.size_term - self.overshoot - self.lost_mass


def reduction(world: AnswerWorld, model: ArrayLike) -> Reduction:
    """Theorem 1 of [KNVZ] for one model or many; with a single prompt it is Corollary 1.

    Args:
        world: what is true.
        model: p̂(r|c) of one member, shape (..., n_prompts, n_columns); it may sum to less than 1 over a prompt's
            plausible answers, never to more.

    Returns: floats for one model, arrays of the leading shape for several.
    Raises RefusedInputError for a model of another shape, or what is no distribution.
    """
    size_term = float(world.n_valid.max() / world.n_errors.min())
    threshold = np.full(len(world.prompt_weights), world.paper_threshold)
    return _reduction(world, _checked_model(world, model), threshold, size_term)


def error_rate(world: AnswerWorld, model: ArrayLike) -> Values | float:
    """err of `reduction` without the rest of it: p̂(E), how often the model generates an error.

    Args, returns and errors: as `reduction`.
    """
    checked = _checked_model(world, model)
    return _plain(np.asarray(_generated_errors(world, checked) @ world.prompt_weights))


def sharp_reduction(world: AnswerWorld, model: ArrayLike) -> Reduction:
    """The same argument with nothing given away (docs/facts.md, 1).

    Each prompt has its own threshold 1/|E_c|, and the size term counts only the valid answers that lie at or below it.
    Its `signed_bound` is the one to read.

    Args, returns and errors: as `reduction`.
    """
    checked = _checked_model(world, model)
    size_term = _terms(world, checked, world.own_thresholds).valid_below @ world.prompt_weights
    return _reduction(world, checked, world.own_thresholds, size_term)


@dataclass(frozen=True, eq=False)
class PromptTerms:
    """What every prompt adds, before μ weighs it: their μ-means are the numbers of a `Reduction`.

    All of shape (..., n_prompts).
    """

    err: Values
    """p̂(E_c|c)"""
    err_iiv: Values
    """how often this prompt's half-and-half mix is misjudged"""
    overshoot: Values
    """p̂(A_c|c) − p(A_c|c)"""
    lost_mass: Values
    """1 − p̂(V_c ∪ E_c|c)"""
    valid_below: Values
    """|V_c ∩ B_c| / |E_c|: with its own threshold, what the prompt adds to the sharp size term"""


def prompt_terms(world: AnswerWorld, model: ArrayLike, threshold: ArrayLike) -> PromptTerms:
    """The reduction prompt by prompt, for what must be averaged again, as in a bootstrap over prompts.

    Args:
        world: what is true.
        model: as in `reduction`.
        threshold: one, or one per prompt, shape (n_prompts,).

    Errors as `reduction`.
    """
    thresholds = np.broadcast_to(np.asarray(threshold, float), world.prompt_weights.shape)
    return _terms(world, _checked_model(world, model), thresholds)


@dataclass(frozen=True)
class BestThreshold:
    """The threshold that misjudges least."""

    threshold: float
    """the model's answers above it are called valid"""
    err_iiv: float


def best_threshold(world: AnswerWorld, model: ArrayLike) -> BestThreshold:
    """The least Is-It-Valid error of all classifiers p̂(r|c) > t with one t in [0, 1] for all prompts (§3.3.2).

    Args:
        world: what is true.
        model: p̂(r|c) of one member, shape (n_prompts, n_columns).

    Errors as `reduction`.
    """
    checked = _checked_model(world, model)
    if checked.ndim != 2:
        raise RefusedInputError(
            f"expected one model, shape {world.data_probability.shape}, got {checked.shape}"
        )
    valid_mass, error_mass = world.mix
    order = np.argsort(checked, axis=None)
    values = checked.ravel()[order]
    valid_below = np.cumsum(valid_mass.ravel()[order])
    error_above = error_mass.sum() - np.cumsum(error_mass.ravel()[order])
    # one t for each distinct value: everything up to its last place is at or below it
    last = np.flatnonzero(np.append(np.diff(values) > 0, True))
    errors, thresholds = (valid_below + error_above)[last], values[last]
    if values[0] > 0:  # t = 0 then calls every answer valid
        errors, thresholds = np.append(0.5, errors), np.append(0.0, thresholds)
    best = int(np.argmin(errors))
    return BestThreshold(float(thresholds[best]), float(errors[best]))


def loss(world: AnswerWorld, model: ArrayLike) -> Values | float:
    """L(p̂) = E[−ln p̂(r|c)] over the data, nats; inf where the model rules out what the data says.

    Args, returns and errors: as `reduction`.
    """
    checked = _checked_model(world, model)
    weight = world.prompt_weights[:, None] * world.n_members * world.data_probability
    with np.errstate(divide="ignore"):
        surprise = np.where(weight > 0, -np.log(checked), 0.0)
    return _plain((weight * surprise).sum(axis=(-2, -1)))


def rescaled_loss(world: AnswerWorld, model: ArrayLike, factor: ArrayLike) -> NDArray[np.inexact]:
    """L(p̂_s) − L(p̂), nats, where p̂_s multiplies every p̂(r|c) above 1/min|E_c| by s, each prompt renormalised.

    The difference exists also where L(p̂) is infinite: an answer with p̂ = 0 stays where it is relative to the rest.

    Args:
        world: what is true.
        model: p̂(r|c) of one member, shape (n_prompts, n_columns).
        factor: s > 0, any shape (or s with an imaginary part, for `loss_slope`).

    Returns: the shape of `factor`.
    Errors as `reduction`, and for s that is not above 0.
    """
    checked, s = _checked_model(world, model), np.asarray(factor)
    if not (np.real(s) > 0).all():
        raise RefusedInputError(f"expected a factor s above 0, got {np.real(s).min()}")
    above = checked > world.paper_threshold
    model_above = (checked * world.n_members * above).sum(axis=1)  # (n_prompts,)
    data_above = (world.data_probability * world.n_members * above).sum(axis=1)
    log_normaliser = np.log(s[..., None] * model_above + (1 - model_above))  # (..., n_prompts)
    return log_normaliser @ world.prompt_weights - np.log(s) * (data_above @ world.prompt_weights)


def loss_slope(world: AnswerWorld, model: ArrayLike) -> float:
    """dL(p̂_s)/ds at s = 1, by differentiating `rescaled_loss`: its absolute value is δ.

    Args and errors: as `rescaled_loss`.
    """
    return float(np.imag(rescaled_loss(world, model, 1 + COMPLEX_STEP * 1j)) / COMPLEX_STEP)


def _reduction(world: AnswerWorld, model: Values, thresholds: Values, size_term: Values | float) -> Reduction:
    terms = _terms(world, model, thresholds)
    measured = Reduction(
        err=terms.err @ world.prompt_weights,
        err_iiv=terms.err_iiv @ world.prompt_weights,
        overshoot=terms.overshoot @ world.prompt_weights,
        size_term=size_term,
        lost_mass=terms.lost_mass @ world.prompt_weights,
    )
    return Reduction(*(_plain(np.asarray(getattr(measured, field.name))) for field in fields(Reduction)))


def _generated_errors(world: AnswerWorld, model: Values) -> Values:
    """p̂(E_c|c), shape (..., n_prompts)."""
    return (world.n_members * ~world.is_valid * model).sum(axis=-1)


def _terms(world: AnswerWorld, model: Values, thresholds: Values) -> PromptTerms:
    errors = world.n_members * ~world.is_valid
    above = model > thresholds[:, None]
    misjudged = np.where(
        above, errors / world.n_errors[:, None], world.n_members * world.data_probability
    )  # of the valid half, and of the half of errors
    return PromptTerms(
        err=_generated_errors(world, model),
        err_iiv=0.5 * misjudged.sum(axis=-1),
        # term by term, so that a model that agrees with the data there has exactly 0
        overshoot=(world.n_members * above * (model - world.data_probability)).sum(axis=-1),
        lost_mass=1 - (world.n_members * model).sum(axis=-1),
        valid_below=(~above * (world.n_members * world.is_valid)).sum(axis=-1) / world.n_errors,
    )


def _checked_model(world: AnswerWorld, model: ArrayLike) -> Values:
    checked = np.asarray(model, dtype=float)
    if checked.ndim < 2 or checked.shape[-2:] != world.data_probability.shape:
        raise RefusedInputError(
            f"expected p̂(r|c) of the shape of p(r|c), {world.data_probability.shape}, got {checked.shape}"
        )
    if not (checked >= 0).all():  # NaN is not
        raise RefusedInputError("expected p̂(r|c) of 0 or more, got a negative one or NaN")
    if ((checked * world.n_members).sum(axis=-1) > 1 + TOLERANCE).any():
        raise RefusedInputError("expected p̂(·|c) that sums to at most 1, got more")
    return checked


def _check_sum(name: str, probability: Values, n_members: NDArray) -> None:
    if not (probability >= 0).all():
        raise RefusedInputError(f"expected {name} of 0 or more, got a negative one or NaN")
    if (abs((probability * n_members).sum(axis=-1) - 1) > TOLERANCE).any():
        raise RefusedInputError(f"expected {name} that sums to 1, got another sum")


def _plain(values: NDArray) -> Values | float:
    return float(values) if values.ndim == 0 else values
