import json

import gradio as gr
import numpy as np
import pytest
from scipy import stats

from hallulab.theory.gaussians import GaussianMixture
from hallulab.ui.parts.density_answer import DensityRule, answer_about
from hallulab.ui.parts.density_cards import answer_sentence, certificate_card, decimal
from hallulab.ui.parts.density_drag import Dragged, gesture_from, point_from
from hallulab.ui.parts.density_mixture import MAX_STATES, PRESETS, StateShape, shapes_of
from hallulab.ui.parts.density_play import (
    BY_DELTA,
    BY_MASS,
    BY_RADIUS,
    BY_REGION,
    add_state,
    choose_preset,
    density_panels,
    follow_gesture,
    remove_state,
    reshape,
    select_state,
    show_audit,
    show_density,
)
from hallulab.ui.tabs.density import audit_bound, build_density_tab, density

CHOSEN = (BY_MASS, 0.9, 0.05, 0.5, "")
TWO = {"weights": [0.5, 0.5], "means": [[-3.0], [3.0]], "covariances": [[[1.0]], [[1.0]]]}


def preset(name="figure_2"):
    return shapes_of(PRESETS[name].build(), name)


def refusal(call, *args, **kwargs):
    with pytest.raises(gr.Error) as caught:
        call(*args, **kwargs)
    return caught.value.message


def gesture(**fields):
    return json.dumps(fields)


def meta(figure):
    return figure.layout.meta


def test_first_view_says_that_the_best_estimate_hallucinates():
    card, figure, table, point, certificate, lesson = density_panels(preset(), *CHOSEN)
    assert "<b>The best estimate is a hallucination.</b> The average of all answers, A* = 0" in card
    # log f(0) = log f(peak) − 9/2, the threshold lies χ²(0.9)/2 = 1.353 below the peak: 3.147 nats between them
    assert "3.15 nats below the nearest threshold" in card
    assert "So is every estimate within ε = 0.5 of it." in card
    assert "90.0\N{NO-BREAK SPACE}%" in table
    assert "Click anywhere" in point
    assert certificate == ""
    assert "halfway" in lesson
    assert meta(figure)["means"] == [[-3.0], [3.0]]


def test_verdict_and_margin_equal_scipy():
    answer = answer_about(GaussianMixture(**TWO), DensityRule(delta=0.01, epsilon=0.25), (1.0,))
    assert answer.best.margin_nats == pytest.approx(stats.norm(3).logpdf(0) - np.log(0.01))
    assert answer.ball_margin_nats == pytest.approx(stats.norm(3).logpdf(0.25) - np.log(0.01))
    assert not answer.point.is_hallucination  # 2 standard deviations from state 2: 0.054 > 0.01
    reach = np.sqrt(-2 * (np.log(0.01) - stats.norm.logpdf(0)))
    state = answer.rows[0]
    assert (state.size.value, state.own_mass) == pytest.approx((2 * reach, 1 - 2 * stats.norm.sf(reach)))


def test_an_ellipse_has_its_area_and_mass():
    mixture = PRESETS["three_modes"].build()
    row = answer_about(mixture, DensityRule(0.9)).rows[0]
    # the radius² of a region with mass m in the plane is −2 ln(1 − m)
    assert row.size.value == pytest.approx(
        np.pi * -2 * np.log(0.1) * np.sqrt(np.linalg.det(mixture.covariances[0]))
    )
    assert row.own_mass == pytest.approx(0.9)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_drawn_and_judged(name):
    shapes, judge_by, mass, delta, epsilon, point = choose_preset(name)
    chosen = (judge_by, mass.value, delta.value, epsilon, point)
    card, figure, *_ = density_panels(shapes, *chosen)
    assert "The best estimate is" in card
    assert len(meta(figure)["means"]) == len(shapes.states)
    drawn = shapes.mixture()
    built = PRESETS[name].build()
    np.testing.assert_allclose(drawn.covariances, built.covariances, rtol=1e-12)
    np.testing.assert_allclose(drawn.means, built.means)


def test_where_hdr_and_verdict_differ_the_sentence_says_so():
    sentence = answer_sentence(answer_about(PRESETS["hdr_beyond_hcdr"].build(), DensityRule(0.5)))
    assert "would have let it pass" in sentence


def test_a_dragged_mean_moves_and_the_view_stays_until_it_is_let_go():
    start = preset()
    _, moved, card, figure, *_ = follow_gesture(start, gesture(state=1, mean=[5.5], ended=False), *CHOSEN)
    assert moved.view == start.view
    assert moved.states[1].mean == (5.5,)
    assert moved.selected == meta(figure)["selected"] == 1
    assert "A* = 1.25" in card
    _, let_go, *_ = follow_gesture(start, gesture(state=1, mean=[5.5], ended=True), *CHOSEN)
    assert let_go.view.x[1] > 5.5 + 3
    _, touched, *_ = follow_gesture(start, gesture(state=1, mean=[3.0], ended=True), *CHOSEN)
    assert (touched.preset, touched.view) == (start.preset, start.view)  # nothing was changed


