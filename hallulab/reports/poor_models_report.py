"""The report's part on models too poor to tell: Corollary 2 and Theorem 3 in words and numbers."""

from collections.abc import Sequence

from hallulab.experiments.poor_models import PoorModels
from hallulab.reports.charts import Chart, page_figure
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import PageSection, PageTable
from hallulab.reports.poor_models_figures import circle_chart, windows_chart
from hallulab.theory.circle_separator import FamilyPoint
from hallulab.theory.poor_ngrams import WindowPoint


def poor_charts(poor: PoorModels | None) -> list[Chart]:
    """The figures of the poor models."""
    return [windows_chart(poor), circle_chart(poor)] if poor else []


def poor_headline(poor: PoorModels) -> str:
    """What a trigram cannot do, in one line."""
    trigram = _of_order(poor.corollary_2, 3)
    fixed = next((point.order for point in poor.corollary_2 if point.least_err == 0), None)
    until = "" if fixed is None else f"; a window of {fixed - 1} words fixes it"
    return f"Every trigram errs in at least {percent(trigram.least_err)} of the paper's example{until}."


def poor_sentences(poor: PoorModels) -> list[str]:
    """What the enumerations found."""
    trigram = _of_order(poor.corollary_2, 3)
    said = []
    if trigram.least_err_on_grid is not None:
        said.append(
            f"The least error rate of {trigram.n_tables} tables of probabilities is "
            f"{decimal(trigram.least_err_on_grid, 4)}; the proof gives {decimal(trigram.least_err, 4)} for all, and "
            f"Theorem 3 at least {decimal(trigram.bound, 4)}."
        )
    fixed = next(
        (place for place, point in enumerate(poor.windows) if point.least_err == 0), len(poor.windows)
    )
    steps = " → ".join(f"{point.least_err:g}" for point in poor.windows[3 : fixed + 1])
    said.append(
        f"With the pronoun at four distances the least error falls as the window grows from n = 4: {steps}."
    )
    linear, richer = poor.circle
    said.append(
        f"A linear score of the plane cannot tell inside from outside of a circle: {opt_words(linear)} over every "
        f"direction, sharpness and threshold, so by Theorem 3 every such model errs in at least "
        f"{percent(linear.bound)} of its answers; the best of {linear.n_models:,} tried errs in "
        f"{percent(linear.least_err)}. With the distance from the middle as well: {percent(richer.least_err)}."
    )
    return said


def opt_words(point: FamilyPoint) -> str:
    """What is known of opt(G), the least judging error of a family."""
    if point.is_exact:
        return f"opt(G) is {decimal(point.opt_high)} exactly"
    return f"opt(G) lies between {decimal(point.opt_low)} and {decimal(point.opt_high)}"


def opt_text(point: FamilyPoint) -> str:
    """The same for a table."""
    if point.is_exact:
        return decimal(point.opt_high, 4)
    return f"{decimal(point.opt_low, 4)} to {decimal(point.opt_high, 4)}"


def poor_section(poor: PoorModels) -> PageSection:
    return PageSection(
        "Poor models: errors that no data can cure",
        (
            "A model that cannot tell two prompts apart must give both the same answers. Everything is enumerated, "
            "nothing sampled but the points on the plane.",
        ),
        [page_figure(chart) for chart in poor_charts(poor)],
        [
            _window_table("The two prompts of Corollary 2", poor.corollary_2),
            _window_table("The pronoun at four distances", poor.windows),
            PageTable(
                "Which point lies inside the circle?",
                ("score", "models tried", "least error rate of these", "opt", "Theorem 3, at least", "least slack"),
                [
                    (
                        point.family, f"{point.n_models:,}", decimal(point.least_err, 4), opt_text(point),
                        decimal(point.bound, 4), decimal(point.least_slack, 4),
                    )
                    for point in poor.circle
                ],
                note=(
                    "opt: least judging error over every model and threshold of the family, tried or not (branch and "
                    "bound); two numbers where it is only known to lie between them. Theorem 3 is taken from the lower "
                    "one, so it holds for the whole family. Least slack: error rate minus the theorem's value for that "
                    "model, over the models tried; below 0 it would be broken."
                ),
            ),
        ],
    )  # fmt: skip


def _window_table(title: str, points: Sequence[WindowPoint]) -> PageTable:
    return PageTable(
        title,
        ("n", "told apart", "least error rate", "over tables", "tables", "opt", "opt over tables", "Theorem 3 ≥"),
        [
            (
                str(point.order), str(point.n_contexts), decimal(point.least_err, 4),
                decimal(point.least_err_on_grid, 4), MISSING if point.n_tables is None else f"{point.n_tables:,}",
                decimal(point.opt, 4), decimal(point.opt_on_grid, 4), decimal(point.bound, 4),
            )
            for point in points
        ],
        note="A dash: too many tables to try; the value by the proof stands beside it.",
    )  # fmt: skip


def _of_order(points: Sequence[WindowPoint], order: int) -> WindowPoint:
    return next(point for point in points if point.order == order)
