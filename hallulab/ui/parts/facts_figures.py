"""The figures of the Facts tab: bounds and measurement by training size, one fact's dates."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from hallulab.data.birthdays import MONTHS
from hallulab.experiments.facts_measure import FactCard
from hallulab.experiments.facts_run import FactsSettings, LearnerPoint, SizePoint, WorldPoint
from hallulab.experiments.facts_summary import FactsResult
from hallulab.reports.charts import Series, chart_figure
from hallulab.reports.facts_figures import LEARNER_TITLES, sizes_chart
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, styled


def curve_figure(
    settings: FactsSettings, world: WorldPoint, curve: Sequence[SizePoint], point: LearnerPoint | None
) -> go.Figure:
    """The memoriser between its bounds as training grows, with the chosen learner at this N."""
    chart = sizes_chart(FactsResult(settings, (world, *curve)))
    if point is not None:
        name = LEARNER_TITLES[point.learner]
        here = Series(f"{name}, at this N", [world.n_samples], [point.err], OUTSIDE, "point")
        chart = replace(chart, series=(*chart.series, here), marked_name=f"N = {world.n_samples:,}")
    figure = chart_figure(chart)
    figure.update_traces(name="memoriser, measured", selector={"name": "error rate, measured"})
    figure.update_traces(
        marker_size=13, marker_line={"color": "white", "width": 2}, selector={"mode": "markers"}
    )
    figure.update_xaxes(title_text="N: training sentences", dtick=1)
    figure.update_yaxes(title_text="wrong answers", tickformat=".0%")
    return figure.update_layout(height=400)


def dates_figure(fact: FactCard, distribution: NDArray[np.float64]) -> go.Figure:
    """What a learner says to one person, date by date, without “I do not know”.

    Args:
        fact: whose right answer is marked.
        distribution: p̂ over `fact.answers`, IDK last, shape (n_answers,).
    """
    dates, said = fact.answers[:-1], distribution[:-1]
    right = fact.right_answer
    colours = [INSIDE if place == right else OUTSIDE for place in range(len(dates))]
    figure = go.Figure()
    figure.add_bar(
        x=list(range(len(dates))), y=said.tolist(), marker_color=colours, marker_line_width=0, text=list(dates),
        textposition="none", hovertemplate="%{text}: %{y:.2%}<extra></extra>",
    )  # fmt: skip
    figure.add_annotation(
        x=right, y=float(said[right]), text=f"right: {dates[right]}, {said[right]:.1%}", showarrow=True, arrowhead=0,
        ax=0, ay=-26, arrowcolor=NEUTRAL,
    )  # fmt: skip
    top = max(float(said.max()), 1e-3)
    figure.update_yaxes(
        range=[0, 1.3 * top], tickformat=".1%" if top < 0.05 else ".0%", title_text="says this date"
    )
    if len(dates) == sum(MONTHS.values()):
        starts = np.cumsum([0, *MONTHS.values()])[:-1]
        figure.update_xaxes(tickvals=(starts + 15).tolist(), ticktext=[month[:3] for month in MONTHS])
    figure.update_xaxes(showgrid=False, range=[-1, len(dates)])
    return styled(figure, height_px=230).update_layout(bargap=0.1, margin={"l": 62, "t": 16, "b": 34})
