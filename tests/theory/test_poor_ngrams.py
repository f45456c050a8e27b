"""Poor n-grams: Corollary 2 and Theorem 3 against grids of all tables, and against other enumerations."""

from itertools import product

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.is_it_valid import best_threshold, reduction
from hallulab.theory.poor_ngrams import (
    ChoiceWorld,
    choice_bound,
    corollary_2_world,
    exact_opt,
    least_err,
    n_tables,
    tables,
    window_points,
    windows_world,
)

FOUR = ChoiceWorld(("a x", "b x", "c x", "d y"), ("p", "q", "r", "s"), (0, 1, 2, 3))
UNEVEN = ChoiceWorld(("a x", "b x", "c x", "d y", "e y"), ("p", "q", "r"), (0, 0, 1, 2, 1))


def test_no_trigram_errs_less_than_half_on_the_two_prompts():
    world = corollary_2_world()
    errs = np.concatenate(
        [
            np.asarray(reduction(world.answers, part[:, world.context_of(3)]).err)
            for part in tables(1, 2, 1000)
        ]
    )
    assert len(errs) == 1001
    assert errs.min() == pytest.approx(0.5)
    assert least_err(world, 3) == exact_opt(world, 3) == choice_bound(exact_opt(world, 3), 2) == 0.5


def test_the_window_that_reaches_the_pronoun_fixes_it():
    points = window_points(corollary_2_world(), range(1, 10))
    assert [point.least_err for point in points] == [0.5] * 8 + [0.0]  # the pronoun is 8 words back
    points = window_points(windows_world(), range(3, 9), n_steps=2)  # 4, 5, 6 and 7 words back
    assert [point.least_err for point in points] == [0.5, 0.5, 0.375, 0.25, 0.125, 0.0]
    assert [point.n_contexts for point in points] == [1, 2, 4, 6, 7, 8]


@pytest.mark.parametrize("world", [corollary_2_world(), FOUR, UNEVEN])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_exact_values_are_the_least_of_the_grid(world, order):
    n_steps = 12 if len(world.choices) < 4 else 4  # shares of 1, 1/2, 1/3 (and 1/4) lie on it
    point = window_points(world, [order], n_steps=n_steps)[0]
    if point.n_tables is None:
        pytest.skip("too many tables")
    assert point.least_err_on_grid == pytest.approx(point.least_err)
    assert point.opt_on_grid == pytest.approx(point.opt)
    assert point.least_err >= point.bound - 1e-12


def test_opt_against_the_best_threshold_of_every_table():
    context = UNEVEN.context_of(2)
    answers = UNEVEN.answers
    found = min(best_threshold(answers, table[context]).err_iiv for part in tables(2, 3, 6) for table in part)
    assert exact_opt(UNEVEN, 2) == pytest.approx(found)


def test_theorem_3_holds_for_every_table():
    context = FOUR.context_of(1)
    for part in tables(1, 4, 6):
        for table in part[:, context]:
            err = reduction(FOUR.answers, table).err
            assert err >= choice_bound(best_threshold(FOUR.answers, table).err_iiv, 4) - 1e-12
            assert err >= choice_bound(exact_opt(FOUR, 1), 4) - 1e-12


def test_with_four_choices_the_theorem_gives_three_quarters():
    world = ChoiceWorld(("a x", "b x", "c x", "d x"), ("p", "q", "r", "s"), (0, 1, 2, 3))
    assert exact_opt(world, 2) == 0.5
    assert choice_bound(exact_opt(world, 2), 4) == least_err(world, 2) == 0.75


def test_tables_are_all_distributions_of_the_grid():
    every = np.concatenate(list(tables(2, 3, 3)))
    assert len(every) == n_tables(2, 3, 3) == 100
    assert len({table.tobytes() for table in every}) == 100
    assert every.sum(axis=-1) == pytest.approx(np.ones((100, 2)))
    slow = [row for row in product(range(4), repeat=3) if sum(row) == 3]
    assert {tuple(row) for row in (3 * every[:, 0]).round().astype(int).tolist()} == set(slow)


def test_refusals():
    with pytest.raises(RefusedInputError, match="at least two choices"):
        ChoiceWorld(("a",), ("p",), (0,))
    with pytest.raises(RefusedInputError, match="among 2 choices"):
        ChoiceWorld(("a",), ("p", "q"), (2,))
    with pytest.raises(RefusedInputError, match="n of 1 or more"):
        corollary_2_world().context_of(0)
