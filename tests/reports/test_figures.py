import numpy as np

from hallulab.densities.hcdr import HcdrFrame
from hallulab.reports.figures import INSIDE, OUTSIDE, Candidate, density_histograms

RNG = np.random.default_rng(0)
FRAME = HcdrFrame(("cat", "<b>dog</b>"), (RNG.normal(-10, 1, 300), RNG.normal(-12, 1, 100)))


def candidates(*rows: tuple[float, float]) -> list[Candidate]:
    verdicts = FRAME.decide(rows)
    return [Candidate(f"image {index}", verdict) for index, verdict in enumerate(verdicts)]


def traces(figure, kind, mode=None):
    return [trace for trace in figure.data if trace.type == kind and (mode is None or trace.mode == mode)]


def test_every_genuine_sample_is_counted_once():
    figure = density_histograms(FRAME, [], what="images")
    assert [int(sum(bar.y)) for bar in traces(figure, "bar")] == [300, 100]


def test_thresholds_stand_where_the_frame_has_them():
    figure = density_histograms(FRAME.with_mass(0.8), [], what="images")
    lines = traces(figure, "scatter", "lines")
    np.testing.assert_allclose([line.x[0] for line in lines], FRAME.with_mass(0.8).thresholds)


def test_candidates_carry_their_verdict_in_colour_and_symbol():
    # the first is inside the cats' region, so it is no hallucination among the dogs either
    figure = density_histograms(FRAME, candidates((-10, -30), (-40, -50)), what="images")
    drawn = [(m.marker.color, m.marker.symbol, len(m.x)) for m in traces(figure, "scatter", "markers+text")]
    assert drawn == [(INSIDE, "circle", 1), (OUTSIDE, "x", 1)] * 2
    assert float(traces(figure, "scatter", "markers+text")[0].x[0]) == -10


def test_a_candidate_far_off_is_drawn_at_the_edge_with_its_value():
    figure = density_histograms(FRAME, candidates((-5000, -np.inf)), what="images")
    marker = traces(figure, "scatter", "markers+text")[0]
    low, high = figure.layout.xaxis.range
    assert low < marker.x[0] < low + 0.05 * (high - low)
    assert low > -100
    assert "-5000.0 nats" in marker.customdata[0]
    assert marker.text[0] == "← −5,000"


def test_a_value_is_written_beside_its_mark_only_off_the_axis_and_where_there_is_room():
    few = density_histograms(FRAME, candidates((-10, -30), (-5000, -5000)), what="images")
    written = [list(marker.text) for marker in traces(few, "scatter", "markers+text")]
    assert written == [[""], ["← −5,000"], ["← −30"], ["← −5,000"]]
    many = density_histograms(FRAME, candidates(*[(-5000, -5000)] * 3), what="images")
    assert [list(marker.text) for marker in traces(many, "scatter", "markers+text")] == [[""] * 3] * 2


def test_a_state_typed_by_a_visitor_is_shown_letter_by_letter():
    figure = density_histograms(FRAME, [], what="images")
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[1] == "100 genuine images: &lt;b&gt;dog&lt;/b&gt;"
