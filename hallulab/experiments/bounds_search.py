"""A search for conditional means under which the product of Theorem 6.1 of [LHZSL] exceeds the truth.

Every law tried has three values, so that P_H is a finite sum, exact up to rounding: a find would be a counterexample,
not a fluctuation. Laws need not be symmetric; the theorem does not ask for it.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.lower_bounds import PaperBound, paper_bound
from hallulab.theory.mean_laws import Moments

N_VALUES = 3
N_KEPT = 12
"""settings that each round starts from"""
RANDOM_SHARE = 0.3
"""of each round's settings are new, the others are changes of those kept"""
EDGE = 1e-9
"""relative; a mean exactly r away counts as far, in the paper's favour"""


@dataclass(frozen=True)
class DiscreteSetting:
    """Independent means with few values each, in one dimension."""

    values: NDArray[np.float64]
    """centred, shape (N, n_values)"""
    probabilities: NDArray[np.float64]
    """shape (N, n_values)"""
    weights: NDArray[np.float64]
    """shape (N,)"""
    radius: float

    @property
    def moments(self) -> tuple[Moments, ...]:
        """σ_i and K_i."""
        second = (self.probabilities * self.values**2).sum(axis=1)
        fourth = (self.probabilities * self.values**4).sum(axis=1)
        return tuple(
            Moments(s, min(s**2 / f, 1.0)) for s, f in zip(second.tolist(), fourth.tolist(), strict=True)
        )

    def probability(self) -> float:
        """P_H, by summing over every combination of values."""
        rows = np.arange(len(self.values))
        patterns = _patterns(*self.values.shape)
        means = self.values[rows, patterns]
        chances = self.probabilities[rows, patterns].prod(axis=1)
        nearest = np.abs(means - (means @ self.weights)[:, None]).min(axis=1)
        return float(chances[nearest > self.radius * (1 - EDGE)].sum())

    def paper(self) -> PaperBound:
        """The paper's product."""
        return paper_bound(self.moments, self.weights, self.radius)

    def to_json(self) -> dict[str, Any]:
        """What repeats it."""
        return {
            "values": self.values.tolist(),
            "probabilities": self.probabilities.tolist(),
            "weights": self.weights.tolist(),
            "radius": self.radius,
        }


@dataclass(frozen=True)
class Found:
    """The closest that the product came to the truth for one N."""

    n_states: int
    n_tried: int
    n_silent: int
    n_exceeding: int
    """settings whose product is above P_H"""
    setting: DiscreteSetting
    product: float
    """the paper's"""
    probability: float
    """P_H, exact"""

    @property
    def ratio(self) -> float:
        """product / P_H: above 1 is a counterexample."""
        return self.product / self.probability if self.probability > 0 else math.inf

    def to_json(self) -> dict[str, Any]:
        """The finding and what repeats it."""
        return {
            "n_states": self.n_states,
            "n_tried": self.n_tried,
            "n_silent": self.n_silent,
            "n_exceeding": self.n_exceeding,
            "largest_ratio": self.ratio,
            "product": self.product,
            "probability": self.probability,
            "setting": self.setting.to_json(),
        }


def search_counterexample(n_states: int, *, n_tried: int = 3000, seed: int = 0) -> Found | None:
    """Look for means whose product Π P_i K_i is above P_H: random settings, then changes of the closest ones.

    Args:
        n_states: N, from 2 to 7: P_H sums over 3^N combinations.
        n_tried: settings to try.
        seed: decides which.

    Returns: the setting with the largest product / P_H, whatever it is; None when all were silent.
    Raises RefusedInputError for another N or no setting to try.
    """
    if not 2 <= n_states <= 7 or n_tried < 1:
        raise RefusedInputError(
            f"expected 2 to 7 states and at least one setting to try, got {n_states} and {n_tried}"
        )
    rng = np.random.default_rng(seed)
    kept: list[tuple[float, NDArray[np.float64], float, float]] = []
    n_silent = n_exceeding = 0
    for _ in range(n_tried):
        raw = _propose([entry[1] for entry in kept], n_states, rng)
        setting = _setting_of(raw, n_states)
        paper = setting.paper()
        if paper.log_value is None or paper.value is None:
            n_silent += 1
            continue
        probability = setting.probability()
        gap = paper.log_value - math.log(probability) if probability > 0 else math.inf
        n_exceeding += gap > 0
        kept = sorted([*kept, (gap, raw, paper.value, probability)], key=lambda entry: -entry[0])[:N_KEPT]
    if not kept:
        return None
    _, raw, value, probability = kept[0]
    return Found(n_states, n_tried, n_silent, n_exceeding, _setting_of(raw, n_states), value, probability)


def _propose(kept: list[NDArray[np.float64]], n_states: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Free parameters of a setting: a new one, or a change of one of the closest."""
    size = n_states * (2 * N_VALUES + 1) + 1
    if not kept or rng.random() < RANDOM_SHARE:
        return rng.normal(0, 1.5, size)
    changed = kept[rng.integers(len(kept))].copy()
    touched = rng.random(size) < rng.choice([0.1, 0.4, 1.0])
    return changed + touched * rng.normal(0, 10 ** rng.uniform(-2.5, 0.3), size)


def _setting_of(raw: NDArray[np.float64], n_states: int) -> DiscreteSetting:
    """Any numbers as a setting: values, log-odds of values and of states, r as a share of what is not silent."""
    values, odds, rest = np.split(raw, [n_states * N_VALUES, 2 * n_states * N_VALUES])
    probabilities = _shares(odds.reshape(n_states, N_VALUES))
    points = values.reshape(n_states, N_VALUES)
    points = points - (probabilities * points).sum(axis=1, keepdims=True)
    weights = _shares(rest[:n_states])
    sigma = (probabilities * points**2).sum(axis=1)
    room = math.sqrt(sigma.min()) - math.sqrt(float(np.sum(weights**2 * sigma)))
    radius = max(room, 0.0) / (1 + math.exp(-float(np.clip(rest[n_states], -30, 30))))
    return DiscreteSetting(points, probabilities, weights, radius)


def _shares(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(np.clip(odds - odds.max(axis=-1, keepdims=True), -30, 0))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@cache
def _patterns(n_states: int, n_values: int) -> NDArray[np.int_]:
    """Every combination of values, shape (n_values ** n_states, n_states)."""
    return np.array(list(product(range(n_values), repeat=n_states)))