def test_dragging_the_modes_together_ends_the_hallucination():
    _, _, apart, *_ = follow_gesture(preset(), gesture(state=1, mean=[2.9], ended=True), *CHOSEN)
    _, _, together, *_ = follow_gesture(preset(), gesture(state=1, mean=[-2.0], ended=True), *CHOSEN)
    assert "✕ Hallucination" in apart
    assert "✓ Not a hallucination" in together


def test_a_clicked_point_is_scored_and_written_into_its_box():
    point, _, _, _, _, card, *_ = follow_gesture(preset(), gesture(point=[2.5]), *CHOSEN)
    assert point == "2.5"
    assert "✓ Not a hallucination" in card
    assert "The answer 2.5" in card
    plane = follow_gesture(preset("three_modes"), gesture(point=[0, 0.5]), *CHOSEN)
    assert plane[0] == "0, 0.5"
    assert "The answer (0, 0.5)" in plane[5]


def test_a_point_half_typed_is_no_error():
    panels = density_panels(preset("three_modes"), *CHOSEN[:-1], "1,")
    assert "Expected a point as two numbers" in panels[3]
    assert point_from("(−1, 2)", 2) == (-1, 2)
    assert point_from(" ", 1) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state":0,"mean":["x"],"ended":1}', '{"point":[NaN]}'])
def test_a_gesture_that_is_none_is_refused(text):
    assert "expected" in refusal(follow_gesture, preset(), text, *CHOSEN)


def test_gestures_of_other_states_or_dimensions_are_refused():
    assert gesture_from(gesture(state=0, mean=[1], ended=True)) == Dragged(0, (1.0,), True)
    for fields in ({"state": 2, "mean": [0]}, {"state": -1, "mean": [0]}, {"state": 0, "mean": [0, 0]}):
        assert "expected one of 2 states" in refusal(
            follow_gesture, preset(), gesture(ended=False, **fields), *CHOSEN
        )


def test_typed_numbers_shape_the_selected_state():
    shapes, *_ = reshape(preset("three_modes"), 0.2, -3, -1, 1.5, 0.5, 0.25, *CHOSEN)
    assert shapes.shown == StateShape(0.2, (-3, -1), (1.5, 0.5), 0.25)
    # the others had 0.35 and 0.25 of 0.6
    assert [state.weight for state in shapes.states] == pytest.approx(
        [0.2, 0.8 * 0.35 / 0.6, 0.8 * 0.25 / 0.6]
    )
    np.testing.assert_allclose(shapes.mixture().covariances[0], [[2.25, 0.1875], [0.1875, 0.25]])
    half_typed = reshape(preset(), None, 0, 0, 1, 1, 0, *CHOSEN)
    assert all(update["__type__"] == "update" for update in half_typed)
    assert "widths above 0" in refusal(reshape, preset(), 0.5, 0, 0, -1, 1, 0, *CHOSEN)


def test_leaving_a_box_unchanged_says_nothing():
    start = preset("5.2 as_written")  # its means have more digits than the controls show
    shape = start.shown
    shown = (round(shape.weight, 4), round(shape.mean[0], 4), 0, round(shape.widths[0], 4), 1, 0)
    assert shown[1] != shape.mean[0]
    # not even what is shown already: beside a click on "Add a state" it would take the new state back
    assert all(update == gr.skip() for update in reshape(start, *shown, *CHOSEN))


def test_states_are_added_selected_and_removed():
    shapes, *rest = add_state(preset(), *CHOSEN)
    assert [state.weight for state in shapes.states] == pytest.approx([1 / 3] * 3)
    assert shapes.selected == 2
    assert len(rest[6].choices) == 3
    assert select_state(shapes, 1, *CHOSEN)[0].selected == 1
    fewer = remove_state(shapes, *CHOSEN)[0]
    assert [state.weight for state in fewer.states] == pytest.approx([0.5, 0.5])
    one = remove_state(fewer, *CHOSEN)[0]
    assert "the last one" in refusal(remove_state, one, *CHOSEN)
    full = preset("ring")
    assert len(full.states) == MAX_STATES
    assert f"at most {MAX_STATES}" in refusal(add_state, full, *CHOSEN)


