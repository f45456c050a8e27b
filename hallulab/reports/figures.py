"""How every figure looks, and the one picture all verdicts share: genuine log-densities with thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hallulab.densities.hcdr import HcdrFrame, Verdict

# Okabe and Ito's colours, told apart by readers with any colour vision, on white and on near-black
INSIDE = "#009E73"
OUTSIDE = "#D55E00"
NEUTRAL = "#808791"
STATE_COLOURS = ("#0072B2", "#CC79A7", "#56B4E9", "#E69F00")
GRID = "rgba(128,135,145,0.22)"

PANEL_HEIGHT_PX = 170
N_BINS = 36
N_VALUES_SHOWN = 2
"""candidates off the axis whose values still fit beside them"""


@dataclass(frozen=True)
class Candidate:
    """One scored output to draw on the genuine histograms."""

    label: str
    """what the reader sees on hover"""
    verdict: Verdict


def styled(figure: go.Figure, *, height_px: int) -> go.Figure:
    """The project's look: transparent ground, grey ink readable in light and dark, no tool bar clutter."""
    figure.update_layout(
        height=height_px,
        margin={"l": 48, "r": 16, "t": 34, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": NEUTRAL, "size": 12},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"font": {"size": 12}},
        dragmode=False,
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, fixedrange=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, fixedrange=True)
    return figure


def faint(colour: str, opacity: float) -> str:
    """A "#rrggbb" colour as one that lets the ground through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def state_colour(index: int) -> str:
    """The colour of the index-th latent state in every figure."""
    return STATE_COLOURS[index % len(STATE_COLOURS)]


def density_histograms(
    frame: HcdrFrame, candidates: Sequence[Candidate], *, what: str, unit: str = "log-density (nats)"
) -> go.Figure:
    """One panel per latent state: held-out genuine log-densities, the threshold, the candidates.

    Args:
        frame: whose genuine samples and thresholds are drawn.
        candidates: what was scored, in the colour of its verdict over all states; one too far off the axis is
            drawn at its edge, its value on hover, and beside it where candidates are few.
        what: what the samples are, such as "answers".
        unit: of the horizontal axis.
    """
    figure = make_subplots(
        rows=len(frame.states),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.3 / max(len(frame.states), 1),
        subplot_titles=[
            f"{len(sample)} genuine {what}: {_plain(state)}"
            for state, sample in zip(frame.states, frame.genuine_log_densities, strict=True)
        ],
    )
    low, high = _axis_range(frame, candidates)
    bins = np.linspace(low, high, N_BINS + 1)
    for row, (state, sample, threshold) in enumerate(
        zip(frame.states, frame.genuine_log_densities, frame.thresholds, strict=True), start=1
    ):
        counts = np.histogram(np.clip(sample, low, high), bins)[0]
        centres = (bins[:-1] + bins[1:]) / 2
        figure.add_bar(
            x=centres, y=counts, width=(high - low) / N_BINS * 0.94,
            marker_color=state_colour(row - 1), opacity=0.75, showlegend=False,
            hovertemplate=f"%{{y}} genuine {what} near %{{x:.1f}} nats<extra></extra>",
            row=row, col=1,
        )  # fmt: skip
        if np.isfinite(threshold):
            _add_threshold(figure, row, float(threshold), low, top=float(counts.max(initial=1)))
        _add_candidates(figure, row, candidates, state, (low, high), float(counts.max(initial=1)))
    figure.update_xaxes(range=[low, high])
    figure.update_xaxes(title_text=unit, row=len(frame.states), col=1)
    figure.update_yaxes(title_text="count", title_standoff=4, nticks=4)
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    return styled(figure, height_px=PANEL_HEIGHT_PX * len(frame.states) + 70)


def _add_threshold(figure: go.Figure, row: int, threshold: float, low: float, *, top: float) -> None:
    edge = max(low, threshold)
    figure.add_scatter(
        x=[low, edge, edge, low], y=[0, 0, 1.08 * top, 1.08 * top],
        fill="toself", fillcolor="rgba(213,94,0,0.10)", mode="none",
        hoverinfo="skip", showlegend=False, row=row, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=[edge, edge], y=[0, 1.08 * top], mode="lines",
        line={"color": OUTSIDE, "dash": "dash", "width": 2},
        hovertemplate=f"threshold {threshold:.2f} nats<extra></extra>", showlegend=False, row=row, col=1,
    )  # fmt: skip


def _add_candidates(
    figure: go.Figure,
    row: int,
    candidates: Sequence[Candidate],
    state: str,
    axis: tuple[float, float],
    top: float,
) -> None:
    low, high = axis
    edge = 0.012 * (high - low)  # half a marker, so that none is cut off
    for hallucinates, colour, symbol in ((False, INSIDE, "circle"), (True, OUTSIDE, "x")):
        scores = [
            (candidate.label, scored)
            for candidate in candidates
            for scored in candidate.verdict.states
            if scored.state == state and candidate.verdict.is_hallucination == hallucinates
        ]
        if not scores:
            continue
        figure.add_scatter(
            x=[float(np.clip(scored.log_density, low + edge, high - edge)) for _, scored in scores],
            y=[top * (0.9 - 0.5 * (index % 4) / 4) for index in range(len(scores))],
            mode="markers+text",
            marker={"color": colour, "symbol": symbol, "size": 12, "line": {"color": "white", "width": 1}},
            text=[
                _off_axis(scored.log_density) if scored.log_density < low and len(scores) <= N_VALUES_SHOWN else ""
                for _, scored in scores
            ],
            textposition="middle right",
            customdata=[f"{_plain(label)}<br>{scored.log_density:.1f} nats" for label, scored in scores],
            hovertemplate="%{customdata}<extra></extra>",
            showlegend=False,
            row=row, col=1,
        )  # fmt: skip


def _off_axis(value: float) -> str:
    return f"← {value:,.0f}".replace("-", "−")


def _axis_range(frame: HcdrFrame, candidates: Sequence[Candidate]) -> tuple[float, float]:
    """All genuine samples and thresholds, and candidates up to as far again below them."""
    genuine = np.concatenate(frame.genuine_log_densities)
    shown = np.concatenate([genuine, frame.thresholds[np.isfinite(frame.thresholds)]])
    bottom, top = np.quantile(shown, 0.005), shown.max()
    span = max(top - bottom, 1.0)
    scored = [state.log_density for candidate in candidates for state in candidate.verdict.states]
    finite = np.array([value for value in scored if np.isfinite(value)])
    low = min([bottom, *finite[finite > bottom - 1.5 * span]]) if len(finite) else bottom
    if len(finite) and finite.min() < bottom - 1.5 * span:
        low = bottom - 1.5 * span
    high = max([top, *finite[finite < top + 1.5 * span]]) if len(finite) else top
    return low - 0.06 * span, high + 0.06 * span


def _plain(text: str) -> str:
    """Text as plotly shows it letter by letter: plotly reads a few HTML tags in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
