"""Dragging the δ line on the figure itself, with mouse or finger; the slider stays the keyboard's way."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from hallulab.reports.coin_figures import LINE_ROOM

PMF_ID, DELTA_ID = "coin-pmf", "coin-delta"
DRAG_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


def draggable(figure: go.Figure, pmf: ArrayLike, delta: float | None) -> go.Figure:
    """The figure, with what the script must know of its line: δ, and up to which δ its scale stays.

    The grip says δ, so the figure does not.

    Args:
        figure: as `pmf_figure`.
        pmf: what it shows, shape (n,).
        delta: None when something else decides, and the line cannot be dragged.
    """
    if delta is None:
        return figure
    others = [note for note in figure.select_annotations() if not note.text.startswith("δ = ")]
    meta = {"delta": delta, "same_scale_to": LINE_ROOM * float(np.max(pmf))}
    return figure.update_layout(meta=meta).update_layout(annotations=others, overwrite=True)
