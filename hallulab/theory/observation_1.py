"""Observation 1 of [KNVZ] by enumeration: every binary grader over a few responses, every belief over these graders.

A binary grader marks some responses as right, at least one, and never an abstention. Under any belief over such graders
some answer is expected to get more than 0, so abstaining is never optimal. At a confidence target t it is optimal
exactly when no answer is right with more than t.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.confidence_targets import expected_points

MAX_RESPONSES = 12
"""responses whose graders are all enumerated: 2^12 of them"""
MAX_BELIEFS = 20_000
"""beliefs that are all enumerated"""
N_DRAWS = 20_000
USUAL_ANSWERS = (2, 3, 4)
"""sets of answers that are shown"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Observation1:
    """What enumeration found for one set of responses."""

    n_answers: int
    n_abstentions: int
    n_graders: int
    steps: int
    """beliefs are all distributions over the graders in multiples of 1/steps"""
    n_beliefs: int
    targets: tuple[float, ...]
    n_optimal: tuple[int, ...]
    """per target, beliefs under which no answer is expected to get more than an abstention"""
    n_unlikely: tuple[int, ...]
    """per target, beliefs under which no answer is right with more than t: what `n_optimal` must be"""

    @property
    def share(self) -> tuple[float, ...]:
        """Of the beliefs, per target: how often abstaining is optimal."""
        return tuple(n / self.n_beliefs for n in self.n_optimal)


def observation_1(
    n_answers: int, targets: ArrayLike, *, steps: int | None = None, n_abstentions: int = 1
) -> Observation1:
    """Enumerate graders and beliefs, and count under how many beliefs abstaining is optimal.

    Args:
        n_answers: plausible answers, besides the abstentions.
        targets: each 0 <= t < 1; at 0 the graders are the binary ones of the observation.
        steps: how finely beliefs are spread; as finely as `MAX_BELIEFS` allows when None, but at most 40.
        n_abstentions: responses that abstain.

    Raises RefusedInputError for fewer than two answers (of one, every grader is sure), for too many responses or
    beliefs, and as `penalty`.
    """
    if n_answers < 2:
        raise RefusedInputError(f"expected at least two answers to be unsure of, got {n_answers}")
    graders = binary_graders(n_answers + n_abstentions, n_abstentions)
    chosen = _finest(len(graders)) if steps is None else steps
    if chosen < 1 or n_beliefs(len(graders), chosen) > MAX_BELIEFS:
        raise RefusedInputError(
            f"expected between 1 and {MAX_BELIEFS:,} beliefs over {len(graders)} graders, got steps of 1/{chosen}: "
            "choose fewer answers or coarser steps"
        )
    beliefs = all_beliefs(len(graders), chosen)
    chance = (beliefs @ graders)[:, :n_answers].max(axis=1)
    wanted = tuple(float(target) for target in np.atleast_1d(np.asarray(targets, float)))
    optimal = [
        abstaining_is_optimal(believed_points(graders, beliefs, target, n_abstentions), n_abstentions)
        for target in wanted
    ]
    return Observation1(
        n_answers=n_answers,
        n_abstentions=n_abstentions,
        n_graders=len(graders),
        steps=chosen,
        n_beliefs=len(beliefs),
        targets=wanted,
        n_optimal=tuple(int(found.sum()) for found in optimal),
        # a belief that adds up to t exactly may miss it by its last bit
        n_unlikely=tuple(int((chance <= target + 1e-12).sum()) for target in wanted),
    )


def share_of_beliefs(
    n_answers: int, targets: ArrayLike, *, rng: np.random.Generator, n_draws: int = N_DRAWS
) -> Values:
    """Per target, the share of all beliefs under which abstaining is optimal, from beliefs drawn evenly.

    The enumerated beliefs lie on a grid, and many of them on its edges; these are spread evenly over all beliefs. For
    two answers the share is (2t − 1)² from t = ½ on.

    Args:
        n_answers: plausible answers, besides one abstention.
        targets: each 0 <= t < 1, shape (n_targets,).
        rng: source of the beliefs.
        n_draws: beliefs drawn.

    Returns: shape (n_targets,).
    """
    graders = binary_graders(n_answers + 1)
    beliefs = rng.dirichlet(np.ones(len(graders)), size=n_draws)
    wanted = np.atleast_1d(np.asarray(targets, float))
    return np.array([abstaining_is_optimal(believed_points(graders, beliefs, t)).mean() for t in wanted])


