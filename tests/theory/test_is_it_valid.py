"""Corollary 1 and Theorem 1 of [KNVZ] against hand calculation and exact enumeration."""

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.is_it_valid import (
    AnswerWorld,
    best_threshold,
    error_rate,
    loss,
    loss_slope,
    prompt_terms,
    reduction,
    rescaled_loss,
    sharp_reduction,
)

GRID = 4
"""probabilities of the enumerated models are multiples of 1/4"""


def compositions(total: int, n_parts: int) -> list[tuple[int, ...]]:
    """Every way to write `total` as `n_parts` whole numbers of 0 or more."""
    return [parts for parts in product(range(total + 1), repeat=n_parts) if sum(parts) == total]


def dense_world(
    data: list[list[float]], n_valid: list[int], weights: list[float] | None = None
) -> AnswerWorld:
    """Answers one by one; a prompt's first `n_valid` answers are valid."""
    p = np.array(data, dtype=float)
    is_valid = np.arange(p.shape[1]) < np.array(n_valid)[:, None]
    mu = np.full(len(p), 1 / len(p)) if weights is None else np.array(weights)
    return AnswerWorld(mu, p, is_valid, np.ones(p.shape, dtype=np.int64))


def test_hand_computed_example():
    # one prompt, V = {a, b}, E = {x, y, z}; threshold 1/3. p = (3/4, 1/4), p̂ = (1/2, 0, 1/2, 0, 0)
    world = dense_world([[0.75, 0.25, 0, 0, 0]], [2])
    found = reduction(world, [[0.5, 0, 0.5, 0, 0]])
    assert found.err == 0.5  # p̂(x)
    # A = {a, x}: of the valid half b is misjudged, 1/4; of the error half x is, 1/3
    assert found.err_iiv == pytest.approx(0.5 * 0.25 + 0.5 / 3)
    assert found.overshoot == pytest.approx(1 - 0.75)  # p̂(A) − p(A)
    assert found.delta == pytest.approx(0.25)
    assert found.size_term == pytest.approx(2 / 3)
    # 2 (7/24) − 2/3 − 1/4 = −1/3
    assert found.bound == pytest.approx(-1 / 3)
    # only b lies at or below the threshold: 2 (7/24) − 1/3 − 1/4 = 0
    assert sharp_reduction(world, [[0.5, 0, 0.5, 0, 0]]).signed_bound == pytest.approx(0)


@pytest.mark.parametrize("n_models", [(), (7,)])
def test_the_error_rate_alone_is_that_of_the_reduction(n_models):
    world, model = random_world(np.random.default_rng(8))
    models = model * np.linspace(0.2, 1, 7)[:, None, None] if n_models else model
    found = error_rate(world, models)
    assert np.shape(found) == n_models
    assert np.array_equal(found, reduction(world, models).err)
    with pytest.raises(RefusedInputError, match="of the shape of"):
        error_rate(world, [[0.5]])


def test_the_bound_is_attained():
    # V = {a}, E = {x, y, z}, p̂ = (1/3, 2/9, 2/9, 2/9): nothing exceeds 1/3, so
    # err_iiv = 1/2, δ = 0, bound = 1 − 1/3 = err
    world = dense_world([[1, 0, 0, 0]], [1])
    found = reduction(world, [[1 / 3, 2 / 9, 2 / 9, 2 / 9]])
    assert (found.err_iiv, found.delta) == (0.5, 0.0)
    assert found.err == pytest.approx(2 / 3)
    assert found.bound == pytest.approx(2 / 3)


@pytest.mark.parametrize(("n_valid", "n_answers"), [(v, n) for n in (2, 3, 4, 5) for v in range(1, n)])
def test_corollary_1_holds_for_every_data_and_model_on_a_grid(n_valid, n_answers):
    models = np.array(compositions(6, n_answers))[:, None, :] / 6  # (n_models, 1, n_answers)
    for data in compositions(6, n_valid):
        world = dense_world([[*(share / 6 for share in data), *[0.0] * (n_answers - n_valid)]], [n_valid])
        paper, sharp = reduction(world, models), sharp_reduction(world, models)
        assert (paper.err - paper.bound >= -1e-12).all()
        assert (paper.err - sharp.signed_bound >= -1e-12).all()
        # with one prompt the sharp bound gives nothing away that the paper's keeps
        assert (sharp.signed_bound >= paper.bound - 1e-12).all()


