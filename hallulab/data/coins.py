"""Flips of N coins drawn from 2N distinct ones (Section 7.1 of [LHZSL])."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

MAX_COINS_PER_DRAW = 64
MAX_FLIPS = 10_000_000
ROWS_PER_CHUNK = 65_536


@dataclass(frozen=True)
class CoinFlips:
    """M times: N of the 2N coins drawn and flipped once each.

    Small whole-number types, so that a million flips take a few megabytes: widen them before arithmetic.
    """

    coins_per_draw: int
    draws: NDArray[np.uint8]
    """the distinct draws that occur, labels ascending, shape (n_distinct, N)"""
    draw_index: NDArray[np.uint16 | np.uint32]
    """row of `draws` that was flipped, shape (M,); the smaller type that can hold it"""
    heads: NDArray[np.uint8]
    """number of heads, shape (M,)"""

    @property
    def n_flips(self) -> int:
        """M, how often N coins were drawn and flipped."""
        return len(self.heads)

    @property
    def draw_counts(self) -> NDArray[np.int64]:
        """How often each distinct draw occurs, shape (n_distinct,)."""
        return np.bincount(self.draw_index, minlength=len(self.draws))

    def split(self, held_out_share: float, *, rng: np.random.Generator) -> tuple["CoinFlips", "CoinFlips"]:
        """A random split into (training, held-out); both keep the table of distinct draws."""
        order = rng.permutation(self.n_flips)
        n_held_out = round(held_out_share * self.n_flips)
        return self._rows(order[n_held_out:]), self._rows(order[:n_held_out])

    def _rows(self, rows: NDArray[np.int64]) -> "CoinFlips":
        return replace(self, draw_index=self.draw_index[rows], heads=self.heads[rows])


def check_whole(name: str, value: Any, low: int, high: int) -> int:
    """`value`, if it is a whole number from `low` to `high`.

    Raises RefusedInputError otherwise.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or value != int(value):
        raise RefusedInputError(
            f"expected {name} as a whole number from {low:,} to {high:,}, got {value!r}: choose one of these"
        )
    return int(value)


def check_coins_per_draw(coins_per_draw: Any) -> int:
    """`coins_per_draw`, if an experiment can draw that many.

    Raises RefusedInputError otherwise.
    """
    return check_whole("coins per draw", coins_per_draw, 1, MAX_COINS_PER_DRAW)


def labels_of(coin_numbers: Sequence[Any], coins_per_draw: int) -> NDArray[np.int64]:
    """Labels, ascending, of coins that people number from 1: coin k of the 2N lands heads with p = k/2N.

    Raises RefusedInputError for none, more than exist, a coin twice, or a coin that does not exist.
    """
    n_coins = 2 * check_coins_per_draw(coins_per_draw)
    if not isinstance(coin_numbers, Sequence) or isinstance(coin_numbers, str) or not coin_numbers:
        raise RefusedInputError(f"expected at least one coin, got {coin_numbers!r}: choose a coin")
    _check_number_of_coins(len(coin_numbers), n_coins)
    labels = sorted(check_whole("each coin", number, 1, n_coins) - 1 for number in coin_numbers)
    if len(set(labels)) < len(labels):
        raise RefusedInputError(f"expected different coins, got {list(coin_numbers)}: choose each coin once")
    return np.array(labels, dtype=np.int64)


def head_probabilities(labels: ArrayLike, coins_per_draw: int) -> NDArray[np.float64]:
    """p = (label + 1)/2N of each coin: the law that makes the flips, and so the law that scores them.

    Labels count from 0, so the 2N coins have p = 1/2N, 2/2N, …, 1. (The public code of [LHZSL] makes its
    flips this way and scores them with `shifted_head_probabilities`.)

    Args:
        labels: any shape.
        coins_per_draw: N.
    """
    return np.add(labels, 1, dtype=float) / (2 * coins_per_draw)


def shifted_head_probabilities(labels: ArrayLike, coins_per_draw: int) -> NDArray[np.float64]:
    """label/2N: what the public code's evaluator takes for the probability of heads, one coin too low."""
    return np.asarray(labels, dtype=float) / (2 * coins_per_draw)


def mean_heads(labels: ArrayLike, coins_per_draw: int) -> NDArray[np.float64]:
    """Σp of each draw, exactly rounded: whole and half numbers come out whole and half.

    Args:
        labels: shape (..., N).

    Returns: shape (...).
    """
    return np.add(labels, 1, dtype=float).sum(axis=-1) / (2 * coins_per_draw)


def n_draws(coins_per_draw: int) -> int:
    """C(2N, N): how many draws there are, each as likely as any other."""
    return comb(2 * coins_per_draw, coins_per_draw)


def all_draws(coins_per_draw: int) -> NDArray[np.uint8]:
    """Every draw of N among the 2N coins, labels ascending, shape (C(2N, N), N)."""
    draws = chain.from_iterable(combinations(range(2 * coins_per_draw), coins_per_draw))
    count = n_draws(coins_per_draw) * coins_per_draw
    return np.fromiter(draws, dtype=np.uint8, count=count).reshape(-1, coins_per_draw)


