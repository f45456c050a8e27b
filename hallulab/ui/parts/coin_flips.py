"""Flips of chosen coins as one seeded stream, however it is cut into presses of a button."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hallulab.data.coins import flip_chosen, head_probabilities

FLIPS_PER_PRESS = 10_000
ANIMATED_TOTALS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 4_000, 7_000, FLIPS_PER_PRESS)
"""flips after each picture of an animated press"""
SECONDS_PER_PICTURE = 0.18


@dataclass(frozen=True)
class CoinTally:
    """How often each number of heads has come up so far; flip i of a seed is the same however it was reached."""

    coins_per_draw: int
    labels: tuple[int, ...]
    """the chosen coins"""
    seed: int
    counts: tuple[int, ...] = ()
    """of 0 … n heads; empty before the first flip"""

    @property
    def n_flips(self) -> int:
        """How often all chosen coins were flipped."""
        return sum(self.counts)

    def flipped(self, n_flips: int) -> "CoinTally":
        """The tally after so many more flips."""
        rng = self._stream(self.n_flips)
        more = flip_chosen(self.labels, self.coins_per_draw, n_flips, rng=rng)
        return replace(self, counts=tuple(int(count) for count in more + np.array(self.counts or 0)))

    def last_flip(self) -> tuple[bool, ...]:
        """Whether each coin fell heads the last time; empty before the first flip."""
        if not self.n_flips:
            return ()
        probabilities = head_probabilities(self.labels, self.coins_per_draw)
        fell = self._stream(self.n_flips - 1).random(len(probabilities)) < probabilities
        return tuple(bool(heads) for heads in fell)

    def is_of(self, other: "CoinTally") -> bool:
        """Whether both flip the same coins with the same seed."""
        return replace(self, counts=()) == replace(other, counts=())

    def _stream(self, n_flips_behind: int) -> np.random.Generator:
        """The seed's random numbers after so many flips: each flip of each coin takes one."""
        bits = np.random.PCG64(self.seed)
        bits.advance(n_flips_behind * len(self.labels))
        return np.random.Generator(bits)


def animated_steps() -> tuple[int, ...]:
    """How many flips each picture of an animated press adds."""
    return tuple(after - before for before, after in pairwise((0, *ANIMATED_TOTALS)))
