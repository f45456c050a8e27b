"""Dragging means on the figure itself and clicking beside them; what was done arrives as one line of JSON."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from hallulab.errors import RefusedInputError
from hallulab.reports.figures import state_colour
from hallulab.theory.gaussians import GaussianMixture

FIGURE_ID = "density-figure"
DRAG_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Dragged:
    """Where a mean was dragged to."""

    state: int
    """counted from 0"""
    mean: tuple[float, ...]
    ended: bool
    """whether the handle was let go"""


def with_handles(figure: go.Figure, mixture: GaussianMixture, selected: int) -> go.Figure:
    """The figure, with what the script must know of its means."""
    colours = [state_colour(state) for state in range(mixture.n_states)]
    meta = {"means": mixture.means.tolist(), "colours": colours, "selected": selected}
    return figure.update_layout(meta=meta)


def gesture_from(text: str) -> "Dragged | tuple[float, ...]":
    """What the script wrote: where a mean was dragged to, or the point that was clicked.

    Raises RefusedInputError for anything else.
    """
    try:
        fields = json.loads(text)
        if "point" in fields:
            return _finite(tuple(map(float, fields["point"])), text)
        dragged = Dragged(int(fields["state"]), tuple(map(float, fields["mean"])), bool(fields["ended"]))
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedInputError(f"expected a dragged mean or a clicked point, got {text[:80]!r}") from error
    _finite(dragged.mean, text)
    return dragged


def point_from(text: str, n_dimensions: int) -> tuple[float, ...] | None:
    """A typed or clicked point, numbers with commas or blanks between; None for an empty text.

    Raises RefusedInputError for another number of numbers.
    """
    words = text.replace(",", " ").replace("(", " ").replace(")", " ").replace("−", "-").split()
    if not words:
        return None
    expected = "one number, such as 0.5" if n_dimensions == 1 else "two numbers, such as 0.5, 1"
    try:
        numbers = tuple(map(float, words))
    except ValueError as error:
        raise RefusedInputError(f"expected a point as {expected}, got {text[:80]!r}") from error
    if len(numbers) != n_dimensions or not all(map(math.isfinite, numbers)):
        raise RefusedInputError(f"expected a point as {expected}, got {text[:80]!r}")
    return numbers


def _finite(numbers: tuple[float, ...], text: str) -> tuple[float, ...]:
    if not all(map(math.isfinite, numbers)):
        raise RefusedInputError(f"expected finite coordinates, got {text[:80]!r}")
    return numbers
