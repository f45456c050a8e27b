"""Figures of the audit of Theorem 6.1: three kinds of numbers on one line, and how tight each bound is."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hallulab.experiments.bounds_audit import BOUND_TITLES, BoundsAudit, TightnessPoint
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS, styled

COLOURS = {
    "paper": OUTSIDE,
    "union": STATE_COLOURS[0],
    "two_state": INSIDE,
    "lattice": INSIDE,
    "conditional": STATE_COLOURS[1],
    "moments": STATE_COLOURS[3],
}
DASHES = {"paper": "solid", "union": "solid", "conditional": "dash", "moments": "dot"}
LAW_TITLES = {
    "gaussian": "Gaussian", "uniform": "uniform", "laplace": "Laplace", "two_point": "two-point",
    "student_t": "Student's t",
}  # fmt: skip
SMALLEST_SHOWN = 1e-30
"""of a logarithmic axis; anything smaller stands at its edge, its value on hover"""
LOWEST_EXPONENT = -40
"""of bound / truth; lines leave the panel below"""
ROW_HEIGHT_PX = 38
PANEL_HEIGHT_PX = 150


def audit_figure(audit: BoundsAudit) -> go.Figure:
    """Every bound as a dot on a logarithmic axis of probability, the measured P_H as a band across.

    A bound that says nothing stands on its line in words, without a dot.
    """
    bounds = (audit.paper, *audit.proved)
    figure = go.Figure()
    values = [bound.log_value / math.log(10) for bound in bounds if bound.log_value is not None]
    low = max(
        min([*values, math.log10(max(audit.measured.rate, 1e-6)), -1.0]) * 1.08, math.log10(SMALLEST_SHOWN)
    )
    figure.update_xaxes(
        type="log",
        range=[low, 0.06 * abs(low)],
        exponentformat="power",
        nticks=6,
        tickangle=0,
        title_text="probability",
    )
    interval = audit.measured.interval
    figure.add_vrect(
        x0=max(interval.low, 10**low),
        x1=max(interval.high, 10**low),
        fillcolor=NEUTRAL,
        opacity=0.35,
        line_width=0,
    )
    rows = [BOUND_TITLES[bound.name] for bound in bounds] + ["measured"]
    for row in rows:
        # a name stands above its line, so that a narrow screen is left to the dots
        figure.add_annotation(
            x=0, y=row, xref="paper", text=row, xanchor="left", yanchor="bottom", yshift=6, showarrow=False,
            font={"size": 12},
        )  # fmt: skip
    for bound in bounds:
        row = BOUND_TITLES[bound.name]
        if bound.value is None or bound.log_value is None:
            said = "silent" if bound.name == "paper" else "says nothing"
            figure.add_annotation(
                x=low, y=row, xref="x", text=f"{said} here", xanchor="left", xshift=8, showarrow=False,
                font={"size": 12}, hovertext=bound.reason,
            )  # fmt: skip
            continue
        shown = max(bound.value, 10**low)
        proof = "proved" if bound.is_proved else "not proved"
        figure.add_scatter(
            x=[shown], y=[row], mode="markers",
            marker={
                "size": 13, "color": COLOURS[bound.name], "symbol": "circle" if bound.is_proved else "circle-open",
                "line": {"width": 2},
            },
            hovertemplate=f"{row}: at least {bound.value:.4g} ({proof})<extra></extra>", showlegend=False,
        )  # fmt: skip
    if audit.measured.n_hits:
        rate = audit.measured.rate
        figure.add_scatter(
            x=[rate], y=["measured"], mode="markers",
            marker={"size": 13, "color": NEUTRAL, "symbol": "diamond"},
            error_x={
                "type": "data", "symmetric": False, "array": [interval.high - rate],
                "arrayminus": [rate - max(interval.low, 10**low)], "color": NEUTRAL,
            },
            hovertemplate=(
                f"measured {rate:.4g} of {audit.measured.n_draws:,} draws, {100 * audit.measured.confidence:g} % "
                f"interval {interval.low:.4g} to {interval.high:.4g}<extra></extra>"
            ),
            showlegend=False,
        )  # fmt: skip
    figure.update_yaxes(
        categoryorder="array", categoryarray=rows[::-1], range=[-0.6, len(rows) - 0.2], showticklabels=False
    )
    styled(figure, height_px=ROW_HEIGHT_PX * len(rows) + 90)
    return figure.update_layout(margin={"l": 16})


def tightness_figure(points: Sequence[TightnessPoint]) -> go.Figure:
    """bound / truth over r, one panel for each law and N; a line ends where its bound stops saying anything.

    Args:
        points: of `hallulab.experiments.bounds_audit.tightness_grid`.
    """
    laws = list(dict.fromkeys(point.law for point in points))
    sizes = list(dict.fromkeys(point.n_states for point in points))
    figure = make_subplots(
        rows=len(laws), cols=len(sizes), shared_xaxes=True, shared_yaxes=True, horizontal_spacing=0.025,
        vertical_spacing=0.05, column_titles=[f"N = {n}" for n in sizes],
        row_titles=[LAW_TITLES[law] for law in laws],
    )  # fmt: skip
    in_legend: set[str] = set()
    for point_law, law in enumerate(laws, start=1):
        for column, n in enumerate(sizes, start=1):
            cell = [point for point in points if (point.law, point.n_states) == (law, n)]
            for name in dict.fromkeys(point.bound for point in cell):
                _add_line(
                    figure, [point for point in cell if point.bound == name], point_law, column,
                    show_legend=_legend_of(name) not in in_legend,
                )  # fmt: skip
                in_legend.add(_legend_of(name))
    drawn = [point.tightness for point in points if point.tightness]
    lowest = max(np.log10(min(drawn, default=1e-3)), LOWEST_EXPONENT)
    figure.update_yaxes(type="log", range=[1.06 * lowest, -0.06 * lowest], exponentformat="power", nticks=5)
    figure.update_xaxes(type="log", exponentformat="none", tickvals=[0.01, 0.1, 0.5])
    figure.update_xaxes(title_text="r / √σ", row=len(laws))
    figure.update_yaxes(title_text="bound / truth", col=1)
    styled(figure, height_px=PANEL_HEIGHT_PX * len(laws) + 110)
    return figure.update_layout(margin={"l": 70, "t": 80, "r": 34}, legend={"y": 1.07, "yanchor": "bottom"})


def _legend_of(bound: str) -> str:
    return "exact or lattice (proved)" if bound in ("two_state", "lattice") else BOUND_TITLES[bound]


def _add_line(
    figure: go.Figure, points: Sequence[TightnessPoint], row: int, column: int, *, show_legend: bool
) -> None:
    name = points[0].bound
    figure.add_scatter(
        x=[point.radius for point in points],
        y=[np.nan if point.tightness is None else point.tightness for point in points],
        mode="lines+markers", connectgaps=False, name=_legend_of(name), legendgroup=_legend_of(name),
        line={"color": COLOURS[name], "width": 2, "dash": DASHES.get(name, "solid")}, marker={"size": 5},
        text=[
            f"{_legend_of(name)}, r = {point.radius:g}: {point.value:.3g} of {point.truth:.4g}"
            if point.value is not None else "" for point in points
        ],
        hovertemplate="%{text}<extra></extra>", showlegend=show_legend, row=row, col=column,
    )  # fmt: skip