def random_draws(coins_per_draw: int, n: int, *, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws made at random, so perhaps one of them twice; labels ascending, shape (n, N)."""
    draws = np.empty((n, coins_per_draw), dtype=np.uint8)
    for start in range(0, n, ROWS_PER_CHUNK):
        rows = slice(start, min(start + ROWS_PER_CHUNK, n))
        draws[rows] = np.sort(_draw_chunk(coins_per_draw, rows.stop - start, rng), axis=1)
    return draws


def flip_draws(coins_per_draw: int, n_flips: int, *, rng: np.random.Generator) -> CoinFlips:
    """M draws of N distinct coins among 2N, each coin flipped once.

    Args:
        coins_per_draw: N.
        n_flips: M.
        rng: source of the draws and the flips.

    Raises RefusedInputError for an N outside 1 to 64 or an M below 1 or too large.
    """
    check_coins_per_draw(coins_per_draw)
    check_whole("flips", n_flips, 1, MAX_FLIPS)
    keys = np.empty((n_flips, -(-2 * coins_per_draw // 8)), dtype=np.uint8)
    heads = np.empty(n_flips, dtype=np.uint8)
    # chunks bound the (M, 2N) random numbers that a draw needs
    for start in range(0, n_flips, ROWS_PER_CHUNK):
        rows = slice(start, min(start + ROWS_PER_CHUNK, n_flips))
        labels, heads[rows] = _flip_chunk(coins_per_draw, rows.stop - start, rng)
        keys[rows] = _keys_of_labels(labels, coins_per_draw)
    distinct, draw_index = np.unique(keys.view(f"S{keys.shape[1]}")[:, 0], return_inverse=True)
    draws = _labels_of_keys(distinct.view(np.uint8).reshape(len(distinct), -1), coins_per_draw)
    index_type = np.uint16 if len(draws) <= 2**16 else np.uint32
    return CoinFlips(coins_per_draw, draws, draw_index.astype(index_type), heads)


def flip_chosen(
    labels: ArrayLike, coins_per_draw: int, n_flips: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How often each number of heads comes up when the chosen coins are flipped M times.

    Args:
        labels: the chosen coins, shape (n,).
        coins_per_draw: N, which fixes the coins' probabilities.
        n_flips: M.

    Returns: counts of 0 … n heads, shape (n + 1,).
    Raises RefusedInputError for coins that do not exist.
    """
    check_whole("flips", n_flips, 0, MAX_FLIPS)
    chosen = np.asarray(labels)
    n_coins = 2 * check_coins_per_draw(coins_per_draw)
    _check_number_of_coins(len(chosen), n_coins)
    if ((chosen < 0) | (chosen >= n_coins)).any():
        raise RefusedInputError(f"expected labels from 0 to {n_coins - 1}, got {chosen.tolist()}")
    probabilities = head_probabilities(chosen, coins_per_draw)
    counts = np.zeros(len(probabilities) + 1, dtype=np.int64)
    for start in range(0, n_flips, ROWS_PER_CHUNK):
        n_rows = min(ROWS_PER_CHUNK, n_flips - start)
        heads = (rng.random((n_rows, len(probabilities))) < probabilities).sum(axis=1)
        counts += np.bincount(heads, minlength=len(counts))
    return counts


def _flip_chunk(
    coins_per_draw: int, n_rows: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Labels in the order they were drawn, shape (n_rows, N), and heads, shape (n_rows,)."""
    labels = _draw_chunk(coins_per_draw, n_rows, rng)
    flips = rng.random((n_rows, coins_per_draw)) < head_probabilities(labels, coins_per_draw)
    return labels, flips.sum(axis=1, dtype=np.uint8)


def _draw_chunk(coins_per_draw: int, n_rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Labels in the order they were drawn, shape (n_rows, N)."""
    ranks = rng.random((n_rows, 2 * coins_per_draw))
    return np.argpartition(ranks, coins_per_draw - 1, axis=1)[:, :coins_per_draw]


def _keys_of_labels(labels: NDArray[np.intp], coins_per_draw: int) -> NDArray[np.uint8]:
    """A bit per coin, 0 where it was drawn: as byte strings, these sort as the ascending labels do.

    Args:
        labels: shape (n, N).

    Returns: shape (n, 2N / 8 rounded up).
    """
    left = np.ones((len(labels), 2 * coins_per_draw), dtype=np.bool_)
    np.put_along_axis(left, labels, False, axis=1)
    return np.packbits(left, axis=1)


def _labels_of_keys(keys: NDArray[np.uint8], coins_per_draw: int) -> NDArray[np.uint8]:
    """Labels, ascending, of each key, shape (n, N)."""
    draws = np.empty((len(keys), coins_per_draw), dtype=np.uint8)
    coins = np.arange(2 * coins_per_draw, dtype=np.uint8)
    for start in range(0, len(keys), ROWS_PER_CHUNK):
        left = np.unpackbits(keys[start : start + ROWS_PER_CHUNK], axis=1, count=2 * coins_per_draw)
        drawn = np.broadcast_to(coins, left.shape)[left == 0]
        draws[start : start + ROWS_PER_CHUNK] = drawn.reshape(-1, coins_per_draw)
    return draws


def _check_number_of_coins(n_chosen: int, n_coins: int) -> None:
    if n_chosen > n_coins:
        raise RefusedInputError(
            f"expected at most {n_coins} coins, as many as there are, got {n_chosen}: choose fewer"
        )
