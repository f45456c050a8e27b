"""Charts drawn twice from one description."""

import pytest

from hallulab.reports.charts import Chart, Series, chart_figure, chart_png, chart_svg, page_figure

NAMED = Chart(
    title="named", caption="", x_title="", y_title="share", y_range=(0, 1), x_names=("a", "b", "c"),
    series=(
        Series("dots", ["a", "c"], [0.2, None], "#0072B2", "point", low=[0.1, None], high=[0.4, None]),
        Series("bars", ["a", "b"], [0.3, 0.5], "#D55E00", "bar"),
        Series("ticks", ["b"], [0.9], "#009E73", "tick"),
    ),
)  # fmt: skip
CURVES = Chart(
    title="curves", caption="", x_title="N", y_title="share", y_range=(0, 1), is_log_x=True, marked_x=100,
    marked_name="here", series=(Series("line", [10, 1_000], [0.5, 0.25], "#0072B2"),),
)  # fmt: skip


def test_plotly_draws_every_value_and_whisker():
    figure = chart_figure(NAMED)
    dots, bars, ticks = figure.data
    assert list(dots.x) == ["a", "c"]
    assert dots.error_y.array[0] == pytest.approx(0.2)
    assert dots.error_y.arrayminus[0] == pytest.approx(0.1)
    assert (bars.type, ticks.marker.symbol) == ("bar", "line-ew")
    assert list(figure.layout.xaxis.categoryarray) == ["a", "b", "c"]
    curves = chart_figure(CURVES)
    assert curves.layout.xaxis.type == "log"
    assert curves.layout.annotations[0].x == 2  # plotly places annotations by the logarithm


@pytest.mark.parametrize("charts", [NAMED, CURVES, (NAMED, CURVES)])
def test_stills_are_the_same_every_time(charts):
    assert chart_svg(charts) == chart_svg(charts)
    assert chart_png(charts).startswith(b"\x89PNG")
    text = chart_svg(charts).decode()
    for chart in (charts,) if isinstance(charts, Chart) else charts:
        for series in chart.series:
            assert f">{series.name}<" in text


def test_a_page_gets_both():
    figure = page_figure(CURVES)
    assert figure.title == "curves"
    assert b"<svg" in figure.still_svg