def binary_graders(n_responses: int, n_abstentions: int = 1) -> NDArray[np.bool_]:
    """Every binary grader (§4.1 of [KNVZ]).

    Args:
        n_responses: plausible responses, abstentions included; these come last.
        n_abstentions: how many of them abstain.

    Returns: shape (2^(n_responses − n_abstentions) − 1, n_responses).
    Raises RefusedInputError without an answer or an abstention, or with more than `MAX_RESPONSES` responses.
    """
    n_answers = n_responses - n_abstentions
    if n_abstentions < 1 or n_answers < 1 or n_responses > MAX_RESPONSES:
        raise RefusedInputError(
            f"expected at least one answer and one abstention among at most {MAX_RESPONSES} responses, got "
            f"{n_responses} responses with {n_abstentions} abstentions"
        )
    marks = np.array(list(itertools.product((False, True), repeat=n_answers))[1:], dtype=bool)
    return np.concatenate([marks, np.zeros((len(marks), n_abstentions), dtype=bool)], axis=1)


def n_beliefs(n_graders: int, steps: int) -> int:
    """How many distributions over graders there are in multiples of 1/steps."""
    return math.comb(steps + n_graders - 1, n_graders - 1)


def all_beliefs(n_graders: int, steps: int) -> Values:
    """Every distribution over graders in multiples of 1/steps; the corners are beliefs in one grader alone.

    Returns: shape (n_beliefs, n_graders).
    """
    bars = np.array(
        list(itertools.combinations(range(steps + n_graders - 1), n_graders - 1)), dtype=np.int64
    ).reshape(-1, n_graders - 1)
    ends = np.full((len(bars), 1), -1), np.full((len(bars), 1), steps + n_graders - 1)
    return (np.diff(np.concatenate([ends[0], bars, ends[1]], axis=1), axis=1) - 1) / steps


def believed_points(
    graders: NDArray[np.bool_], belief: ArrayLike, target: float = 0.0, n_abstentions: int = 1
) -> Values:
    """Points to be expected of every response under a belief over graders.

    Args:
        graders: as `binary_graders`.
        belief: probability of each grader, shape (..., n_graders).
        target: t; at 0 these are the points of the observation.
        n_abstentions: the last responses, which get 0 at every target.

    Returns: shape (..., n_responses).
    Raises RefusedInputError for a belief that is no distribution over the graders; errors as `penalty`.
    """
    weights = np.asarray(belief, float)
    is_distribution = (
        weights.shape[-1:] == graders.shape[:1]
        and (weights >= 0).all()
        and np.allclose(weights.sum(axis=-1), 1)
    )
    if not is_distribution:
        raise RefusedInputError(f"expected a probability for each of {len(graders)} graders, got {belief}")
    expected = expected_points(np.clip(weights @ graders, 0.0, 1.0), target)
    expected[..., -n_abstentions:] = 0.0
    return expected


def abstaining_is_optimal(expected: ArrayLike, n_abstentions: int = 1) -> NDArray[np.bool_]:
    """Whether no answer is expected to get more points than abstaining.

    Args:
        expected: as `believed_points`, shape (..., n_responses).
        n_abstentions: the last responses.
    """
    points_of = np.asarray(expected, float)
    # an answer that is worth nothing by its sum may be worth 1e-16 by its last bit
    return (
        points_of[..., :-n_abstentions].max(axis=-1) <= points_of[..., -n_abstentions:].max(axis=-1) + 1e-12
    )


def _finest(n_graders: int) -> int:
    fine = 1
    while fine < 40 and n_beliefs(n_graders, fine + 1) <= MAX_BELIEFS:
        fine += 1
    return fine
