"""How the hallucination rate of the same seeds falls while a model is fine-tuned, and its training loss under it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hallulab.reports.figures import NEUTRAL, OUTSIDE, STATE_COLOURS, styled
from hallulab.theory.intervals import Interval


@dataclass(frozen=True)
class RatePoint:
    """One checkpoint."""

    checkpoint: str
    step: int
    """Training steps done, 0 for the base."""
    rate: float
    """Hallucination rate."""
    interval: Interval
    """Of the rate."""


def training_figure(
    points: Sequence[RatePoint], losses: Sequence[tuple[int, float]], *, marked: int | None = None
) -> go.Figure:
    """Rate with intervals above, training loss below, over steps on a logarithmic axis that begins at 0.

    Args:
        points: checkpoints in order of training.
        losses: (step, loss) pairs; the lower panel is left out when there are none.
        marked: place of the checkpoint that is looked at.
    """
    rows = 2 if losses else 1
    figure = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.12, row_heights=[0.6, 0.4][:rows]
    )
    if losses:
        steps, values = zip(*losses, strict=True)
        figure.add_scatter(
            x=_place(steps), y=values, mode="lines", line={"color": NEUTRAL, "width": 2}, showlegend=False,
            text=[f"step {step:,}: loss {value:.3f}" for step, value in losses],
            hovertemplate="%{text}<extra></extra>", row=2, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text="training loss", rangemode="tozero", nticks=3, row=2, col=1)
    figure.add_scatter(
        x=_place([point.step for point in points]),
        y=[point.rate for point in points],
        error_y={
            "array": [point.interval.high - point.rate for point in points],
            "arrayminus": [point.rate - point.interval.low for point in points],
            "thickness": 2,
        },
        mode="lines+markers", line={"color": STATE_COLOURS[0], "width": 2}, marker={"size": 9}, showlegend=False,
        text=[
            f"{point.checkpoint}: {point.rate:.0%} ({point.interval.low:.0%} to {point.interval.high:.0%})"
            for point in points
        ],
        hovertemplate="%{text}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    # after the traces: plotly draws no line in a panel that is still empty
    if marked is not None and 0 <= marked < len(points):
        line = {"color": OUTSIDE, "width": 2, "dash": "dot"}
        for row in range(1, rows + 1):
            panel: dict[str, Any] = {"row": row, "col": 1}
            figure.add_vline(x=float(_place([points[marked].step])[0]), line=line, **panel)
    figure.update_yaxes(
        title_text="hallucination rate", range=[-0.04, 1.04], tickformat=".0%", nticks=4, row=1, col=1
    )
    figure.update_xaxes(
        tickvals=_place([point.step for point in points]).tolist(),
        ticktext=["base" if point.step == 0 else f"{point.step:,}" for point in points],
    )
    figure.update_xaxes(title_text="training steps (logarithmic)", row=rows, col=1)
    return styled(figure, height_px=380 if losses else 260)


def _place(steps: Sequence[int]) -> np.ndarray:
    """Where steps stand: logarithmic, with room for 0."""
    return np.log10(1 + np.asarray(steps, dtype=float))
