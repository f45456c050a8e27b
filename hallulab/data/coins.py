"""Flips of N coins drawn from 2N distinct ones (Section 7.1 of [LHZSL])."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

MAX_COINS_PER_DRAW = 64
MAX_FLIPS = 10_000_000
ROWS_PER_CHUNK = 65_536


@dataclass(frozen=True)
class CoinFlips:
    """M times: N of the 2N coins drawn and flipped once each."""

    coins_per_draw: int
    draws: NDArray[np.int64]
    """the distinct draws that occur, labels ascending, shape (n_distinct, N)"""
    draw_index: NDArray[np.int64]
    """row of `draws` that was flipped, shape (M,)"""
    heads: NDArray[np.int64]
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

    Raises RefusedInputError for none, a coin twice, or a coin that does not exist.
    """
    n_coins = 2 * check_coins_per_draw(coins_per_draw)
    if not isinstance(coin_numbers, Sequence) or isinstance(coin_numbers, str) or not coin_numbers:
        raise RefusedInputError(f"expected at least one coin, got {coin_numbers!r}: choose a coin")
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
    return (np.asarray(labels) + 1) / (2 * coins_per_draw)


def shifted_head_probabilities(labels: ArrayLike, coins_per_draw: int) -> NDArray[np.float64]:
    """label/2N: what the public code's evaluator takes for the probability of heads, one coin too low."""
    return np.asarray(labels) / (2 * coins_per_draw)


def mean_heads(labels: ArrayLike, coins_per_draw: int) -> NDArray[np.float64]:
    """Σp of each draw, exactly rounded: whole and half numbers come out whole and half.

    Args:
        labels: shape (..., N).

    Returns: shape (...).
    """
    return (np.asarray(labels) + 1).sum(axis=-1) / (2 * coins_per_draw)


def all_draws(coins_per_draw: int) -> NDArray[np.int64]:
    """Every draw of N among the 2N coins, labels ascending, shape (C(2N, N), N)."""
    return np.array(list(combinations(range(2 * coins_per_draw), coins_per_draw)), dtype=np.int64)


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
    # chunks bound the (M, 2N) random numbers that a draw needs; the labels fit a byte
    chunks = [
        _flip_chunk(coins_per_draw, min(ROWS_PER_CHUNK, n_flips - start), rng)
        for start in range(0, n_flips, ROWS_PER_CHUNK)
    ]
    draws, draw_index = np.unique(
        np.concatenate([labels for labels, _ in chunks]), axis=0, return_inverse=True
    )
    heads = np.concatenate([counts for _, counts in chunks])
    return CoinFlips(coins_per_draw, draws.astype(np.int64), draw_index.reshape(-1), heads)


def flip_chosen(
    labels: ArrayLike, coins_per_draw: int, n_flips: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How often each number of heads comes up when the chosen coins are flipped M times.

    Args:
        labels: the chosen coins, shape (n,).
        coins_per_draw: N, which fixes the coins' probabilities.
        n_flips: M.

    Returns: counts of 0 … n heads, shape (n + 1,).
    """
    check_whole("flips", n_flips, 0, MAX_FLIPS)
    probabilities = head_probabilities(labels, coins_per_draw)
    counts = np.zeros(len(probabilities) + 1, dtype=np.int64)
    for start in range(0, n_flips, ROWS_PER_CHUNK):
        n_rows = min(ROWS_PER_CHUNK, n_flips - start)
        heads = (rng.random((n_rows, len(probabilities))) < probabilities).sum(axis=1)
        counts += np.bincount(heads, minlength=len(counts))
    return counts


def _flip_chunk(
    coins_per_draw: int, n_rows: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Sorted labels, shape (n_rows, N), and heads, shape (n_rows,)."""
    ranks = rng.random((n_rows, 2 * coins_per_draw))
    labels = np.argpartition(ranks, coins_per_draw - 1, axis=1)[:, :coins_per_draw]
    flips = rng.random((n_rows, coins_per_draw)) < head_probabilities(labels, coins_per_draw)
    return np.sort(labels, axis=1).astype(np.uint8), flips.sum(axis=1)
