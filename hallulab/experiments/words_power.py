"""What a comparison with the base would notice: a known share of answers is swapped for listed wrong ones.

Under no difference base and tuned answers to a question can change places: each replicate lets a coin decide, question
by question, which of the two are "before" and which are "after". Then a share of the answers after is swapped for
listed wrong answers to their questions, and the same sign-flip test is made as in every comparison. The noise is that
of the run itself; without a swapped answer one test in forty would still be found a rise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.theory.paired_tables import row_means, sign_flip_p_values

SHARES = (
    0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
    0.5, 0.75, 1.0,
)  # fmt: skip
"""of the answers that are swapped"""
N_REPLICATES = 400
N_FLIPS = 1_999
LEVEL = 0.05
POWER = 0.8
"""with which a change is called noticed"""
ENOUGH = 0.995
"""power above which larger shares are not tried"""


@dataclass(frozen=True)
class ScorePower:
    """What one score notices."""

    quantity: str
    change_if_all: float
    """mean change when every answer is swapped"""
    shares: tuple[float, ...]
    """of the answers swapped, as far as was tried"""
    powers: tuple[float, ...]
    """share of the replicates in which the score was found to rise: a test at 5 %, not corrected for others"""
    noticed_at: float | None
    """share of swapped answers from which that is 80 %; None where it is never reached"""


@dataclass(frozen=True)
class SwapTables:
    """Scores of one quantity, NaN where one is missing."""

    base: NDArray[np.float64]
    """(n_questions, n_seeds)"""
    tuned: Sequence[NDArray[np.float64]]
    """of every tuned checkpoint, each of the same shape"""
    listed: NDArray[np.float64]
    """(n_questions, most listed): its listed wrong answers, at least one, NaN behind the last"""


def score_powers(tables: Mapping[str, SwapTables], *, seed: int) -> list[ScorePower]:
    """The power of every quantity; all see the same coins, checkpoints and swaps."""
    return [_power(quantity, one, seed) for quantity, one in tables.items()]


def _power(quantity: str, tables: SwapTables, seed: int) -> ScorePower:
    powers: list[float] = []
    for place, share in enumerate(SHARES):
        rng = np.random.default_rng([seed, place])
        changes = np.stack([_changes(tables, share, rng) for _ in range(N_REPLICATES)], axis=1)
        changes = np.nan_to_num(changes)  # a missing pair moves no sum
        is_found = sign_flip_p_values(changes, rng=rng, n_flips=N_FLIPS) < LEVEL
        powers.append(float((is_found & (changes.sum(axis=0) > 0)).mean()))
        if powers[-1] >= ENOUGH:
            break
    shares = SHARES[: len(powers)]
    changes = row_means(tables.listed) - row_means(tables.base)
    change_if_all = float(changes[np.isfinite(changes)].mean())
    return ScorePower(quantity, change_if_all, shares, tuple(powers), _reached(shares, powers))


def _changes(tables: SwapTables, share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n_questions,): after − before of one replicate."""
    n_questions, n_seeds = tables.base.shape
    tuned = tables.tuned[int(rng.integers(len(tables.tuned)))]
    is_exchanged = rng.integers(0, 2, size=(n_questions, 1)).astype(bool)
    before = np.where(is_exchanged, tuned, tables.base)
    after = np.where(is_exchanged, tables.base, tuned)
    n_swapped = round(share * n_questions * n_seeds)
    places = rng.permutation(n_questions * n_seeds)[:n_swapped]
    questions, columns = np.divmod(places, n_seeds)
    n_listed = np.isfinite(tables.listed).sum(axis=1)
    which = (rng.random(n_swapped) * n_listed[questions]).astype(int)
    after[questions, columns] = tables.listed[questions, which]
    return row_means(after - before)


def _reached(shares: Sequence[float], powers: Sequence[float]) -> float | None:
    """Where the powers first reach `POWER`, straight between two shares."""
    for place in range(1, len(powers)):
        low, high = powers[place - 1], powers[place]
        if low < POWER <= high:
            return shares[place - 1] + (POWER - low) / (high - low) * (shares[place] - shares[place - 1])
    return None
