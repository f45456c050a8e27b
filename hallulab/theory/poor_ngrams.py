"""N-grams too poor to tell valid from invalid: Theorem 3 and Corollary 2 of [KNVZ], computed by enumeration.

In a pure multiple choice each prompt has C answers, one of them valid. opt(G) is the least Is-It-Valid error of any
thresholded model of a family G; every model of the family then errs at least 2(1 − 1/C) opt(G).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.is_it_valid import AnswerWorld, error_rate

MAX_TABLES = 2_000_000
TABLES_AT_ONCE = 20_000
FIRST_WORDS, ENDINGS = ("She", "He"), ("her mind", "his mind")
COROLLARY_2 = tuple(f"{word} lost it and was completely out of" for word in FIRST_WORDS)
"""the prompts of Corollary 2; the right endings are `ENDINGS`, in this order"""
MIDDLES = ("was", "was soon", "was very soon", "was then very soon")
"""between the first word and "out of", so that the pronoun stands ever further away"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ChoiceWorld:
    """A pure multiple choice, every prompt as likely as any other.

    The answers may be phrases: where their first words differ, what follows is certain and adds nothing.
    """

    prompts: tuple[str, ...]
    """in words, split at blanks"""
    choices: tuple[str, ...]
    """plausible answers, the same for every prompt"""
    right: tuple[int, ...]
    """place of the valid one, for each prompt"""

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or not self.prompts or len(self.right) != len(self.prompts):
            raise RefusedInputError(
                f"expected prompts with a right answer each and at least two choices, got {len(self.prompts)} prompts, "
                f"{len(self.right)} right answers, {len(self.choices)} choices"
            )
        if not all(0 <= place < len(self.choices) for place in self.right):
            raise RefusedInputError(
                f"expected right answers among {len(self.choices)} choices, got {self.right}"
            )

    @property
    def answers(self) -> AnswerWorld:
        """The same as a world of Theorem 1."""
        shape = (len(self.prompts), len(self.choices))
        is_right = np.zeros(shape, dtype=bool)
        is_right[np.arange(shape[0]), list(self.right)] = True
        return AnswerWorld(
            np.full(shape[0], 1 / shape[0]), is_right.astype(float), is_right, np.ones(shape, np.int64)
        )

    def context_of(self, order: int) -> NDArray[np.int64]:
        """Which prompts an n-gram cannot tell apart: equal numbers for equal last n − 1 words, shape (n_prompts,)."""
        if order < 1:
            raise RefusedInputError(f"expected an n-gram with n of 1 or more, got {order}")
        ends = [tuple(prompt.split()[-(order - 1) :]) if order > 1 else () for prompt in self.prompts]
        numbers = {end: place for place, end in enumerate(dict.fromkeys(ends))}
        return np.array([numbers[end] for end in ends])


def corollary_2_world() -> ChoiceWorld:
    """The two prompts of the paper."""
    return ChoiceWorld(COROLLARY_2, ENDINGS, (0, 1))


def windows_world() -> ChoiceWorld:
    """The same sentence with the pronoun at four distances, so that a longer window repairs it step by step."""
    prompts = tuple(f"{word} {middle} out of" for middle in MIDDLES for word in FIRST_WORDS)
    return ChoiceWorld(prompts, ENDINGS, tuple(place % 2 for place in range(len(prompts))))


def choice_bound(opt: float, n_choices: int) -> float:
    """Theorem 3: every model of a family with this opt(G) errs at least so often."""
    return 2 * (1 - 1 / n_choices) * opt


@dataclass(frozen=True)
class WindowPoint:
    """All n-grams of one order on one world."""

    order: int
    """n; n − 1 words are seen"""
    n_contexts: int
    """prompts that it can tell apart"""
    least_err: float
    """the least error rate of any table, by the proof: the commonest right answer of every context"""
    opt: float
    """opt(G), exact"""
    bound: float
    """Theorem 3"""
    n_tables: int | None
    """tables tried on the grid; None where they are too many"""
    least_err_on_grid: float | None
    """the least error rate among them"""
    opt_on_grid: float | None
    """the least Is-It-Valid error among them, each at its best threshold"""


