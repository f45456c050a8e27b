"""Charts described once and drawn twice: by plotly for the page, by matplotlib for paper and slides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hallulab.reports.figures import NEUTRAL, styled
from hallulab.reports.page import PageFigure
from hallulab.reports.stills import STYLE, still_file

Mark = Literal["line", "dashed", "dotted", "point", "tick", "up", "down", "bar"]
SIGNS = {
    "point": ("circle", "o"),
    "tick": ("line-ew", "_"),
    "up": ("triangle-up", "^"),
    "down": ("triangle-down", "v"),
}
"""of marks without a line: plotly's and matplotlib's"""
DASHES = {"line": ("solid", "-"), "dashed": ("dash", "--"), "dotted": ("dot", ":")}
HEIGHT_PX, PX_PER_IN, WIDTH_IN = 440, 92.0, 6.6


@dataclass(frozen=True)
class Series:
    """One thing drawn across a chart; a missing value leaves its place empty."""

    name: str
    x: Sequence[float] | Sequence[str]
    y: Sequence[float | None]
    colour: str
    mark: Mark = "line"
    low: Sequence[float | None] | None = None
    """of an interval around each value, drawn as whiskers"""
    high: Sequence[float | None] | None = None
    is_band: bool = False
    """whether the interval is a band along a line, rather than whiskers"""
    is_listed: bool = True
    """whether the legend names it; of several series with one name and colour, one is enough"""


@dataclass(frozen=True)
class Chart:
    """Series over one pair of axes; where x are names, they are places in the order of `x_names`."""

    title: str
    caption: str
    series: Sequence[Series]
    x_title: str
    y_title: str
    y_range: tuple[float, float]
    """what lies beyond is cut off; the caption says what that means"""
    x_names: Sequence[str] = ()
    is_log_x: bool = False
    x_ticks: Sequence[tuple[float, str]] = ()
    """places on a numeric x that are named, instead of round numbers"""
    marked_x: float | None = None
    """a place on x that is marked by a line"""
    marked_name: str = ""


def chart_figure(chart: Chart) -> go.Figure:
    """The chart as plotly draws it, readable on white and on near-black."""
    figure = go.Figure()
    bars = [series for series in chart.series if series.mark == "bar"]
    for series in chart.series:
        y = _numbers(series.y)
        about = f"{series.name}<br>%{{x}}: %{{y:.4g}}<extra></extra>"
        common: dict[str, Any] = {
            "name": series.name, "x": list(series.x), "y": y, "hovertemplate": about,
            "legendgroup": series.name, "showlegend": series.is_listed,
        }  # fmt: skip
        if series.low is not None and series.high is not None and series.is_band:
            _add_band(figure, series)
        elif series.low is not None and series.high is not None:
            common["error_y"] = {
                "array": _numbers(series.high) - y, "arrayminus": y - _numbers(series.low),
                "color": series.colour, "thickness": 1.4, "width": 4,
            }  # fmt: skip
        if series.mark == "bar":
            figure.add_bar(**common, marker_color=series.colour, opacity=0.85)
        elif series.mark in DASHES:
            line = {"color": series.colour, "dash": DASHES[series.mark][0], "width": 2}
            figure.add_scatter(**common, mode="lines", line=line)
        else:
            is_tick = series.mark == "tick"
            marker = {
                "color": series.colour, "symbol": SIGNS[series.mark][0],
                "size": 22 if is_tick else 9 if series.mark == "point" else 11,
            }  # fmt: skip
            marker["line"] = {"color": series.colour, "width": 3 if is_tick else 0}
            figure.add_scatter(**common, mode="markers", marker=marker)
    if chart.marked_x is not None:
        figure.add_vline(chart.marked_x, line={"color": NEUTRAL, "dash": "dot", "width": 1})
        where = float(np.log10(chart.marked_x)) if chart.is_log_x else chart.marked_x
        is_left = where <= _middle_x(chart)
        figure.add_annotation(
            x=where, y=1, yref="paper", text=chart.marked_name, showarrow=False,
            xanchor="left" if is_left else "right", yanchor="top",
        )  # fmt: skip
    figure.update_xaxes(title_text=chart.x_title, type="log" if chart.is_log_x else None)
    if chart.x_ticks:
        places, names = zip(*chart.x_ticks, strict=True)
        figure.update_xaxes(tickvals=list(places), ticktext=list(names))
    if chart.x_names:
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(chart.x_names))
        figure.update_xaxes(range=[-0.5, len(chart.x_names) - 0.5])
    figure.update_yaxes(title_text=chart.y_title, range=list(chart.y_range), exponentformat="none")
    styled(figure, height_px=HEIGHT_PX)
    figure.update_layout(
        barmode="group" if bars else None,
        margin={"l": 56, "r": 12, "t": 12, "b": 112},
        legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0},
    )
    return figure


def _middle_x(chart: Chart) -> float:
    """Half-way along a numeric x, in decades where it is logarithmic."""
    places = np.array([x for series in chart.series for x in series.x], dtype=float)
    shown = np.log10(places[places > 0]) if chart.is_log_x else places
    return float(shown.min() + shown.max()) / 2


def _add_band(figure: go.Figure, series: Series) -> None:
    """The interval as a pale area that goes on and off with its line."""
    assert series.low is not None  # the caller looked
    assert series.high is not None
    places = [*series.x, *reversed(series.x)]
    edge = [*_numbers(series.high), *_numbers(series.low)[::-1]]
    red, green, blue = (int(series.colour[place : place + 2], 16) for place in (1, 3, 5))
    figure.add_scatter(
        x=places, y=edge, fill="toself", fillcolor=f"rgba({red},{green},{blue},0.16)", mode="none", hoverinfo="skip",
        legendgroup=series.name, showlegend=False,
    )  # fmt: skip


def chart_svg(charts: Chart | Sequence[Chart]) -> bytes:
    """One chart, or several beside each other, as an SVG file, the same bytes every time."""
    return _file(charts, "svg")


def chart_png(charts: Chart | Sequence[Chart]) -> bytes:
    """The same as a PNG file."""
    return _file(charts, "png")


def page_figure(chart: Chart) -> PageFigure:
    """The chart for a report page: live, and as a still."""
    return PageFigure(chart.title, chart_figure(chart), chart_svg(chart), chart.caption)


def _file(charts: Chart | Sequence[Chart], kind: Literal["png", "svg"]) -> bytes:
    chosen = [charts] if isinstance(charts, Chart) else list(charts)
    n_columns = min(2, len(chosen))
    n_rows = -(-len(chosen) // n_columns)
    with mpl.rc_context(STYLE):
        size = (WIDTH_IN * n_columns, HEIGHT_PX / PX_PER_IN * n_rows)
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, chart in zip(grid.flat, chosen, strict=False):
            _draw(axes, chart, has_title=len(chosen) > 1)
    return still_file(figure, kind)


def _draw(axes: Axes, chart: Chart, *, has_title: bool) -> None:
    axes.set_axis_on()
    bars = [series for series in chart.series if series.mark == "bar"]
    for series in chart.series:
        x = _places(chart, series)
        if series.mark == "bar":
            width = 0.8 / len(bars)
            x = x + width * (bars.index(series) - (len(bars) - 1) / 2)
        _draw_series(axes, series, x, bar_width=0.8 / max(1, len(bars)))
    if chart.is_log_x:
        axes.set_xscale("log")
    if chart.x_ticks:
        places, names = zip(*chart.x_ticks, strict=True)
        axes.set_xticks(places, names)
        axes.minorticks_off()
    if chart.x_names:
        axes.set_xticks(range(len(chart.x_names)), list(chart.x_names))
        axes.set_xlim(-0.6, len(chart.x_names) - 0.4)
    if chart.marked_x is not None:
        axes.axvline(chart.marked_x, color=NEUTRAL, linestyle=":", linewidth=1)
        axes.annotate(
            f" {chart.marked_name}", (chart.marked_x, 0.99), xycoords=("data", "axes fraction"),
            va="top", fontsize=8, color=NEUTRAL,
        )  # fmt: skip
    axes.set(xlabel=chart.x_title, ylabel=chart.y_title, ylim=chart.y_range)
    if has_title:
        axes.set_title(chart.title, fontsize=10, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, borderpad=0)


def _draw_series(axes: Axes, series: Series, x: np.ndarray, *, bar_width: float) -> None:
    y = _numbers(series.y)
    name = series.name if series.is_listed else None
    if series.low is not None and series.high is not None and series.is_band:
        low, high = _numbers(series.low), _numbers(series.high)
        axes.fill_between(x, low, high, color=series.colour, alpha=0.16, linewidth=0)
    elif series.low is not None and series.high is not None:
        axes.vlines(x, _numbers(series.low), _numbers(series.high), color=series.colour, linewidth=1.3)
    if series.mark == "bar":
        axes.bar(x, y, bar_width, color=series.colour, alpha=0.85, label=name)
    elif series.mark in DASHES:
        axes.plot(x, y, color=series.colour, linestyle=DASHES[series.mark][1], linewidth=1.8, label=name)
    elif series.mark == "tick":
        axes.plot(x, y, "_", color=series.colour, markersize=16, markeredgewidth=2.4, label=name)
    else:
        axes.plot(x, y, SIGNS[series.mark][1], color=series.colour, markersize=6, label=name)


def _places(chart: Chart, series: Series) -> np.ndarray:
    if chart.x_names:
        names = list(chart.x_names)
        return np.array([names.index(str(name)) for name in series.x], dtype=float)
    return np.asarray(series.x, dtype=float)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
