"""The mixture that a visitor shapes: its states as plain numbers, its presets, what each control does to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from hallulab.errors import RefusedInputError
from hallulab.reports.density_figures import View, view_of
from hallulab.theory.certificates import Certificate
from hallulab.theory.constructions import STATEMENTS, construct
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.mixture_presets import MIXTURE_PRESETS

MAX_STATES = 6
"""that a figure can tell apart"""
MIN_WEIGHT = 0.01
ROOM_FILLED = 0.45
"""share of the view that a mixture must fill, or the view is drawn closer"""


@dataclass(frozen=True)
class StateShape:
    """One Gaussian state in one or two dimensions."""

    weight: float
    mean: tuple[float, ...]
    widths: tuple[float, ...]
    """standard deviation per axis"""
    correlation: float = 0.0
    """of the two axes; 0 in one dimension"""


@dataclass(frozen=True)
class Shapes:
    """What the visitor has on the figure."""

    states: tuple[StateShape, ...]
    view: View
    selected: int = 0
    """the state whose numbers the controls show"""
    preset: str = ""
    """the preset that this still is; empty once it was changed"""

    @property
    def n_dimensions(self) -> int:
        """1 or 2."""
        return len(self.states[0].mean)

    @property
    def shown(self) -> StateShape:
        """The selected state."""
        return self.states[self.selected]

    def mixture(self) -> GaussianMixture:
        """The mixture; refused when a width or correlation makes none."""
        weights = np.array([state.weight for state in self.states])
        return GaussianMixture(
            weights / weights.sum(),
            np.array([state.mean for state in self.states]),
            np.array([_covariance(state) for state in self.states]),
        )

    def moved(self, state: int, mean: tuple[float, ...]) -> "Shapes":
        """With one mean elsewhere, and that state selected; the view stays.

        Raises RefusedInputError for a state or dimension that is not there.
        """
        if not 0 <= state < len(self.states) or len(mean) != self.n_dimensions:
            raise RefusedInputError(
                f"expected one of {len(self.states)} states and {self.n_dimensions} coordinates, got state "
                f"{state + 1} and {len(mean)}"
            )
        if mean == self.states[state].mean:
            return replace(self, selected=state)
        changed = replace(self.states[state], mean=mean)
        return self._with(state, changed)

    def shaped(self, shape: StateShape) -> "Shapes":
        """With other numbers for the selected state; the other weights share what is left, as they did before."""
        others = [state.weight for index, state in enumerate(self.states) if index != self.selected]
        if not others:
            return self._with(0, replace(shape, weight=1.0)).fitted()
        weight = float(np.clip(shape.weight, MIN_WEIGHT, 1 - MIN_WEIGHT))
        left = (1 - weight) / sum(others)
        states = tuple(
            replace(shape, weight=weight)
            if index == self.selected
            else replace(state, weight=state.weight * left)
            for index, state in enumerate(self.states)
        )
        return replace(self, states=states, preset="").fitted()

    def with_one_more(self) -> "Shapes":
        """With a state in the middle of the view, which takes an equal share.

        Raises RefusedInputError where the figure could not tell them apart.
        """
        n = len(self.states)
        if n >= MAX_STATES:
            raise RefusedInputError(f"expected at most {MAX_STATES} states on the figure, got {n + 1}")
        middle = tuple(round(sum(side) / 2, 3) for side in _sides(self.view))
        kept = tuple(replace(state, weight=state.weight * n / (n + 1)) for state in self.states)
        fresh = StateShape(1 / (n + 1), middle, self.shown.widths, 0.0)
        return replace(self, states=(*kept, fresh), selected=n, preset="").fitted()

    def without_shown(self) -> "Shapes":
        """Without the selected state.

        Raises RefusedInputError for the last one.
        """
        if len(self.states) == 1:
            raise RefusedInputError("expected at least one state: this is the last one")
        kept = [state for index, state in enumerate(self.states) if index != self.selected]
        total = sum(state.weight for state in kept)
        states = tuple(replace(state, weight=state.weight / total) for state in kept)
        return replace(self, states=states, selected=max(0, self.selected - 1), preset="").fitted()

    def fitted(self) -> "Shapes":
        """With a view that holds the mixture, the same as before where that still does."""
        needed = view_of(self.mixture())
        fits = all(
            low >= left and high <= right and high - low >= ROOM_FILLED * (right - left)
            for (low, high), (left, right) in zip(_sides(needed), _sides(self.view), strict=True)
        )
        return self if fits else replace(self, view=needed)

    def _with(self, index: int, state: StateShape) -> "Shapes":
        states = (*self.states[:index], state, *self.states[index + 1 :])
        return replace(self, states=states, selected=index, preset="")


def shapes_of(mixture: GaussianMixture, preset: str = "") -> Shapes:
    """The shapes of a mixture in one or two dimensions.

    Raises RefusedInputError for more dimensions, or more states than the figure can tell apart.
    """
    if mixture.n_dimensions > 2 or mixture.n_states > MAX_STATES:
        raise RefusedInputError(
            f"the figure shows up to 2 dimensions and {MAX_STATES} states, got {mixture.n_dimensions} and "
            f"{mixture.n_states}"
        )
    states = []
    for weight, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
        widths = np.sqrt(np.diagonal(covariance))
        correlation = float(covariance[0, 1] / widths.prod()) if len(widths) == 2 else 0.0
        states.append(StateShape(float(weight), tuple(mean.tolist()), tuple(widths.tolist()), correlation))
    return Shapes(tuple(states), view_of(mixture), preset=preset)


def _covariance(state: StateShape) -> np.ndarray:
    widths = np.array(state.widths)
    if not (widths > 0).all():
        raise RefusedInputError(f"expected widths above 0, got {widths.min():g}")
    correlations = np.full((len(widths),) * 2, state.correlation)
    np.fill_diagonal(correlations, 1.0)
    return np.outer(widths, widths) * correlations


def _sides(view: View) -> tuple[tuple[float, float], ...]:
    return (view.x,) if view.y is None else (view.x, view.y)


# Presets


@dataclass(frozen=True)
class Preset:
    """A mixture to start from, and what there is to see in it."""

    title: str
    lesson: str
    """one or two sentences"""
    build: Callable[[], GaussianMixture]
    hdr_mass: float = 0.9
    delta: float | None = None
    """decides instead of the mass where given"""
    epsilon: float = 0.0
    certify: Callable[[], Certificate] | None = None
    """the construction's certificate, where a theorem built it"""


