"""Who wins under binary grading, and who at a confidence target: ways to answer the same questions, compared in pairs.

Ranks are worth nothing between different questions, so everybody is scored on the questions that all have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.scoring.graded_answers import Answerer, GradedAnswers, Policy
from hallulab.scoring.grading import READINGS
from hallulab.theory.bootstrap import N_FLIPS, N_RESAMPLES, PairedDifference, paired_difference
from hallulab.theory.confidence_targets import percent_text
from hallulab.theory.multiple_tests import holm

SILENT = "Always says “I do not know”"
MAX_WAYS = 24
"""ways ranked at most"""


@dataclass(frozen=True)
class Effort:
    """What each comparison of two ways may cost."""

    n_resamples: int
    """of the questions, behind the interval"""
    n_flips: int
    """sign patterns behind the p-value, which is therefore at least 1/(n_flips + 1)"""


FULL_EFFORT, QUICK = Effort(N_RESAMPLES, N_FLIPS), Effort(500, 2_000)


@dataclass(frozen=True)
class Way:
    """One way to answer: somebody's answers, all of them or those above a confidence."""

    name: str
    answerer: Answerer | None
    """None: nobody, who always abstains"""
    threshold: float | None = None
    """answers with at most this confidence are withheld; None: every answer counts"""


@dataclass(frozen=True)
class Standing:
    """One way under one grading."""

    points: float | None
    """a question; None without a question in common"""
    rank: int | None
    """1 is best; equal points share a rank"""
    below_first: PairedDifference | None
    """how many points a question fewer than the first, on the same questions; None for the first"""
    p_holm: float | None
    """of no difference from the first; Holm-adjusted for all pairs of ways, since these points chose the first"""


@dataclass(frozen=True)
class RankedWay:
    """One way under both gradings."""

    way: Way
    binary: Standing
    at_target: Standing
    n_own: int
    """questions that it has a score on"""
    n_ungradable: int
    """answers of its own that could not be graded"""


@dataclass(frozen=True)
class Ranking:
    """Ways to answer, the best at the target first."""

    target: float
    ways: tuple[RankedWay, ...]
    n_questions: int
    """that all of them have a score on; nobody is ranked on others"""

    @property
    def first_binary(self) -> tuple[str, ...]:
        """Names of those that binary grading puts first."""
        return tuple(one.way.name for one in self.ways if one.binary.rank == 1)

    @property
    def first(self) -> tuple[str, ...]:
        """Names of those that come first at the target."""
        return tuple(one.way.name for one in self.ways if one.at_target.rank == 1)


def models_as_given(
    answers: GradedAnswers, policy: Policy = "as_given", target: float = 0.0
) -> tuple[Way, ...]:
    """Everybody with all their answers or, by confidence, with those above a target."""
    threshold = target if policy == "by_confidence" else None
    return tuple(Way(who.name, who, threshold) for who in answers.answerers[:MAX_WAYS])


def usual_ways(answers: GradedAnswers, target: float) -> tuple[Way, ...]:
    """The ways a person may want to compare.

    One who answered: with several thresholds on the own confidence. Several: each as given and above t. All are joined
    by one that always says that it does not know.
    """
    ways: list[Way] = []
    alone = len(answers.answerers) == 1
    for who in answers.answerers[: MAX_WAYS // 2]:
        ways.append(Way("Answers whatever it has" if alone else who.name, who))
        if answers.of(who).knows_confidence:
            start = "Answers" if alone else f"{who.name}, answers"
            ways += [
                Way(f"{start} only when over {percent_text(t)} % sure", who, t)
                for t in (READINGS if alone else (target,))
            ]
    return (*ways, Way(SILENT, None))


def rank_ways(
    answers: GradedAnswers,
    ways: Sequence[Way],
    target: float,
    *,
    seed: int = 0,
    effort: Effort = FULL_EFFORT,
) -> Ranking:
    """Rank ways to answer under binary grading and at a target.

    Args:
        answers: that they choose from.
        ways: what is compared. One without a single score is listed without a rank.
        target: t.
        seed: of the paired comparisons.
        effort: of each comparison.

    Raises RefusedInputError for another target.
    """
    own = {way: _scored(answers, way) for way in ways}
    scored = [way for way in ways if way.answerer is None or own[way].answers]
    shared = _shared_questions([own[way] for way in scored if way.answerer is not None])
    standings = {
        t: _standings({way: _points(own[way], way, t, shared) for way in scored}, seed, effort)
        for t in dict.fromkeys((0.0, target))
    }
    nowhere = Standing(None, None, None, None)
    ranked = [
        RankedWay(
            way,
            standings[0.0].get(way, nowhere),
            standings[target].get(way, nowhere),
            len({one.given.id for one in own[way].answers}),
            0 if way.answerer is None else int(answers.of(way.answerer).is_ungradable.sum()),
        )
        for way in ways
    ]
    ranked.sort(key=lambda one: one.at_target.rank or len(ways) + 1)
    return Ranking(target, tuple(ranked), len(shared))


def _scored(answers: GradedAnswers, way: Way) -> GradedAnswers:
    """The answers of one way that have a score."""
    if way.answerer is None:
        return GradedAnswers(())
    own = answers.of(way.answerer)
    return own.where(own.is_gradable & (own.has_confidence if way.threshold is not None else True))


def _shared_questions(everybody: Sequence[GradedAnswers]) -> tuple[str, ...]:
    """Ids that all of them have, in the order of the first."""
    if not everybody:
        return ()
    common = set.intersection(*({one.given.id for one in own.answers} for own in everybody))
    return tuple(dict.fromkeys(one.given.id for one in everybody[0].answers if one.given.id in common))


def _points(own: GradedAnswers, way: Way, target: float, shared: Sequence[str]) -> NDArray[np.float64]:
    """Points on each shared question."""
    if way.answerer is None:
        return np.zeros(len(shared))
    scores = own.scores(target)
    if way.threshold is not None:
        scores[own.is_withheld(way.threshold)] = 0.0
    by_id = {one.given.id: score for one, score in zip(own.answers, scores, strict=True)}
    return np.array([by_id[key] for key in shared])


def _standings(points: dict[Way, NDArray[np.float64]], seed: int, effort: Effort) -> dict[Way, Standing]:
    if not points or not len(next(iter(points.values()))):
        return {}
    means = {way: float(own.mean()) for way, own in points.items()}
    first = max(means, key=lambda way: means[way])
    below = {
        way: paired_difference(
            points[first],
            own,
            rng=np.random.default_rng(seed),
            n_resamples=effort.n_resamples,
            n_flips=effort.n_flips,
        )
        for way, own in points.items()
        if way != first
    }
    n_pairs = len(points) * (len(points) - 1) // 2
    p_holm = holm([one.p_value for one in below.values() if one], n_tests=n_pairs)
    adjusted = dict(zip(below, p_holm.tolist(), strict=True))
    return {
        way: Standing(
            mean,
            1 + sum(other > mean + 1e-12 for other in means.values()),
            below.get(way),
            adjusted.get(way),
        )
        for way, mean in means.items()
    }