KINDS = (
    # |V|, |E|, p on V in quarters
    (1, 1, (4,)),
    (1, 2, (4,)),
    (1, 4, (4,)),
    (2, 1, (3, 1)),
    (2, 3, (2, 2)),
    (2, 3, (4, 0)),
    (4, 1, (1, 1, 1, 1)),
)
"""kinds of prompts that the enumerated worlds are made of"""


SCALE = 48
"""least slack is found in whole numbers: quarters of thirds of quarters"""


@cache
def best_models(kind: tuple, threshold: Fraction, *, sharp: bool) -> dict[int, tuple[int, tuple[int, ...]]]:
    """p̂(A) − p(A) of one prompt → the least of everything else in err − bound, and a p̂ that attains it; scaled."""
    n_valid, n_errors, data = kind
    best: dict[int, tuple[int, tuple[int, ...]]] = {}
    for model in compositions(GRID, n_valid + n_errors):
        above = [Fraction(share, GRID) > threshold for share in model]
        err = Fraction(sum(model[n_valid:]), GRID)
        missed = Fraction(
            sum(p for p, is_above in zip(data, above[:n_valid], strict=True) if not is_above), 4
        )
        taken = Fraction(sum(above[n_valid:]), n_errors)
        size = Fraction(n_valid - sum(above[:n_valid]), n_errors) if sharp else 0
        model_above = Fraction(
            sum(share for share, is_above in zip(model, above, strict=True) if is_above), GRID
        )
        overshoot = int(SCALE * (model_above - (1 - missed)))
        slack = int(SCALE * (err - missed - taken + size))  # 2 err_iiv = missed + taken
        if overshoot not in best or slack < best[overshoot][0]:
            best[overshoot] = (slack, model)
    return best


def least_slack(kinds: tuple, *, sharp: bool) -> tuple[Fraction, list[tuple[int, ...]]]:
    """min of err − bound over every p̂ on the grid for every prompt, and a p̂ that attains it; prompts equally likely.

    It tries every p̂ of each prompt, and of those with the same p̂(A) − p(A) keeps the one with the least of everything
    else: δ alone joins the prompts.
    """
    fewest, most = min(kind[1] for kind in kinds), max(kind[0] for kind in kinds)
    paper_size = SCALE * len(kinds) * Fraction(most, fewest)
    best: dict[int, tuple[int, list]] = {0: (0, [])}
    for kind in kinds:
        options = best_models(kind, Fraction(1, kind[1] if sharp else fewest), sharp=sharp)
        joined: dict[int, tuple[int, list]] = {}
        for (before, (slack, models)), (overshoot, (added, model)) in product(best.items(), options.items()):
            total = before + overshoot
            if total not in joined or slack + added < joined[total][0]:
                joined[total] = (slack + added, [*models, model])
        best = joined
    slack, models = min(
        (slack + (overshoot if sharp else abs(overshoot) + paper_size), models)
        for overshoot, (slack, models) in best.items()
    )
    return Fraction(slack) / (SCALE * len(kinds)), models


def as_world(kinds: tuple, models: list[tuple[int, ...]]) -> tuple[AnswerWorld, np.ndarray]:
    """The same world and model for the code under test: absent answers have no members."""
    n_columns = 5
    data, valid, members, model = (np.zeros((len(kinds), n_columns)) for _ in range(4))
    for row, ((n_valid, n_errors, p), shares) in enumerate(zip(kinds, models, strict=True)):
        data[row, :n_valid] = np.array(p) / 4
        valid[row, :n_valid] = 1
        members[row, : n_valid + n_errors] = 1
        model[row, : n_valid + n_errors] = np.array(shares) / GRID
    mu = np.full(len(kinds), 1 / len(kinds))
    return AnswerWorld(mu, data, valid.astype(bool), members.astype(np.int64)), model