def _mixture_preset(name: str, *, epsilon: float = 0.0) -> Preset:
    preset = MIXTURE_PRESETS[name]
    return Preset(preset.title, preset.what_to_see, lambda: preset.mixture, preset.mass, epsilon=epsilon)


def _construction(
    theorem: str, version: str, *, delta: float, epsilon: float = 0.0, **choices: Any
) -> Preset:
    """A theorem's construction, built and certified when it is first chosen."""
    if theorem in ("5.2", "5.2.1"):
        choices["epsilon"] = epsilon
    certify = cache(lambda: construct(theorem, version=version, delta=delta, **choices))
    return Preset(
        f"Theorem {theorem}, {VERSION_TITLES[version]}",
        STATEMENTS[theorem],
        lambda: certify().mixtures[0],
        delta=delta,
        epsilon=epsilon,
        certify=certify,
    )


VERSION_TITLES = {"as_written": "as written", "repaired": "repaired", "nonempty": "with regions to miss"}
PRESETS = {
    **{
        name: _mixture_preset(name, epsilon=0.5 if name == "figure_2" else 0.0)
        for name in MIXTURE_PRESETS
    },
    "5.1 as_written": _construction("5.1", "as_written", delta=0.3, n_dimensions=1, weights=(0.2, 0.8)),
    "5.1 repaired": _construction("5.1", "repaired", delta=0.1, n_dimensions=1),
    "5.1 nonempty": _construction("5.1", "nonempty", delta=0.1, n_dimensions=2, n_states=3),
    "5.2 nonempty": _construction("5.2", "nonempty", delta=0.05, epsilon=0.5, n_dimensions=2, n_states=3),
    "5.2 as_written": _construction("5.2", "as_written", delta=0.05, epsilon=0.5, n_dimensions=1, weights=(0.3, 0.7)),
    "5.3 nonempty": _construction("5.3", "nonempty", delta=0.05, epsilon=0.5, n_dimensions=2, lipschitz=0.5,
                                  hint_norms=1.0),
    "C.1 as_written": _construction("C.1", "as_written", delta=0.1, n_states=2),
    "C.1 nonempty": _construction("C.1", "nonempty", delta=0.1, n_states=2),
}  # fmt: skip
"""what the explorer offers, by the name that its endpoint takes"""
FIRST_PRESET = "figure_2"
