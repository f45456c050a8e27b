"""One answer's resemblance to two lists of references, on what the lists of other questions come to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from hallulab.reports.figures import NEUTRAL, styled

N_BINS = 25
ROW_HEIGHT_PX = 130


@dataclass(frozen=True)
class RatioOnNull:
    """One list of references."""

    title: str
    """what is listed"""
    ratio: float
    """of the answer to the question's own list, 0 to 1"""
    null: NDArray[np.float64]
    """(n_others,) the same ratio to the lists of other questions"""
    colour: str
    """of the mark at `ratio`"""


def ratios_on_nulls(rows: Sequence[RatioOnNull]) -> go.Figure:
    """One panel per list: a histogram of the null, and where the answer stands on it."""
    figure = make_subplots(
        rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.24,
        subplot_titles=[row.title for row in rows],
    )  # fmt: skip
    high = min(1.0, max(max(row.ratio, row.null.max()) for row in rows) + 0.05)
    bins = np.linspace(0, high, N_BINS + 1)
    for place, row in enumerate(rows, start=1):
        counts = np.histogram(row.null, bins)[0]
        top = float(counts.max(initial=1))
        figure.add_bar(
            x=(bins[:-1] + bins[1:]) / 2, y=counts, width=0.94 * high / N_BINS, marker_color=NEUTRAL, opacity=0.55,
            hovertemplate="%{y} other questions near %{x:.2f}<extra></extra>", showlegend=False, row=place, col=1,
        )  # fmt: skip
        figure.add_scatter(
            x=[row.ratio, row.ratio], y=[0, top], mode="lines+markers",
            line={"color": row.colour, "width": 3}, marker={"size": [0.1, 13], "symbol": "diamond"},
            hovertemplate=f"this question: {row.ratio:.2f}<extra></extra>", showlegend=False, row=place, col=1,
        )  # fmt: skip
    figure.update_xaxes(range=[0, 1.02 * high])
    figure.update_xaxes(title_text="Gestalt ratio: share of matching letters", row=len(rows), col=1)
    figure.update_yaxes(title_text="questions", title_standoff=4, nticks=3, rangemode="tozero")
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    return styled(figure, height_px=ROW_HEIGHT_PX * len(rows) + 80)
