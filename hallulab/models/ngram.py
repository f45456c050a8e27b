"""Maximum-likelihood n-grams: the next token as often as it followed the last n − 1 tokens in the data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError


@dataclass(frozen=True, eq=False)
class NGram:
    """Counted continuations of every context length up to n − 1; a context never seen backs off to a shorter one."""

    n_tokens: int
    """what may follow: tokens 0 … n_tokens − 1"""
    contexts: Sequence[NDArray[np.int64]]
    """of length 0, 1, …, n − 1: the different ones in sorted order, shape (n_contexts, length)"""
    probabilities: Sequence[NDArray[np.float64]]
    """p̂(next | context), shape (n_contexts, n_tokens), for each length"""

    @property
    def order(self) -> int:
        """n: 1 looks at nothing, 2 at the last token."""
        return len(self.contexts)

    def predict(self, contexts: ArrayLike) -> NDArray[np.float64]:
        """p̂(next | the longest end of the context that was seen), shape (n_rows, n_tokens).

        Args:
            contexts: whole numbers, shape (n_rows, n − 1 or more).
        """
        given = _as_contexts(contexts, self.order - 1)
        predicted = np.empty((len(given), self.n_tokens))
        is_open = np.ones(len(given), dtype=bool)
        for length in range(self.order - 1, -1, -1):
            ends = given[is_open, given.shape[1] - length :]
            place = _places(ends, self.contexts[length])
            rows = np.flatnonzero(is_open)[place >= 0]
            predicted[rows] = self.probabilities[length][place[place >= 0]]
            is_open[rows] = False
        return predicted


def count_ngrams(
    contexts: ArrayLike, following: ArrayLike, order: int, *, n_tokens: int, counts: ArrayLike | None = None
) -> NGram:
    """Fit an n-gram by counting.

    Args:
        contexts: what came before, whole numbers, shape (n_rows, n − 1 or more).
        following: what came next, 0 … n_tokens − 1, shape (n_rows,).
        order: n, 1 or more.
        n_tokens: how many different tokens may come next.
        counts: how often each row occurred, shape (n_rows,); once when None.

    Raises RefusedInputError without rows, for an order that the contexts are too short for, or unknown tokens.
    """
    if order < 1:
        raise RefusedInputError(f"expected an n-gram with n of 1 or more, got {order}")
    given, nexts = _as_contexts(contexts, order - 1), np.asarray(following)
    n_times = np.ones(len(given)) if counts is None else np.asarray(counts, dtype=float)
    if nexts.shape != (len(given),) or n_times.shape != nexts.shape or not n_times.sum() > 0:
        raise RefusedInputError(
            f"expected as many next tokens and counts as contexts, at least one, got {len(given)}, {nexts.shape} "
            f"and {n_times.shape}"
        )
    if nexts.min() < 0 or nexts.max() >= n_tokens:
        raise RefusedInputError(
            f"expected next tokens from 0 to {n_tokens - 1}, got {nexts.min()} to {nexts.max()}"
        )
    kept = n_times > 0
    given, nexts, n_times = given[kept], nexts[kept], n_times[kept]
    every_context, every_probability = [], []
    for length in range(order):
        different, place = np.unique(given[:, given.shape[1] - length :], axis=0, return_inverse=True)
        cells = place.reshape(-1) * n_tokens + nexts
        counted = np.bincount(cells, weights=n_times, minlength=len(different) * n_tokens)
        counted = counted.reshape(len(different), n_tokens)
        every_context.append(different)
        every_probability.append(counted / counted.sum(axis=1, keepdims=True))
    return NGram(n_tokens, tuple(every_context), tuple(every_probability))


def _as_contexts(contexts: ArrayLike, length: int) -> NDArray[np.int64]:
    given = np.asarray(contexts)
    if given.ndim != 2 or given.shape[1] < length or not np.issubdtype(given.dtype, np.integer):
        raise RefusedInputError(
            f"expected contexts as whole numbers of shape (n_rows, {length} or more), got {given.dtype} of shape "
            f"{given.shape}"
        )
    return given.astype(np.int64)


def _places(rows: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row stands among the known ones, −1 where it does not, shape (n_rows,)."""
    different, place = np.unique(np.concatenate([known, rows]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    of_different = np.full(len(different), -1)
    of_different[place[: len(known)]] = np.arange(len(known))
    return of_different[place[len(known) :]]
