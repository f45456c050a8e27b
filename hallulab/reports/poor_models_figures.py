"""The figures of models too poor to tell: n-grams by their window, separators of a circle."""

from collections.abc import Sequence

import plotly.graph_objects as go

from hallulab.experiments.poor_models import PoorModels
from hallulab.reports.charts import Chart, Series, chart_figure
from hallulab.reports.figures import INSIDE, OUTSIDE, STATE_COLOURS
from hallulab.theory.poor_ngrams import WindowPoint


def windows_chart(found: PoorModels) -> Chart:
    """n-grams by how many words they see: the least error of any, and Theorem 3."""
    return Chart(
        title="A short window must guess; a longer one need not",
        caption=(
            "“She … out of” must go on with “her mind”, “He … out of” with “his mind”. Least error of any table of "
            "probabilities, over all n-grams that see n − 1 words. In the paper's sentence the pronoun is 8 "
            "words back, in the others 4 to 7. Theorem 3 is met exactly."
        ),
        series=(
            *_windows("paper's two prompts", found.corollary_2, OUTSIDE, STATE_COLOURS[3]),
            *_windows("pronoun at four distances", found.windows, STATE_COLOURS[0], STATE_COLOURS[2]),
        ),
        x_title="n of the n-gram (3: trigram)",
        y_title="error rate",
        y_range=(-0.02, 0.62),
    )


def circle_chart(found: PoorModels) -> Chart:
    """The linear separator on the circle, and the family that fixes it."""
    names = [point.family for point in found.circle]
    return Chart(
        title="A straight line cannot cut out a circle",
        caption=(
            f"Which of {found.settings.circle.n_choices} points lies inside the circle? A linear score cannot say, and "
            "Theorem 3 turns its judging error into generated errors; a score that also sees the distance from the "
            "middle can. opt is the least over every model and threshold of the family; a whisker, where there is one, "
            "shows between which numbers it lies."
        ),
        series=(
            Series("least error rate, of a grid", names, [p.least_err for p in found.circle], OUTSIDE, "bar"),
            Series("Theorem 3: at least", names, [p.bound for p in found.circle], STATE_COLOURS[0], "bar"),
            Series(
                "opt: least judging error", names, [p.opt_high for p in found.circle], INSIDE, "bar",
                [p.opt_low for p in found.circle], [p.opt_high for p in found.circle],
            ),
        ),
        x_title="",
        y_title="share",
        y_range=(0, 1.0),
        x_names=names,
    )  # fmt: skip


def windows_figure(found: PoorModels) -> go.Figure:
    """`windows_chart` for a page."""
    return chart_figure(windows_chart(found))


def circle_figure(found: PoorModels) -> go.Figure:
    """`circle_chart` for a page."""
    return chart_figure(circle_chart(found))


def _windows(
    name: str, points: Sequence[WindowPoint], colour: str, bound_colour: str
) -> tuple[Series, Series]:
    orders = [float(point.order) for point in points]
    return (
        Series(name, orders, [point.least_err for point in points], colour, "line"),
        Series(f"{name}: Theorem 3", orders, [point.bound for point in points], bound_colour, "point"),
    )
