import numpy as np

from hallulab.experiments.bounds_audit import BOUND_TITLES, audit_theorem, setting_of, tightness_grid
from hallulab.reports.bounds_figures import audit_figure, tightness_figure


def dots(figure) -> dict[str, float]:
    return {trace.y[0]: trace.x[0] for trace in figure.data}


def test_every_bound_with_a_value_is_a_dot_where_it_is():
    audit = audit_theorem(setting_of("gaussian", 3, 0.1), n_draws=5000)
    found = dots(audit_figure(audit))
    assert found["measured"] == audit.measured.rate
    for bound in (audit.paper, *audit.proved):
        assert (BOUND_TITLES[bound.name] in found) == (bound.value is not None)
        if bound.value is not None:
            assert found[BOUND_TITLES[bound.name]] == bound.value


def test_silence_is_said_not_drawn():
    audit = audit_theorem(setting_of("gaussian", 2, 0.9), n_draws=5000)
    figure = audit_figure(audit)
    said = {note.y: note.text for note in figure.layout.annotations}
    assert said["the paper's product"] == "silent here"
    assert said["union bound"] == "says nothing here"
    assert "the paper's product" not in dots(figure)


def test_a_rate_of_zero_has_no_place_on_a_logarithmic_axis():
    audit = audit_theorem(setting_of("two_point", 2, 3.0), n_draws=500)
    assert audit.measured.n_hits == 0
    assert dots(audit_figure(audit)) == {}


def test_a_product_below_every_axis_stands_at_the_edge():
    figure = audit_figure(audit_theorem(setting_of("laplace", 50, 0.3), n_draws=2000))
    low = figure.layout.xaxis.range[0]
    assert dots(figure)["the paper's product"] == 10**low


def test_the_grid_has_a_panel_for_each_law_and_n_and_gaps_for_silence():
    points = list(tightness_grid(("gaussian", "uniform"), (2, 3), (0.05, 0.9), n_draws=3000))
    figure = tightness_figure(points)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["N = 2", "N = 3", "Gaussian", "uniform"]
    papers = [trace for trace in figure.data if trace.name == "the paper's product"]
    assert len(papers) == 4
    assert sum(trace.showlegend for trace in papers) == 1
    for trace in papers:
        assert trace.y[0] > 0
        assert np.isnan(trace.y[1])
