"""The same answers under several ways to answer: who wins under binary grading, and who at a confidence target."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.scoring.grading import READINGS, GradedAnswers
from hallulab.theory.bootstrap import BootstrapMean, bootstrap_interval

N_RESAMPLES = 500
MAX_MODELS = 12
"""models ranked at most"""


@dataclass(frozen=True)
class Answerer:
    """One way to answer the questions."""

    name: str
    binary: float | None
    """points a question at t = 0; None without a graded answer"""
    at_target: BootstrapMean | None
    """points a question at t"""
    binary_rank: int
    """1 is best; equal points share a rank"""
    rank: int
    """at t"""


def rank_answerers(answers: GradedAnswers, target: float) -> tuple[Answerer, ...]:
    """Ways to answer in the order of their points at t, ranked under binary grading as well.

    One model is shown with several thresholds on its own confidence; several models as given and above t. All are
    joined by one that always says that it does not know.
    """
    ways: dict[str, GradedAnswers] = {}
    above: dict[str, float] = {}
    models = answers.models[:MAX_MODELS]
    for model in models:
        own = answers.of_model(model)
        title = "Answers whatever it has" if len(models) == 1 else str(model)
        ways[title] = own
        if own.knows_confidence:
            for threshold in READINGS if len(models) == 1 else (target,):
                who = "Answers" if len(models) == 1 else f"{title}, answers"
                name = f"{who} only when over {100 * threshold:g} % sure"
                ways[name], above[name] = own, threshold
    scored = {
        name: (_points(own, 0.0, above.get(name)), _points(own, target, above.get(name)))
        for name, own in ways.items()
    }
    silent = np.zeros(int(answers.is_gradable.sum()))
    scored["Always says “I do not know”"] = (silent, silent)
    means = {
        name: tuple(float(values.mean()) if len(values) else -np.inf for values in both)
        for name, both in scored.items()
    }
    found = [
        Answerer(
            name,
            None if not len(binary) else means[name][0],
            bootstrap_interval(own, rng=np.random.default_rng(0), n_resamples=N_RESAMPLES),
            _rank(name, means, 0),
            _rank(name, means, 1),
        )
        for name, (binary, own) in scored.items()
    ]
    return tuple(sorted(found, key=lambda one: one.rank))


def _points(answers: GradedAnswers, target: float, threshold: float | None) -> NDArray[np.float64]:
    """Points of the gradable answers; those at or below a threshold withheld, those without a confidence left out."""
    points = answers.scores(target)
    if threshold is not None:
        points[answers.is_withheld(threshold)] = 0.0
        points[~answers.has_confidence] = np.nan
    return points[~np.isnan(points)]


def _rank(name: str, means: dict[str, tuple[float, ...]], which: int) -> int:
    return 1 + sum(other[which] > means[name][which] + 1e-12 for other in means.values())
