"""The arbitrary-facts world: prompts with a frequency law, one random right answer each (Def. 1 of [KNVZ])."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hallulab.data.birthdays import DATES, NAMES
from hallulab.data.coins import check_whole
from hallulab.errors import RefusedInputError
from hallulab.theory.is_it_valid import AnswerWorld

IDK = "I do not know"
QUESTION = "When is {name}'s birthday?"
MAX_PROMPTS = 2_000_000
MAX_ANSWERS = 100_000
MAX_SAMPLES = 10**9
MAX_DENSE = 12_000_000
"""prompts × answers that are kept one by one: 96 MB an array"""
RIGHT, WRONG, ABSTAINED = range(3)
"""columns of `FactsWorld.grouped`"""


@dataclass(frozen=True)
class WorldSettings:
    """What a world is like before chance fills it in."""

    n_prompts: int = 1_000
    """invented people, each asked for by one prompt"""
    n_answers: int = 365
    """|R_c|: answers that look plausible, one of them right"""
    fewest_answers: int | None = None
    """|R_c| is drawn evenly between this and `n_answers`; None: the same for every prompt"""
    zipf_exponent: float = 1.0
    """the k-th most asked prompt is asked in proportion to k^−this; 0: all equally often"""
    answer_rate: float = 0.9
    """α_c: how often the data answers rather than says IDK; of the most asked prompt"""
    rarest_answer_rate: float | None = None
    """α_c of the least asked prompt, in between by rank; None: the same for every prompt"""

    def __post_init__(self) -> None:
        check_whole("n_prompts", self.n_prompts, 1, MAX_PROMPTS)
        check_whole("n_answers", self.n_answers, 2, MAX_ANSWERS)
        if self.fewest_answers is not None:
            check_whole("fewest_answers", self.fewest_answers, 2, self.n_answers)
        if not 0 <= self.zipf_exponent <= 10:
            raise RefusedInputError(f"expected a Zipf exponent from 0 to 10, got {self.zipf_exponent}")
        for rate in (self.answer_rate, self.rarest_answer_rate):
            if rate is not None and not 0 < rate <= 1:
                raise RefusedInputError(f"expected an answer rate α above 0 and at most 1, got {rate}")


@dataclass(frozen=True, eq=False)
class FactsWorld:
    """One world: who is asked about, how often, and what is true. Answers are numbered, IDK comes after the last."""

    settings: WorldSettings
    prompt_weights: NDArray[np.float64]
    """μ(c), shape (n_prompts,), falling"""
    answer_rate: NDArray[np.float64]
    """α_c, shape (n_prompts,)"""
    n_answers: NDArray[np.int64]
    """|R_c|: the answers 0 … |R_c| − 1 are plausible, shape (n_prompts,)"""
    right_answer: NDArray[np.int64]
    """a_c, shape (n_prompts,)"""
    name_tokens: NDArray[np.int64]
    """number of the first name and of the last name, shape (n_prompts, 2); last names are shared"""
    first_names: tuple[str, ...] = field(repr=False)
    last_names: tuple[str, ...] = field(repr=False)

    @property
    def n_prompts(self) -> int:
        """People in this world."""
        return len(self.prompt_weights)

    @property
    def idk(self) -> int:
        """The number of the answer IDK."""
        return self.settings.n_answers

    @property
    def fact_probability(self) -> NDArray[np.float64]:
        """q_c = μ(c) α_c: how likely one training sample is to hold this fact, shape (n_prompts,)."""
        return self.prompt_weights * self.answer_rate

    @property
    def n_errors(self) -> NDArray[np.int64]:
        """|E_c| = |R_c| − 1, shape (n_prompts,)."""
        return self.n_answers - 1

    def name(self, prompt: int) -> str:
        """First and last name of the person asked about."""
        first, last = self.name_tokens[prompt]
        return f"{self.first_names[first]} {self.last_names[last]}"

    def question(self, prompt: int) -> str:
        """The prompt in words."""
        return QUESTION.format(name=self.name(prompt))

    def answer_text(self, answer: int) -> str:
        """An answer in words: a date while there are no more answers than days, else a number."""
        if answer == self.idk:
            return IDK
        return DATES[answer] if self.settings.n_answers <= len(DATES) else f"answer {answer + 1:,}"

    @cached_property
    def grouped(self) -> AnswerWorld:
        """The truth in three columns, RIGHT, WRONG (all |E_c| of them) and ABSTAINED: enough where errors are alike."""
        shape = (self.n_prompts, 3)
        data, members = np.zeros(shape), np.ones(shape, dtype=np.int64)
        data[:, RIGHT], data[:, ABSTAINED] = self.answer_rate, 1 - self.answer_rate
        members[:, WRONG] = self.n_errors
        is_valid = np.broadcast_to(np.array([True, False, True]), shape)
        return AnswerWorld(self.prompt_weights, data, is_valid, members)

    @cached_property
    def dense(self) -> AnswerWorld:
        """The truth answer by answer, IDK last.

        Raises RefusedInputError where that is more than memory should hold.
        """
        self.check_dense()
        columns = np.arange(self.settings.n_answers + 1)
        is_right, is_idk = columns == self.right_answer[:, None], columns == self.idk
        data = np.where(
            is_right, self.answer_rate[:, None], np.where(is_idk, 1 - self.answer_rate[:, None], 0.0)
        )
        members = (columns < self.n_answers[:, None]) | is_idk
        return AnswerWorld(self.prompt_weights, data, is_right | is_idk, members.astype(np.int64))

    @property
    def n_dense(self) -> int:
        """Answers of all prompts together, IDK included."""
        return self.n_prompts * (self.settings.n_answers + 1)

    @property
    def has_room_for_dense(self) -> bool:
        """Whether every answer of every prompt may be kept one by one."""
        return self.n_dense <= MAX_DENSE

    def check_dense(self) -> None:
        """RefusedInputError where every answer of every prompt, one by one, is more than memory should hold."""
        if not self.has_room_for_dense:
            raise RefusedInputError(
                f"expected at most {MAX_DENSE:,} answers over all prompts for a learner that has every answer's "
                f"own probability, got {self.n_dense:,}: choose fewer prompts, or learners that treat errors alike"
            )


@dataclass(frozen=True, eq=False)
class TrainingCounts:
    """The training data, in any order: N independent samples of a prompt and what the data says to it."""

    n_answered: NDArray[np.int64]
    """how often the right answer was given, shape (n_prompts,)"""
    n_idk: NDArray[np.int64]
    """how often IDK was given, shape (n_prompts,)"""

    @property
    def n_samples(self) -> int:
        """N."""
        return int(self.n_answered.sum() + self.n_idk.sum())

    @property
    def n_seen(self) -> NDArray[np.int64]:
        """How often the prompt was seen, shape (n_prompts,)."""
        return self.n_answered + self.n_idk


def draw_world(settings: WorldSettings, *, rng: np.random.Generator) -> FactsWorld:
    """A world with right answers, |R_c| and names left to chance."""
    n = settings.n_prompts
    rank = np.arange(1, n + 1)
    weights = rank ** -float(settings.zipf_exponent)
    fewest = settings.n_answers if settings.fewest_answers is None else settings.fewest_answers
    n_answers = rng.integers(fewest, settings.n_answers, n, endpoint=True)
    rarest = settings.answer_rate if settings.rarest_answer_rate is None else settings.rarest_answer_rate
    n_last = int(np.ceil(np.sqrt(n)))
    n_first = -(-n // n_last)
    places = rng.permutation(n_first * n_last)[:n]
    return FactsWorld(
        settings=settings,
        prompt_weights=weights / weights.sum(),
        answer_rate=np.linspace(settings.answer_rate, rarest, n),
        n_answers=n_answers,
        right_answer=rng.integers(0, n_answers),
        name_tokens=np.stack([places // n_last, places % n_last], axis=1),
        first_names=_names(NAMES["first_names"], n_first),
        last_names=_names(NAMES["last_names"], n_last),
    )


def draw_counts(world: FactsWorld, n_samples: int, *, rng: np.random.Generator) -> TrainingCounts:
    """N training samples as counts.

    Raises RefusedInputError unless N is a whole number from 1 to 10⁹.
    """
    check_whole("n_samples", n_samples, 1, MAX_SAMPLES)
    n_seen = rng.multinomial(n_samples, world.prompt_weights)
    n_answered = rng.binomial(n_seen, world.answer_rate)
    return TrainingCounts(n_answered, n_seen - n_answered)


def corpus(world: FactsWorld, counts: TrainingCounts, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """The same training data one sample a row, shuffled: first name, last name, answer; shape (N, 3)."""
    prompts = np.repeat(np.arange(world.n_prompts), counts.n_seen)
    position = np.arange(len(prompts)) - np.repeat(np.cumsum(counts.n_seen) - counts.n_seen, counts.n_seen)
    answers = np.where(position < counts.n_answered[prompts], world.right_answer[prompts], world.idk)
    rows = np.column_stack([world.name_tokens[prompts], answers])
    return rng.permutation(rows)


def corpus_line(world: FactsWorld, row: NDArray[np.int64]) -> str:
    """A row of `corpus` in words."""
    first, last, answer = (int(token) for token in row)
    name = f"{world.first_names[first]} {world.last_names[last]}"
    return f"{QUESTION.format(name=name)} {world.answer_text(answer)}."


def _names(simple: list[str], n: int) -> tuple[str, ...]:
    """n different names: the simple ones first, then pairs of them."""
    paired = (f"{one}-{other}" for one in simple for other in simple if one != other)
    return (*simple, *(next(paired) for _ in range(n - len(simple))))[:n]
