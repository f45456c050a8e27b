"""One arbitrary-facts world measured: what each learner does beside the bounds on it. Quick enough for a live page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from hallulab.data.facts_world import FactsWorld, TrainingCounts, WorldSettings, draw_counts, draw_world
from hallulab.experiments.facts_run import (
    FREQUENCIES,
    MAX_CURVE_SIZE,
    FactsSettings,
    FrequencyBin,
    LearnerPoint,
    SizePoint,
    WorldPoint,
)
from hallulab.models.fact_learners import EXACT_LEARNERS, GROUPED_LEARNERS, Learned, memoriser
from hallulab.theory.arbitrary_facts import (
    FactsBound,
    FirstSize,
    Singletons,
    count_singletons,
    estimate_missing_mass,
    expected_singleton_rate,
    first_size,
    missing_mass,
    paper_lower_bound,
    paper_upper_bound,
    sharp_lower_bound,
    sharp_upper_bound,
)
from hallulab.theory.is_it_valid import (
    best_threshold,
    error_rate,
    loss,
    loss_slope,
    reduction,
    sharp_reduction,
)

BOUNDS: Mapping[str, Callable[[float, int, int], FactsBound]] = {
    "paper_lower": paper_lower_bound,
    "sharp_lower": sharp_lower_bound,
    "paper_upper": paper_upper_bound,
    "sharp_upper": sharp_upper_bound,
}
"""bounds on the err of a calibrated learner from (sr, N, |E|), by their name in records"""
WORLD, SAMPLES, CURVE = range(3)
"""streams of random numbers of one seed: the same world whatever N is"""
SIZES_PER_DECADE = 4


@dataclass(frozen=True, eq=False)
class FactsPlay:
    """One world with everything known about it, ready to be looked into."""

    settings: FactsSettings
    facts: FactsWorld
    counts: TrainingCounts
    point: WorldPoint
    learners: Mapping[str, LearnerPoint]
    learned: Mapping[str, Learned]
    """what each learner says, by name"""
    skipped: tuple[str, ...]
    """learners that a world of this size has no room for"""


@dataclass(frozen=True, eq=False)
class FactCard:
    """One fact: what was asked and said in training, what each learner says now."""

    prompt: int
    question: str
    right_answer: int
    n_answered: int
    """training samples that gave the right answer"""
    n_idk: int
    """training samples that said IDK"""
    prompt_weight: float
    """μ(c)"""
    answer_rate: float
    """α_c"""
    answers: tuple[str, ...]
    """every plausible answer in words, IDK last"""
    distributions: Mapping[str, NDArray[np.float64]]
    """p̂ over `answers` by learner; it sums to less than 1 where the learner loses mass"""


def play_facts(settings: FactsSettings, *, seed: int | None = None) -> FactsPlay:
    """Draw one world of these settings and measure every learner that is computed rather than trained.

    Args:
        settings: the run; `rounds` and `qwen` are left aside.
        seed: of this world; the settings' own when None.
    """
    own_seed = settings.seed if seed is None else seed
    facts, counts = draw_facts(settings.world, settings.n_samples, own_seed)
    names = [name for name in settings.learners if name in EXACT_LEARNERS]
    has_room = facts.has_room_for_dense
    kept = [name for name in names if has_room or name in GROUPED_LEARNERS]
    learned = {name: EXACT_LEARNERS[name](facts, counts) for name in kept}
    seen = count_singletons(counts.n_answered, counts.n_samples)
    learners = {
        name: measure_learner(name, what, counts, seen, seed=own_seed) for name, what in learned.items()
    }
    skipped = tuple(name for name in names if name not in kept)
    return FactsPlay(
        settings, facts, counts, measure_world(facts, counts, seed=own_seed), learners, learned, skipped
    )


def fact_card(play: FactsPlay, prompt: int, trained: Mapping[str, Learned] | None = None) -> FactCard:
    """One fact of a world; `trained` adds learners that are not computed, such as the network."""
    facts = play.facts
    plausible = [*range(int(facts.n_answers[prompt])), facts.idk]
    return FactCard(
        prompt=prompt,
        question=facts.question(prompt),
        right_answer=int(facts.right_answer[prompt]),
        n_answered=int(play.counts.n_answered[prompt]),
        n_idk=int(play.counts.n_idk[prompt]),
        prompt_weight=float(facts.prompt_weights[prompt]),
        answer_rate=float(facts.answer_rate[prompt]),
        answers=tuple(facts.answer_text(answer) for answer in plausible),
        distributions={
            name: learned.distribution(prompt)[plausible]
            for name, learned in {**play.learned, **(trained or {})}.items()
        },
    )


def draw_facts(world: WorldSettings, n_samples: int, seed: int) -> tuple[FactsWorld, TrainingCounts]:
    """The world and the training data of one seed."""
    facts = draw_world(world, rng=np.random.default_rng([seed, WORLD]))
    return facts, draw_counts(facts, n_samples, rng=np.random.default_rng([seed, SAMPLES]))


def measure_world(facts: FactsWorld, counts: TrainingCounts, *, seed: int) -> WorldPoint:
    """What the training data alone says, and the truth it is about."""
    seen = count_singletons(counts.n_answered, counts.n_samples)
    estimate = estimate_missing_mass(seen)
    n, most_errors = counts.n_samples, int(facts.n_errors.max())
    return WorldPoint(
        seed=seed,
        n_samples=n,
        n_once=seen.n_once,
        n_twice=seen.n_twice,
        singleton_rate=seen.rate,
        missing_mass=missing_mass(facts.fact_probability, counts.n_answered),
        esty_interval=(estimate.interval.low, estimate.interval.high),
        proved_interval=(estimate.proved_interval.low, estimate.proved_interval.high),
        paper_upper_bound=paper_upper_bound(seen.rate, n, most_errors).value,
        sharp_upper_bound=sharp_upper_bound(seen.rate, n, most_errors).value,
        first_sizes=first_sizes(facts),
    )


def first_sizes(facts: FactsWorld) -> dict[str, FirstSize]:
    """From how many training samples each of `BOUNDS` says something about a calibrated learner of this world."""
    expected_rate = cache(partial(expected_singleton_rate, facts.fact_probability))
    return {name: first_size(_of_facts(name, facts), expected_rate) for name in BOUNDS}


def measure_learner(
    name: str,
    learned: Learned,
    counts: TrainingCounts,
    seen: Singletons,
    *,
    seed: int,
    epoch: int | None = None,
    train_loss: float | None = None,
) -> LearnerPoint:
    """Everything of §3 of [KNVZ] about one learner, exactly."""
    facts, truth, model = learned.facts, learned.truth, learned.probability
    paper, sharp, best = reduction(truth, model), sharp_reduction(truth, model), best_threshold(truth, model)
    fewest_errors, expected_loss = int(facts.n_errors.min()), float(loss(truth, model))
    err, lost, abstained = float(paper.err), max(0.0, float(paper.lost_mass)), learned.abstention_rate
    return LearnerPoint(
        seed=seed,
        learner=name,
        epoch=epoch,
        train_loss=train_loss,
        err=err,
        abstained=abstained,
        right=max(0.0, 1 - err - lost - abstained),
        lost_mass=lost,
        err_iiv=float(paper.err_iiv),
        best_err_iiv=best.err_iiv,
        best_threshold=best.threshold,
        overshoot=float(paper.overshoot),
        delta=float(paper.delta),
        loss_slope=loss_slope(truth, model),
        size_term=float(paper.size_term),
        bound=float(paper.bound),
        sharp_bound=float(sharp.signed_bound),
        paper_lower_bound=paper_lower_bound(
            seen.rate, seen.n_samples, fewest_errors, float(paper.delta)
        ).value
        - lost,
        sharp_lower_bound=sharp_lower_bound(
            seen.rate, seen.n_samples, fewest_errors, float(paper.overshoot)
        ).value
        - lost,
        loss=expected_loss if np.isfinite(expected_loss) else None,
        by_frequency=error_by_frequency(learned, counts.n_answered),
    )


def error_by_frequency(learned: Learned, n_answered: NDArray[np.int64]) -> tuple[FrequencyBin, ...]:
    """How often the learner errs on facts that training answered never, once, twice, …: `FREQUENCIES`."""
    truth, mu = learned.truth, learned.facts.prompt_weights
    wrong = (learned.probability * truth.n_members * ~truth.is_valid).sum(axis=1)  # (n_prompts,)
    abstained = learned.abstention
    bins = []
    for fewest, most in FREQUENCIES:
        chosen = (n_answered >= fewest) & (n_answered <= (np.inf if most is None else most))
        mass = float(mu[chosen].sum())
        bins.append(
            FrequencyBin(
                fewest,
                most,
                int(chosen.sum()),
                mass,
                float(mu[chosen] @ wrong[chosen]) / mass if mass else None,
                float(mu[chosen] @ abstained[chosen]) / mass if mass else None,
            )
        )
    return tuple(bins)


def curve_sizes(largest: int = MAX_CURVE_SIZE) -> tuple[int, ...]:
    """Training sizes of a curve, evenly spaced in logarithms from 10."""
    n_sizes = round(SIZES_PER_DECADE * np.log10(largest / 10)) + 1
    return tuple(int(n) for n in np.unique(np.geomspace(10, largest, n_sizes).round()))


def size_curve(
    settings: FactsSettings, *, seed: int, sizes: Sequence[int] | None = None
) -> Iterator[SizePoint]:
    """The memoriser's err and its bounds as the training data grows, in the world of this seed."""
    facts = draw_world(settings.world, rng=np.random.default_rng([seed, WORLD]))
    for n in curve_sizes() if sizes is None else sizes:
        counts = draw_counts(facts, n, rng=np.random.default_rng([seed, CURVE, n]))
        rate = count_singletons(counts.n_answered, n).rate
        learned = memoriser(facts, counts)
        bounds = {f"{name}_bound": _of_facts(name, facts)(rate, n).value for name in BOUNDS}
        yield SizePoint(
            seed=seed,
            n_samples=n,
            singleton_rate=rate,
            missing_mass=missing_mass(facts.fact_probability, counts.n_answered),
            err=float(error_rate(learned.truth, learned.probability)),
            **bounds,
        )


def _of_facts(name: str, facts: FactsWorld) -> Callable[[float, int], FactsBound]:
    """A bound with the world's |E| filled in."""
    n_errors = int(facts.n_errors.min() if name.endswith("lower") else facts.n_errors.max())
    return lambda rate, n: BOUNDS[name](rate, n, n_errors)
