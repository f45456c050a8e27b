import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from hallulab.data import coins
from hallulab.data.coins import (
    all_draws,
    flip_chosen,
    flip_draws,
    head_probabilities,
    labels_of,
    mean_heads,
    n_draws,
    random_draws,
    shifted_head_probabilities,
)
from hallulab.errors import RefusedInputError


def flips(seed=0, coins_per_draw=2, n_flips=4000):
    return flip_draws(coins_per_draw, n_flips, rng=np.random.default_rng(seed))


def test_the_coins_are_distinct_and_the_last_always_lands_heads():
    np.testing.assert_array_equal(head_probabilities(range(4), 2), [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(shifted_head_probabilities(range(4), 2), [0, 0.25, 0.5, 0.75])


def test_mean_heads_is_exact_where_adding_floats_is_not():
    assert (
        mean_heads([0, 4, 6, 7, 8], 5) == 3.0
    )  # 0.1 + 0.5 + 0.7 + 0.8 + 0.9 is 2.9999999999999996 in floats
    assert mean_heads([2, 3, 4, 5, 8, 9, 11], 7) == 3.5


def test_the_same_seed_flips_the_same():
    one, again, other = flips(7), flips(7), flips(8)
    np.testing.assert_array_equal(one.heads, again.heads)
    np.testing.assert_array_equal(one.draws[one.draw_index], again.draws[again.draw_index])
    assert (one.heads != other.heads).any()


def plain_flip_draws(coins_per_draw, n_flips, *, rng):
    """Slow twin: every flip's labels as a row of a table."""
    tables, heads = [], []
    for start in range(0, n_flips, coins.ROWS_PER_CHUNK):
        n_rows = min(coins.ROWS_PER_CHUNK, n_flips - start)
        ranks = rng.random((n_rows, 2 * coins_per_draw))
        labels = np.argpartition(ranks, coins_per_draw - 1, axis=1)[:, :coins_per_draw]
        landed = rng.random((n_rows, coins_per_draw)) < (labels + 1) / (2 * coins_per_draw)
        tables.append(np.sort(labels, axis=1))
        heads.append(landed.sum(axis=1))
    draws, index = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
    return draws, index.reshape(-1), np.concatenate(heads)


@pytest.mark.parametrize("coins_per_draw", [1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 64])
def test_flips_are_those_of_a_plain_table(coins_per_draw, monkeypatch):
    monkeypatch.setattr(coins, "ROWS_PER_CHUNK", 700)
    found = flips(3, coins_per_draw, n_flips=2_000)
    draws, index, heads = plain_flip_draws(coins_per_draw, 2_000, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(found.draws, draws)
    np.testing.assert_array_equal(found.draw_index, index)
    np.testing.assert_array_equal(found.heads, heads)


@pytest.mark.parametrize(("coins_per_draw", "bytes_per_flip"), [(2, 36), (5, 42), (20, 80)])
def test_memory_per_flip_is_small(coins_per_draw, bytes_per_flip, monkeypatch):
    """A table of labels in eight bytes each would alone take 8N bytes per flip, and sorting it as much again."""
    monkeypatch.setattr(coins, "ROWS_PER_CHUNK", 4_096)  # what a chunk needs does not grow with M
    n_flips = 200_000
    tracemalloc.start()
    try:
        found = flips(0, coins_per_draw, n_flips)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < bytes_per_flip * n_flips
    few_draws = len(found.draws) <= 2**16
    assert (found.heads.itemsize, found.draw_index.itemsize, found.draws.itemsize) == (
        1,
        2 if few_draws else 4,
        1,
    )
    train, held_out = found.split(0.2, rng=np.random.default_rng(0))
    assert train.draws is held_out.draws is found.draws
    assert (train.heads.dtype, train.draw_index.dtype) == (found.heads.dtype, found.draw_index.dtype)


def test_a_million_flips_are_kept_in_less_than_four_bytes_each():
    found = flips(0, coins_per_draw=5, n_flips=1_000_000)
    assert found.draw_counts.sum() == 1_000_000
    assert found.heads.nbytes + found.draw_index.nbytes + found.draws.nbytes < 4_000_000
    # all 252 draws, mean of Σp over them 2.75; standard deviation of the mean below 0.0015
    assert len(found.draws) == 252
    assert found.heads.mean() == pytest.approx(2.75, abs=0.008)


def test_small_types_do_not_overflow():
    # all 64 coins with the highest labels, 64 … 127
    labels = np.arange(64, 128, dtype=np.uint8)
    np.testing.assert_array_equal(head_probabilities(labels, 64), np.arange(65, 129) / 128)
    np.testing.assert_array_equal(shifted_head_probabilities(labels, 64), np.arange(64, 128) / 128)
    assert mean_heads(labels, 64) == sum(range(65, 129)) / 128
    assert head_probabilities(labels, 64).dtype == mean_heads(labels, 64).dtype == np.float64


def test_every_draw_is_n_different_coins_and_all_draws_are_equally_likely():
    found = flips(n_flips=60_000)
    np.testing.assert_array_equal(found.draws, all_draws(2))
    # 6 draws, expected 10,000 each, standard deviation sqrt(60000/6 * 5/6) ≈ 91
    assert abs(found.draw_counts - 10_000).max() < 5 * 91
    assert found.draw_counts.sum() == found.n_flips == 60_000


@pytest.mark.parametrize("coins_per_draw", [1, 2, 5])
def test_all_draws_are_the_combinations_in_order(coins_per_draw):
    found = all_draws(coins_per_draw)
    assert [tuple(draw) for draw in found.tolist()] == list(
        combinations(range(2 * coins_per_draw), coins_per_draw)
    )
    assert len(found) == n_draws(coins_per_draw)


def test_random_draws_are_draws_and_each_is_equally_likely():
    found = random_draws(2, 70_000, rng=np.random.default_rng(0))  # more than one chunk
    distinct, counts = np.unique(found, axis=0, return_counts=True)
    np.testing.assert_array_equal(distinct, all_draws(2))
    assert abs(counts - 70_000 / 6).max() < 5 * 99  # standard deviation sqrt(70000/6 · 5/6) ≈ 99
    again = random_draws(2, 70_000, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found, again)


def test_heads_follow_the_law_of_the_coins():
    found = flips(n_flips=60_000)
    for draw, expected in enumerate(mean_heads(found.draws, 2)):
        heads = found.heads[found.draw_index == draw]
        assert heads.mean() == pytest.approx(expected, abs=0.05)
    # the draw {3/4, 1} always shows the sure coin
    assert found.heads[found.draw_index == 5].min() == 1


def test_more_than_one_chunk_keeps_draw_and_heads_together():
    found = flips(n_flips=70_000, coins_per_draw=1)
    # coin 1 of N = 1 has p = 1, coin 0 has p = 1/2
    assert (found.heads[found.draw_index == 1] == 1).all()
    assert found.heads[found.draw_index == 0].mean() == pytest.approx(0.5, abs=0.02)


def test_split_shares_out_every_flip_once():
    found = flips()
    train, held_out = found.split(0.2, rng=np.random.default_rng(0))
    assert (train.n_flips, held_out.n_flips) == (3200, 800)
    np.testing.assert_array_equal(train.draw_counts + held_out.draw_counts, found.draw_counts)
    assert train.heads.sum() + held_out.heads.sum() == found.heads.sum()


def test_chosen_coins_flip_by_their_pmf():
    counts = flip_chosen([0, 3], 2, 10_000, rng=np.random.default_rng(0))
    assert counts.tolist()[0] == 0
    assert counts.sum() == 10_000
    assert counts[1] / 10_000 == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("coins_per_draw", [0, 65, -1])
def test_refuses_too_few_or_too_many_coins(coins_per_draw):
    words = f"expected coins per draw as a whole number from 1 to 64, got {coins_per_draw}"
    with pytest.raises(RefusedInputError, match=words):
        flips(coins_per_draw=coins_per_draw)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([], r"expected at least one coin, got \[\]"),
        ("12", "expected at least one coin, got '12'"),
        ([1, 1], r"expected different coins, got \[1, 1\]"),
        ([1, 5], "expected each coin as a whole number from 1 to 4, got 5"),
        ([0, 2], "expected each coin as a whole number from 1 to 4, got 0"),
        ([1.5], "expected each coin as a whole number from 1 to 4, got 1.5"),
        ([float("nan")], "got nan"),
        (["one"], "got 'one'"),
        ([True], "got True"),
        ([1, 2, 3, 4, 1], "expected at most 4 coins, as many as there are, got 5: choose fewer"),
    ],
)
def test_refuses_coins_that_do_not_exist(numbers, words):
    with pytest.raises(RefusedInputError, match=words):
        labels_of(numbers, 2)


def test_coin_k_of_2n_is_label_k_minus_1():
    assert labels_of([4, 1.0], 2).tolist() == [0, 3]
    np.testing.assert_array_equal(head_probabilities(labels_of([1, 4], 2), 2), [0.25, 1.0])


def test_refuses_to_flip_coins_that_do_not_exist():
    rng = np.random.default_rng(0)
    with pytest.raises(RefusedInputError, match="expected at most 4 coins, as many as there are, got 5"):
        flip_chosen([0, 1, 2, 3, 3], 2, 10, rng=rng)
    with pytest.raises(RefusedInputError, match=r"expected labels from 0 to 3, got \[0, 4\]"):
        flip_chosen([0, 4], 2, 10, rng=rng)
    with pytest.raises(
        RefusedInputError, match="expected coins per draw as a whole number from 1 to 64, got 65"
    ):
        flip_chosen([0], 65, 10, rng=rng)


def test_refuses_more_flips_than_a_run_may_have():
    with pytest.raises(
        RefusedInputError, match="expected flips as a whole number from 1 to 10,000,000, got 0"
    ):
        flips(n_flips=0)