def window_points(world: ChoiceWorld, orders: Sequence[int], *, n_steps: int = 8) -> tuple[WindowPoint, ...]:
    """Every order's best model, by the proof and over all tables of probabilities that are multiples of 1/n_steps."""
    return tuple(_window_point(world, order, n_steps) for order in orders)


def least_err(world: ChoiceWorld, order: int) -> float:
    """The least error rate of any n-gram: within a context every prompt gets the same answers."""
    return 1 - float(_right_mass(world, order).max(axis=1).sum())


def exact_opt(world: ChoiceWorld, order: int) -> float:
    """opt(G) of all n-grams of this order, by enumerating what a threshold can call valid.

    With a threshold in [1/(k + 1), 1/k) a context can have any up to k answers above it, k < C, or none; below 1/C it
    has at least one. Contexts choose on their own, so the least over each adds up.
    """
    mass = _right_mass(world, order)  # (n_contexts, C)
    n_choices = len(world.choices)
    of_context = mass.sum(axis=1)
    best = np.inf
    for k in range(1, n_choices + 1):
        sizes = range(k + 1) if k < n_choices else range(1, n_choices + 1)
        total = 0.0
        for right, all_of_it in zip(np.sort(mass, axis=1)[:, ::-1], of_context, strict=True):
            total += min(_misjudged(right[:size].sum(), size, all_of_it, n_choices) for size in sizes)
        best = min(best, total)
    return float(best)


def tables(n_contexts: int, n_choices: int, n_steps: int) -> Iterator[Values]:
    """Every table p̂(choice | context) with multiples of 1/n_steps, in parts of shape (n, n_contexts, n_choices)."""
    rows = np.array(
        [row for row in product(range(n_steps + 1), repeat=n_choices) if sum(row) == n_steps], float
    )
    every = product(range(len(rows)), repeat=n_contexts)
    while part := [places for places, _ in zip(every, range(TABLES_AT_ONCE), strict=False)]:
        yield rows[np.array(part)] / n_steps


def n_tables(n_contexts: int, n_choices: int, n_steps: int) -> int:
    """How many `tables` yields."""
    n_rows = 1
    for place in range(1, n_choices):
        n_rows = n_rows * (n_steps + place) // place
    return n_rows**n_contexts


def _window_point(world: ChoiceWorld, order: int, n_steps: int) -> WindowPoint:
    context = world.context_of(order)
    n_contexts, n_choices = int(context.max()) + 1, len(world.choices)
    n = n_tables(n_contexts, n_choices, n_steps)
    on_grid = _on_grid(world, context, n_steps) if n <= MAX_TABLES else (None, None)
    opt = exact_opt(world, order)
    return WindowPoint(
        order, n_contexts, least_err(world, order), opt, choice_bound(opt, n_choices),
        n if n <= MAX_TABLES else None, *on_grid,
    )  # fmt: skip


def _on_grid(world: ChoiceWorld, context: NDArray[np.int64], n_steps: int) -> tuple[float, float]:
    """Least err and least Is-It-Valid error over all tables and thresholds on the grid."""
    answers = world.answers
    errs, misjudged = [], []
    thresholds = np.arange(n_steps + 1) / n_steps - 1 / (2 * n_steps)  # between the values, and below all
    valid_mass, error_mass = answers.mix
    for part in tables(int(context.max()) + 1, len(world.choices), n_steps):
        models = part[:, context]  # (n, n_prompts, C)
        errs.append(np.min(np.asarray(error_rate(answers, models))))
        for threshold in (*thresholds, 1.0):
            wrong = np.where(models > threshold, error_mass, valid_mass).sum(axis=(-2, -1))
            misjudged.append(wrong.min())
    return float(min(errs)), float(min(misjudged))


def _right_mass(world: ChoiceWorld, order: int) -> Values:
    """μ of the prompts of a context with each right answer, shape (n_contexts, C)."""
    context = world.context_of(order)
    mass = np.zeros((int(context.max()) + 1, len(world.choices)))
    np.add.at(mass, (context, np.array(world.right)), 1 / len(world.prompts))
    return mass


def _misjudged(right: float, size: int, mass: float, n_choices: int) -> float:
    """Is-It-Valid error of one context that calls `size` answers valid, right for this much of its mass."""
    return 0.5 * ((mass - right) + (size * mass - right) / (n_choices - 1))
