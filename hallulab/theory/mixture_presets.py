"""Gaussian mixtures worth looking at: what a mean between modes does, and where HDR and HCDR part.

The two that are named after figures of [LHZSL] show what those figures show, with numbers chosen here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hallulab.theory.gaussians import GaussianMixture


@dataclass(frozen=True)
class MixturePreset:
    """A mixture, the mass at which to look at it, and what to look for."""

    title: str
    mixture: GaussianMixture
    mass: float
    """of the HDR, and of every state's own region"""
    what_to_see: str


def _on_a_line(
    weights: Sequence[float], means: Sequence[float], deviations: Sequence[float]
) -> GaussianMixture:
    return GaussianMixture(
        np.array(weights), np.array(means)[:, None], np.array(deviations)[:, None, None] ** 2
    )


def _ring(n_states: int, radius: float) -> GaussianMixture:
    """Equally likely round states, spread evenly over a circle around 0."""
    angles = 2 * np.pi * np.arange(n_states) / n_states
    means = radius * np.column_stack([np.cos(angles), np.sin(angles)])
    return GaussianMixture(np.full(n_states, 1 / n_states), means, np.tile(np.eye(2), (n_states, 1, 1)))


MIXTURE_PRESETS = {
    "figure_2": MixturePreset(
        "The mean between two modes (after Figure 2)",
        _on_a_line([0.5, 0.5], [-3.0, 3.0], [1.0, 1.0]),
        0.9,
        "A* lies halfway between two answers, where neither is plausible: the best guess hallucinates.",
    ),
    "figure_8": MixturePreset(
        "HDR and HCDR differ both ways (after Figure 8)",
        _on_a_line([0.5, 0.5], [-1.4, 1.4], [1.0, 1.0]),
        0.8,
        "Around 0 the HDR holds what no state finds plausible; at ±2.5 a state does, and the HDR does not.",
    ),
    "hdr_beyond_hcdr": MixturePreset(
        "The likeliest answer that no state gives",
        _on_a_line([0.5, 0.5], [-1.0, 1.0], [1.0, 1.0]),
        0.5,
        "The tails of two states add up to the marginal's peak at A*: inside the HDR, outside the HCDR.",
    ),
    "hcdr_beyond_hdr": MixturePreset(
        "A rare cause",
        _on_a_line([0.97, 0.03], [0.0, 5.0], [1.0, 1.0]),
        0.9,
        "The rare state's answers are plausible under it, so the HCDR holds them; the HDR leaves all of them out.",
    ),
    "one_state": MixturePreset(
        "A single cause",
        _on_a_line([1.0], [0.0], [1.0]),
        0.9,
        "With one state the HCDR is the HDR, and A* is its most plausible answer.",
    ),
    "narrow_and_wide": MixturePreset(
        "A precise cause and a vague one",
        _on_a_line([0.5, 0.5], [0.0, 3.0], [0.3, 2.0]),
        0.9,
        "A* is too far from the precise state, and plausible under the vague one: it does not hallucinate.",
    ),
    "ring": MixturePreset(
        "Six causes in a ring",
        _ring(6, 2.3),
        0.9,
        "A* is the centre: inside the HDR, where six tails meet, and outside every state's region.",
    ),
    "three_modes": MixturePreset(
        "Three causes in the plane",
        GaussianMixture(
            np.array([0.4, 0.35, 0.25]),
            np.array([[-3.0, -1.5], [3.0, -1.5], [0.0, 3.5]]),
            np.array([[[1.0, 0.5], [0.5, 1.0]], [[1.2, -0.6], [-0.6, 0.8]], [[0.5, 0.0], [0.0, 1.5]]]),
        ),
        0.9,
        "A* lies between three answers and is none of them.",
    ),
    "crossing": MixturePreset(
        "Two long causes that cross",
        GaussianMixture(
            np.array([0.5, 0.5]),
            np.zeros((2, 2)),
            np.array([[[6.0, 0.0], [0.0, 0.2]], [[0.2, 0.0], [0.0, 6.0]]]),
        ),
        0.9,
        "Both means are A*, the most plausible answer of all: a mean hallucinates only where causes disagree.",
    ),
}
"""what the explorer offers, in this order"""