@pytest.mark.parametrize("n_prompts", [1, 2, 3, 4, 5, 6])
def test_theorem_1_holds_for_every_model_on_a_grid(n_prompts):
    slacks = []
    for kinds in combinations_with_replacement(KINDS, n_prompts):
        slack, models = least_slack(kinds, sharp=False)
        slacks.append(slack)
        world, model = as_world(kinds, models)
        found = reduction(world, model)
        assert found.err - found.bound == pytest.approx(float(slack), abs=1e-12)
    assert min(slacks) == 0  # attained: the bound cannot be raised by a constant


@pytest.mark.parametrize("n_prompts", [1, 2, 3, 4, 5, 6])
def test_the_sharp_bound_holds_for_every_model_on_a_grid(n_prompts):
    slacks = []
    for kinds in combinations_with_replacement(KINDS, n_prompts):
        slack, models = least_slack(kinds, sharp=True)
        slacks.append(slack)
        world, model = as_world(kinds, models)
        sharp = sharp_reduction(world, model)
        assert sharp.err - sharp.signed_bound == pytest.approx(float(slack), abs=1e-12)
    assert min(slacks) == 0


def test_every_pair_of_models_one_by_one():
    # the enumeration above joins prompts cleverly; here nothing is clever: 35 · 35 models, two prompts, all at once
    kinds = (KINDS[2], KINDS[4])
    first = np.array(compositions(GRID, 5)) / GRID
    pairs = np.stack([np.repeat(first, len(first), axis=0), np.tile(first, (len(first), 1))], axis=1)
    world, _ = as_world(kinds, [(0,) * 5, (0,) * 5])
    paper, sharp = reduction(world, pairs), sharp_reduction(world, pairs)
    assert (paper.err - paper.bound).min() == pytest.approx(
        float(least_slack(kinds, sharp=False)[0]), abs=1e-12
    )
    assert (sharp.err - sharp.signed_bound).min() == pytest.approx(
        float(least_slack(kinds, sharp=True)[0]), abs=1e-12
    )


def test_without_the_lost_mass_the_theorem_fails():
    # a model that puts nothing on the plausible answers errs never, yet misjudges every valid answer
    world = dense_world([[1, 0, 0, 0, 0]], [1])
    found = reduction(world, [[0, 0, 0, 0, 0]])
    assert found.err == 0
    assert found.bound + found.lost_mass == pytest.approx(1 - 1 / 4)  # the paper's terms alone
    assert found.bound == pytest.approx(-1 / 4)
    models = np.array([m for total in range(7) for m in compositions(total, 5)])[:, None, :] / 6
    every = reduction(world, models)
    assert (every.err - every.bound >= -1e-12).all()


def test_data_with_errors_would_break_the_theorem():
    # p puts half on the error x; p̂ = p has δ = 0 and err = 1/2, and the data is refused
    with pytest.raises(RefusedInputError, match="p\\(V\\) = 1"):
        dense_world([[0.5, 0.5, 0]], [1])


def random_world(
    rng: np.random.Generator, n_prompts: int = 7, n_answers: int = 6
) -> tuple[AnswerWorld, np.ndarray]:
    n_valid = rng.integers(1, n_answers - 1, n_prompts)
    is_valid = np.arange(n_answers) < n_valid[:, None]
    members = np.where(
        rng.random((n_prompts, n_answers)) < 0.8, 1, rng.integers(1, 5, (n_prompts, n_answers))
    )
    data = rng.dirichlet(np.ones(n_answers), n_prompts) * is_valid
    data /= (data * members).sum(axis=1, keepdims=True)
    model = rng.dirichlet(np.full(n_answers, 0.5), n_prompts) / members
    return AnswerWorld(rng.dirichlet(np.ones(n_prompts)), data, is_valid, members.astype(np.int64)), model