def test_delta_decides_when_chosen_and_is_refused_in_words():
    assert "✓ Not" in show_density(preset(), BY_DELTA, 0.9, 0.004, 0, "")[1]  # f(0) = 0.0044
    assert "✕ Hall" in show_density(preset(), BY_DELTA, 0.9, 0.005, 0, "")[1]
    assert "δ as a number" in refusal(show_density, preset(), BY_DELTA, 0.9, None, 0, "")
    assert "expected δ above 0" in refusal(show_density, preset(), BY_DELTA, 0.9, -1, 0, "")


def test_a_construction_shows_its_certificate_until_it_is_changed():
    assert ": ✕ fails" in certificate_card(PRESETS["5.1 as_written"].certify())
    assert ": ✓ holds" in certificate_card(PRESETS["5.1 repaired"].certify())
    start = preset("5.1 as_written")
    assert "Theorem 5.1, as written" in density_panels(start, BY_DELTA, 0.9, 0.3, 0, "")[4]
    moved = start.moved(0, (0.3,))
    assert density_panels(moved, BY_DELTA, 0.9, 0.3, 0, "")[4] == ""


def test_the_audit_shows_three_numbers():
    tiles, figure, note = show_audit("gaussian", 2, "", 1, BY_RADIUS, 0.2, None, None)
    # μ_1 − μ_2 has variance 2 and A* is half of it away from both: P(|N(0, 2)| > 0.4)
    truth = 2 * stats.norm.sf(0.4 / np.sqrt(2))
    assert f"≥ {100 * truth:.1f}\N{NO-BREAK SPACE}%" in tiles
    assert "≥ 1.6 × 10<sup>−7</sup>" in tiles
    assert "n = 200,000" in tiles
    assert len(figure.data) > 2
    assert "r = 0.2" in note
    silent = show_audit("gaussian", 2, "0.7, 0.3", 1, BY_RADIUS, 1.2, None, None)[0]
    assert "<dd>silent<small>the theorem is silent here" in silent


def test_the_audit_takes_delta_and_a_width():
    _, _, note = show_audit("uniform", 3, "", 1, BY_REGION, None, 0.3, 0.2)
    reach = 0.2 * np.sqrt(-2 * np.log(0.3 * 0.2 * np.sqrt(2 * np.pi)))
    assert f"r = {reach:.4g}" in note
    assert "sum to 1" in refusal(show_audit, "gaussian", 2, "0.7, 0.2", 1, BY_RADIUS, 0.2, None, None)
    assert "weights as numbers" in refusal(show_audit, "gaussian", 2, "half", 1, BY_RADIUS, 0.2, None, None)
    assert "got nothing" in refusal(show_audit, "gaussian", 2, "", 1, BY_REGION, 0.2, None, 1)


def test_the_endpoint_gives_plain_json():
    record = density(**TWO, hdr_mass=0.9, epsilon=0.5, point=[2.0])
    json.dumps(record, allow_nan=False)
    assert record["optimal_estimator"]["position"] == [0.0]
    assert record["optimal_estimator"]["is_hallucination"]
    assert record["ball"]["is_hallucination"]
    assert not record["point"]["is_hallucination"]
    assert [region["name"] for region in record["regions"]] == ["state 1", "state 2", "HCDR", "HDR"]
    assert record["sentence"].startswith("The best estimate is a hallucination.")
    assert density(preset="ring")["n_draws"] == 20_000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"weights": [0.5, 0.6]}, "sum to 1"),
        ({"covariances": [[[1.0]], [[-1.0]]]}, "positive definite"),
        ({"delta": 0.0}, "expected δ above 0"),
        ({"hdr_mass": 1.0}, "HDR mass"),
        ({"epsilon": -1.0}, "radius ε"),
        ({"means": None}, "or a preset among"),
        ({"preset": "mine"}, "expected a preset"),
        ({"point": [1.0, 2.0]}, "expected points of shape"),
        ({"weights": [1.0], "means": [[0.0] * 3], "covariances": [np.eye(3).tolist()]}, "1 or 2 dimensions"),
    ],
)
def test_the_endpoint_refuses_in_one_sentence(changed, words):
    assert words in refusal(density, **TWO | changed)


def test_the_audit_endpoint():
    record = audit_bound("laplace", 3, 0.1)
    assert {"paper", "proved", "measured"} <= set(record)
    assert "expected" in refusal(audit_bound, "cauchy")


def test_numbers_as_people_write_them():
    assert [decimal(value) for value in (0.0, -1.5, 1e-5, 12345.0)] == ["0", "−1.5", "1.00e−05", "1.23e+04"]


def test_wiring():
    with gr.Blocks() as page:
        build_density_tab(None)
    public = {fn.api_name for fn in page.fns.values() if fn.api_visibility == "public"}
    assert public == {"density", "audit_bound"}
    rendered = [block for block in page.blocks.values() if isinstance(block, gr.Radio)]
    assert len(rendered) == 4  # state, rule, law, size: none by accident
