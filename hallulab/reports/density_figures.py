"""The mixture explorer's figure: densities, the regions they make, the best estimate among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, faint, state_colour, styled
from hallulab.theory.gaussians import GaussianMixture

N_CURVE_POINTS = 321
N_GRID_POINTS = 81
"""per axis of the plane"""
N_RIM_POINTS = 73
"""of an ellipse"""
BEYOND = 3.4
"""standard deviations beyond the outermost means that a view holds"""
HEIGHT_PX = 460
STRIP_ROWS = {"HDR": 0.0, "HCDR": 1.0}
"""where each kind of region lies in the strip under the curves"""

Range = tuple[float, float]


@dataclass(frozen=True)
class View:
    """What the axes show; it stays while a mean is dragged."""

    x: Range
    y: Range | None = None
    """None in one dimension, where densities decide"""


@dataclass(frozen=True)
class ShownPoint:
    """A point on the figure with its verdict."""

    position: tuple[float, ...]
    is_hallucination: bool
    label: str


@dataclass(frozen=True)
class ShownRegions:
    """What the regions of a mixture need to be drawn."""

    hcdr_log_deltas: NDArray[np.float64]
    """log δ_i, shape (n_states,)"""
    hdr_log_delta: float
    """of the one threshold on the marginal"""
    hdr_intervals: tuple[Range, ...] | None = None
    """in one dimension"""


def view_of(mixture: GaussianMixture) -> View:
    """The smallest comfortable view of a mixture in one or two dimensions."""
    spreads = np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2))
    lows = (mixture.means - BEYOND * spreads).min(axis=0)
    highs = (mixture.means + BEYOND * spreads).max(axis=0)
    ranges = [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
    return View(*ranges)


def explorer_figure(
    mixture: GaussianMixture,
    regions: ShownRegions,
    best: ShownPoint,
    *,
    epsilon: float,
    view: View,
    point: ShownPoint | None = None,
) -> go.Figure:
    """The mixture, its regions, A* with its ε-ball, and a point that the visitor chose.

    Args:
        mixture: of one or two dimensions.
        regions: their thresholds.
        best: A*.
        epsilon: radius of the ball around A*; 0 draws none.
        view: what the axes show.
        point: None when none was chosen.
    """
    draw = _line_figure if mixture.n_dimensions == 1 else _plane_figure
    figure = draw(mixture, regions, best, epsilon, view)
    if point is not None:
        _add_point(figure, point)
    styled(figure, height_px=HEIGHT_PX)
    legend = {"y": -0.1, "yanchor": "top", "itemsizing": "constant", "font": {"size": 12}, "itemclick": False,
              "itemdoubleclick": False}  # fmt: skip
    return figure.update_layout(
        legend=legend, margin={"t": 26, "l": 46, "r": 10, "b": 36}, uirevision="density", hovermode="closest"
    )


# One dimension


def _line_figure(
    mixture: GaussianMixture, regions: ShownRegions, best: ShownPoint, epsilon: float, view: View
) -> go.Figure:
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.84, 0.16], vertical_spacing=0.055
    )
    # every mean is a point of the curve, so that no peak is cut off
    grid = np.unique(np.concatenate([np.linspace(*view.x, N_CURVE_POINTS), mixture.means[:, 0]]))
    log_densities = mixture.log_densities(grid[:, None])
    marginal = np.exp(mixture.marginal_of(log_densities))
    top = 1.22 * float(max(np.exp(log_densities).max(), marginal.max()))
    if epsilon > 0:
        low, high = best.position[0] - epsilon, best.position[0] + epsilon
        figure.add_scatter(
            x=[low, high, high, low], y=[0, 0, top, top], fill="toself", mode="none", hoverinfo="skip",
            fillcolor=faint(_tone(best), 0.2), name="within ε of A*", row=1, col=1,
        )  # fmt: skip
    for state in range(mixture.n_states):
        _add_state_curve(figure, mixture, state, grid, regions)
    figure.add_scatter(
        x=grid, y=marginal, mode="lines", line={"color": NEUTRAL, "width": 3}, name="all answers (marginal)",
        hovertemplate="marginal density %{y:.4f}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    for low, high in regions.hdr_intervals or ():
        _add_strip(figure, "HDR", low, high, NEUTRAL, "HDR: one threshold on the marginal")
    _add_best_line(figure, best, top)
    figure.update_xaxes(range=list(view.x))
    figure.update_yaxes(range=[0, top], title_text="density", title_standoff=4, nticks=5, row=1, col=1)
    figure.update_yaxes(
        range=[-0.6, 1.6], tickvals=list(STRIP_ROWS.values()), ticktext=list(STRIP_ROWS), showgrid=False,
        row=2, col=1,
    )  # fmt: skip
    return figure


def _add_state_curve(
    figure: go.Figure, mixture: GaussianMixture, state: int, grid: NDArray, regions: ShownRegions
) -> None:
    colour, name = state_colour(state), f"state {state + 1}"
    density = np.exp(mixture.log_densities(grid[:, None])[:, state])
    figure.add_scatter(
        x=grid, y=density, mode="lines", line={"color": colour, "width": 2}, showlegend=False,
        hovertemplate=f"density under {name} %{{y:.4f}}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    interval = state_interval(mixture, state, float(regions.hcdr_log_deltas[state]))
    if interval is None:  # the key is drawn all the same, so that no state goes missing
        _add_key(figure, colour, f"{name}: nothing is plausible")
        return
    inner = np.concatenate([[interval[0]], grid[(grid > interval[0]) & (grid < interval[1])], [interval[1]]])
    height = np.exp(mixture.log_densities(inner[:, None])[:, state])
    figure.add_scatter(
        x=[inner[0], *inner, inner[-1]], y=[0, *height, 0], mode="none", fill="toself",
        fillcolor=faint(colour, 0.34), name=f"plausible under {name}", hoverinfo="skip", row=1, col=1,
    )  # fmt: skip
    _add_strip(figure, "HCDR", *interval, colour, f"plausible under {name}")


def _add_strip(figure: go.Figure, row: str, low: float, high: float, colour: str, what: str) -> None:
    middle = STRIP_ROWS[row]
    figure.add_scatter(
        x=[low, high, high, low], y=[middle - 0.3, middle - 0.3, middle + 0.3, middle + 0.3], fill="toself",
        mode="none", fillcolor=faint(colour, 0.62), showlegend=False, hoveron="fills",
        text=f"{what}<br>from {low:.3f} to {high:.3f}", hoverinfo="text", row=2, col=1,
    )  # fmt: skip


def _add_best_line(figure: go.Figure, best: ShownPoint, top: float) -> None:
    at, tone = best.position[0], _tone(best)
    for row, height in ((1, top), (2, 1.6)):
        figure.add_scatter(
            x=[at, at], y=[0 if row == 1 else -0.6, height], mode="lines", line={"color": tone, "width": 2.5},
            hovertemplate=f"A* = {at:.4g}<extra></extra>", showlegend=False, row=row, col=1,
        )  # fmt: skip
    _add_label(figure, best, (at, top), yanchor="bottom")


# Two dimensions


def _plane_figure(
    mixture: GaussianMixture, regions: ShownRegions, best: ShownPoint, epsilon: float, view: View
) -> go.Figure:
    figure = go.Figure()
    assert view.y is not None
    # the axes may show more than the view, to keep circles round
    x, y = (np.linspace(*_widened(side), N_GRID_POINTS) for side in (view.x, view.y))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    log_marginal = mixture.log_marginal(points).reshape(len(y), len(x))
    figure.add_heatmap(
        x=x, y=y, z=np.exp(log_marginal).astype(np.float32), showscale=False, zsmooth="fast", hoverinfo="skip",
        colorscale=[[0, "rgba(128,135,145,0)"], [1, "rgba(128,135,145,0.6)"]],
    )  # fmt: skip
    for state in range(mixture.n_states):
        _add_ellipse(figure, mixture, state, float(regions.hcdr_log_deltas[state]))
    level = regions.hdr_log_delta
    figure.add_contour(
        x=x, y=y, z=log_marginal.astype(np.float32), showscale=False, hoverinfo="skip", showlegend=False,
        contours={"start": level, "end": level, "size": 1, "coloring": "none"},
        line={"color": NEUTRAL, "width": 2, "dash": "dash"},
    )  # fmt: skip
    figure.add_scatter(
        x=[None], y=[None], mode="lines", line={"color": NEUTRAL, "width": 2, "dash": "dash"},
        name="HDR: one threshold on the marginal",
    )  # fmt: skip
    turn = np.linspace(0, 2 * np.pi, N_RIM_POINTS)
    tone = _tone(best)
    if epsilon > 0:
        figure.add_scatter(
            x=best.position[0] + epsilon * np.cos(turn), y=best.position[1] + epsilon * np.sin(turn),
            mode="lines", line={"color": tone, "width": 1.5}, fill="toself", fillcolor=faint(tone, 0.16),
            name="within ε of A*", hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=[best.position[0]], y=[best.position[1]], mode="markers", showlegend=False,
        marker={"symbol": "x", "size": 13, "color": tone, "line": {"color": "white", "width": 1}},
        hovertemplate="A* = (%{x:.3f}, %{y:.3f})<extra></extra>",
    )  # fmt: skip
    _add_label(figure, best, best.position, yanchor="bottom", yshift=11)
    figure.update_xaxes(range=list(view.x))
    return figure.update_yaxes(range=list(view.y), scaleanchor="x")


def _add_ellipse(figure: go.Figure, mixture: GaussianMixture, state: int, log_delta: float) -> None:
    colour, name = state_colour(state), f"state {state + 1}"
    height = float(mixture.log_peaks[state]) - log_delta
    if height <= 0:
        _add_key(figure, colour, f"{name}: nothing is plausible")
        return
    turn = np.linspace(0, 2 * np.pi, N_RIM_POINTS)
    circle = np.sqrt(2 * height) * np.stack([np.cos(turn), np.sin(turn)])
    rim = mixture.means[state][:, None] + mixture.cholesky_factors[state] @ circle
    figure.add_scatter(
        x=rim[0], y=rim[1], mode="lines", line={"color": colour, "width": 2}, fill="toself",
        fillcolor=faint(colour, 0.26), name=f"plausible under {name}", hoverinfo="skip",
    )  # fmt: skip


def _widened(side: Range) -> Range:
    more = 0.75 * (side[1] - side[0])
    return side[0] - more, side[1] + more


# Shared


def state_interval(mixture: GaussianMixture, state: int, log_delta: float) -> Range | None:
    """U_i^δ of a state in one dimension; None where its density exceeds δ nowhere."""
    height = float(mixture.log_peaks[state]) - log_delta
    if height <= 0:
        return None
    reach = float(np.sqrt(2 * height * mixture.covariances[state, 0, 0]))
    return float(mixture.means[state, 0]) - reach, float(mixture.means[state, 0]) + reach


def _add_label(figure: go.Figure, best: ShownPoint, at: Sequence[float], **placed: object) -> None:
    figure.add_annotation(
        x=at[0], y=at[1], text=f"<b>{best.label}</b>", showarrow=False, font={"color": "white", "size": 12},
        bgcolor=_dark(best), borderpad=3, **placed,
    )  # fmt: skip


def _add_point(figure: go.Figure, point: ShownPoint) -> None:
    one = len(point.position) == 1
    figure.add_scatter(
        x=[point.position[0]], y=[0.0 if one else point.position[1]], mode="markers", showlegend=False,
        marker={"symbol": "diamond", "size": 14, "color": _tone(point), "line": {"color": "white", "width": 1.5}},
        hovertemplate=f"{point.label}<extra></extra>", cliponaxis=False,
    )  # fmt: skip
    if one:
        figure.add_shape(
            type="line", x0=point.position[0], x1=point.position[0], y0=0, y1=1, xref="x", yref="y domain",
            line={"color": _tone(point), "width": 1.5, "dash": "dot"},
        )  # fmt: skip


def _add_key(figure: go.Figure, colour: str, name: str) -> None:
    figure.add_scatter(
        x=[None], y=[None], mode="markers", marker={"symbol": "square-open", "color": colour}, name=name
    )


def _tone(point: ShownPoint) -> str:
    return OUTSIDE if point.is_hallucination else INSIDE


def _dark(point: ShownPoint) -> str:
    """The tone as white letters need it."""
    return "#ae4d00" if point.is_hallucination else "#00785a"