@pytest.mark.parametrize("seed", range(20))
def test_delta_is_the_slope_of_the_loss(seed):
    world, model = random_world(np.random.default_rng(seed))
    found = reduction(world, model)
    assert loss_slope(world, model) == pytest.approx(found.overshoot, abs=1e-12)
    around = rescaled_loss(world, model, np.array([1 - 1e-6, 1.0, 1 + 1e-6]))
    assert around[1] == pytest.approx(0, abs=1e-12)
    assert (around[2] - around[0]) / 2e-6 == pytest.approx(found.overshoot, abs=1e-6)


def test_rescaled_loss_is_the_loss_of_the_rescaled_model():
    world, model = random_world(np.random.default_rng(3))
    above = model > world.paper_threshold
    scaled = np.where(above, 1.7, 1.0) * model
    scaled /= (scaled * world.n_members).sum(axis=1, keepdims=True)
    difference = loss(world, scaled) - loss(world, model)
    assert rescaled_loss(world, model, 1.7) == pytest.approx(difference, abs=1e-12)


def test_the_slope_exists_where_the_loss_is_infinite():
    world = dense_world([[0.5, 0.5, 0]], [2])
    model = [[1.0, 0.0, 0.0]]  # |E| = 1: nothing exceeds the threshold 1
    assert loss(world, model) == np.inf
    assert loss_slope(world, model) == reduction(world, model).overshoot == 0
    with pytest.raises(RefusedInputError, match="above 0"):
        rescaled_loss(world, model, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_best_threshold_against_trying_all(seed):
    world, model = random_world(np.random.default_rng(seed))
    found = best_threshold(world, model)

    def misjudged(threshold: float) -> float:
        return prompt_terms(world, model, threshold).err_iiv @ world.prompt_weights

    assert found.err_iiv == pytest.approx(min(map(misjudged, [0.0, *np.unique(model)])))
    assert misjudged(found.threshold) == pytest.approx(found.err_iiv)
    assert found.err_iiv <= reduction(world, model).err_iiv + 1e-12


def test_members_stand_for_equal_answers():
    world, model = random_world(np.random.default_rng(5))
    n = world.n_members
    row = [np.repeat(np.arange(n.shape[1]), counts) for counts in n]
    width = max(map(len, row))
    spread = [np.zeros((len(n), width)) for _ in range(4)]
    for c, columns in enumerate(row):
        for target, source in zip(
            spread, (world.data_probability, world.is_valid, n > 0, model), strict=True
        ):
            target[c, : len(columns)] = source[c, columns]
    data, is_valid, members, dense_model = spread
    dense = AnswerWorld(world.prompt_weights, data, is_valid.astype(bool), members.astype(np.int64))
    for measure in (reduction, sharp_reduction):
        grouped, one_by_one = measure(world, model), measure(dense, dense_model)
        for name in ("err", "err_iiv", "overshoot", "size_term", "lost_mass"):
            assert getattr(grouped, name) == pytest.approx(getattr(one_by_one, name), abs=1e-12)


def test_refusals_say_what_is_wrong():
    world = dense_world([[1, 0, 0]], [1])
    with pytest.raises(RefusedInputError, match="shape"):
        reduction(world, [[1, 0]])
    with pytest.raises(RefusedInputError, match="at most 1, got more"):
        reduction(world, [[0.9, 0.9, 0]])
    with pytest.raises(RefusedInputError, match="negative one or NaN"):
        reduction(world, [[1, np.nan, 0]])
    with pytest.raises(RefusedInputError, match="one model"):
        best_threshold(world, np.zeros((2, 1, 3)))
    with pytest.raises(RefusedInputError, match="at least one plausible error"):
        dense_world([[0.5, 0.5]], [2])
    with pytest.raises(RefusedInputError, match="sums to 1"):
        dense_world([[0.5, 0.0]], [1])
    with pytest.raises(RefusedInputError, match="μ"):
        dense_world([[1, 0], [1, 0]], [1, 1], weights=[0.5, 0.6])
