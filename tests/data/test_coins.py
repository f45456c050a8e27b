import numpy as np
import pytest

from hallulab.data.coins import (
    all_draws,
    flip_chosen,
    flip_draws,
    head_probabilities,
    labels_of,
    mean_heads,
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


def test_every_draw_is_n_different_coins_and_all_draws_are_equally_likely():
    found = flips(n_flips=60_000)
    np.testing.assert_array_equal(found.draws, all_draws(2))
    # 6 draws, expected 10,000 each, standard deviation sqrt(60000/6 * 5/6) ≈ 91
    assert abs(found.draw_counts - 10_000).max() < 5 * 91
    assert found.draw_counts.sum() == found.n_flips == 60_000


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
    ],
)
def test_refuses_coins_that_do_not_exist(numbers, words):
    with pytest.raises(RefusedInputError, match=words):
        labels_of(numbers, 2)


def test_coin_k_of_2n_is_label_k_minus_1():
    assert labels_of([4, 1.0], 2).tolist() == [0, 3]
    np.testing.assert_array_equal(head_probabilities(labels_of([1, 4], 2), 2), [0.25, 1.0])


def test_refuses_more_flips_than_a_run_may_have():
    with pytest.raises(
        RefusedInputError, match="expected flips as a whole number from 1 to 10,000,000, got 0"
    ):
        flips(n_flips=0)
