"""The Density tab: mixtures whose best estimate hallucinates, to be dragged, and the audit of Theorem 6.1."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hallulab.errors import RefusedInputError
from hallulab.experiments.bounds_audit import audit_theorem, setting_of
from hallulab.records import as_plain
from hallulab.reports.bounds_figures import LAW_TITLES
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.mean_laws import LAWS
from hallulab.ui.parts.controls import UNQUEUED
from hallulab.ui.parts.density_answer import DensityRule, answer_about
from hallulab.ui.parts.density_cards import answer_sentence
from hallulab.ui.parts.density_drag import DRAG_SCRIPT, FIGURE_ID
from hallulab.ui.parts.density_look import VERDICT_ID
from hallulab.ui.parts.density_mixture import FIRST_PRESET, PRESETS, shapes_of
from hallulab.ui.parts.density_play import (
    AUDIT_DRAWS,
    AUDIT_SEED,
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
    state_choices,
)
from hallulab.ui.parts.endpoints import serve_endpoint
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.session import Session

MAX_ENDPOINT_STATES = 50

INTRO = """
<p class="hl-note">An answer is drawn in two steps: first a hidden <b>state</b>, then an answer around that state’s
mean. The best single estimate by squared error is the average of all answers. <b>Drag the numbered means</b> and watch
whether anybody would ever give that answer.</p>
"""
AUDIT_INTRO = """
<h3>How often must this happen? Theorem 6.1 beside the truth</h3>
<p class="hl-note">Now the means themselves are random, each with variance 1. How likely is it that the best estimate
falls outside <b>every</b> region? What the paper promises, what is proved, and what is measured.</p>
"""
HOW_TO_READ = f"""
- **Coloured areas**: where an answer is plausible under one state. Their union is the **HCDR**; an answer outside
  all of them is a hallucination.
- **Grey**: the density of all answers. Its **HDR** has one threshold and knows no states. Where the two kinds of
  region disagree about A\\*, the verdict says so.
- **A\\*** is the weighted mean of all states, the least squared-error estimate. The band or circle around it holds
  every estimate within ε.
- **{BY_MASS}**: every region holds that share of its own answers. **{BY_DELTA.capitalize()}**: plausible means a
  density above δ, the same under every state.
- **Weight**: how often the state is drawn; the other weights share the rest as they did before.
- **Keyboard**: a handle takes the arrow keys, five times as far with Shift; or type the numbers.
- **Constructions** are built from a theorem’s formulas, and every claim is then checked in numbers. *As written*
  follows the paper, gaps included; *repaired* is proved; *with regions to miss* is proved too, and leaves every
  state answers that are plausible.
- **Audit**: r is the radius of a state’s region, in standard deviations of a mean. “Silent” means that the theorem’s
  own condition cannot be met, so it promises nothing. The interval is that of Clopper and Pearson.
"""


@dataclass(frozen=True)
class DensityTab:
    """What other parts of the page may listen to."""

    shapes: gr.State


def density(
    weights: list[float] | None = None,
    means: list[list[float]] | None = None,
    covariances: list[list[list[float]]] | None = None,
    hdr_mass: float = 0.9,
    delta: float | None = None,
    epsilon: float = 0.0,
    point: list[float] | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    """Judge the best estimate of a Gaussian mixture in one or two dimensions, with its regions.

    Give weights (N), means (N × d) and covariances (N × d × d), or the name of a preset, whose own rule then holds
    unless `delta` is given. An answer is judged by `delta` if given, else by `hdr_mass`.
    """
    with shown_to_visitor():
        mixture, rule = _asked(weights, means, covariances, preset, DensityRule(hdr_mass, delta, epsilon))
        if mixture.n_states > MAX_ENDPOINT_STATES:
            raise RefusedInputError(f"expected at most {MAX_ENDPOINT_STATES} states, got {mixture.n_states}")
        answer = answer_about(mixture, rule, None if point is None else tuple(point))
    return as_plain(
        answer.to_json() | {"sentence": answer_sentence(answer).replace("<b>", "").replace("</b>", "")}
    )


def audit_bound(
    law: str = "gaussian",
    n_states: int = 2,
    radius: float = 0.2,
    weights: list[float] | None = None,
    n_dimensions: int = 1,
) -> dict[str, Any]:
    """Audit Theorem 6.1 for random means of unit variance: the JSON of `hallulab bounds`, with fewer draws."""
    with shown_to_visitor():
        setting = setting_of(law, n_states, radius, weights=weights, n_dimensions=n_dimensions)
        if n_states > MAX_ENDPOINT_STATES or n_dimensions > 512:
            raise RefusedInputError(f"expected at most {MAX_ENDPOINT_STATES} states and 512 dimensions")
        audit = audit_theorem(setting, n_draws=AUDIT_DRAWS, seed=AUDIT_SEED)
    return as_plain(audit.to_json())


def build_density_tab(session: Session) -> DensityTab:  # noqa: ARG001
    """Lay the tab out and wire it; nothing of it computes on the device."""
    start = PRESETS[FIRST_PRESET]
    first = shapes_of(start.build(), FIRST_PRESET)
    card, plot, regions, no_point, no_certificate, what_to_see = density_panels(
        first, BY_MASS, start.hdr_mass, None, start.epsilon, ""
    )
    shapes = gr.State(first)
    gr.HTML(INTRO)
    with gr.Row():
        with gr.Column(scale=7, min_width=320):
            verdict = gr.HTML(card, elem_id=VERDICT_ID)
            figure = gr.Plot(plot, show_label=False, elem_id=FIGURE_ID)
            gesture = gr.HTML(html_template="", js_on_load=DRAG_SCRIPT)
            point_html = gr.HTML(no_point)
            table = gr.HTML(regions)
        with gr.Column(scale=4, min_width=320):
            preset = gr.Dropdown(
                [(choice.title, name) for name, choice in PRESETS.items()], value=FIRST_PRESET,
                label="Start from", filterable=False,
            )  # fmt: skip
            lesson = gr.HTML(what_to_see)
            state = gr.Radio(state_choices(first), value=first.selected, label="State")
            controls = _shape_controls()
            with gr.Row():
                add = gr.Button("Add a state", size="sm", min_width=100)
                remove = gr.Button("Remove it", size="sm", min_width=100)
            judge_by = gr.Radio([BY_MASS, BY_DELTA], value=BY_MASS, label="Plausible is decided by")
            hdr_mass = gr.Slider(
                0.05, 0.99, start.hdr_mass, step=0.01, label="HDR mass: share of its own answers"
            )
            delta = gr.Number(
                0.05, label="δ: at most this dense is a hallucination", visible=False, step=0.01
            )
            epsilon = gr.Slider(0, 3, start.epsilon, step=0.05, label="ε: how far from A* an estimate may be")
            point = gr.Textbox(label="Score an answer", placeholder="click the figure, or type")
    certificate = gr.HTML(no_certificate)
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(HOW_TO_READ)

    gr.HTML(AUDIT_INTRO)
    audit_inputs, audit_outputs = _audit_part()

    chosen = [judge_by, hdr_mass, delta, epsilon, point]
    panels = [shapes, verdict, figure, table, point_html, certificate, lesson, state, *controls]
    live: dict[str, Any] = {"trigger_mode": "always_last", **UNQUEUED}
    gesture.input(follow_gesture, [shapes, gesture, *chosen], [point, *panels], **live)
    # a pasted number arrives with no key pressed, and so with no input event: leaving the box counts too
    typed = [event for box in controls for event in (box.input, *_left(box))]
    gr.on(typed, reshape, [shapes, *controls, *chosen], panels, **live)
    state.input(select_state, [shapes, state, *chosen], panels, **live)
    add.click(add_state, [shapes, *chosen], panels, **UNQUEUED)
    remove.click(remove_state, [shapes, *chosen], panels, **UNQUEUED)
    choosing = preset.input(
        choose_preset, preset, [shapes, judge_by, hdr_mass, delta, epsilon, point], **UNQUEUED
    )
    choosing.success(show_density, [shapes, *chosen], panels, **UNQUEUED)
    judge_by.input(
        lambda by: (gr.Slider(visible=by == BY_MASS), gr.Number(visible=by == BY_DELTA)),
        judge_by, [hdr_mass, delta], **UNQUEUED,
    )  # fmt: skip
    gr.on(
        [judge_by.input, hdr_mass.input, delta.input, epsilon.input, point.input, *_left(delta), *_left(point)],
        show_density, [shapes, *chosen], panels, **live,
    )  # fmt: skip
    _wire_audit(audit_inputs, audit_outputs, live)
    serve_endpoint(density, "density")
    serve_endpoint(audit_bound, "audit_bound")
    return DensityTab(shapes)


def _left(box: Any) -> tuple[Any, ...]:
    """The events of a typed box that is left or sent; none of a slider."""
    return () if isinstance(box, gr.Slider) else (box.submit, box.blur)


def _shape_controls() -> list[Any]:
    """Controls of the selected state, filled for the first one."""
    first = shapes_of(PRESETS[FIRST_PRESET].build()).shown
    weight = gr.Slider(0.01, 0.99, first.weight, step=0.01, label="weight: how often it is drawn")
    with gr.Row():
        across = gr.Number(first.mean[0], label="mean", step=0.1, min_width=100)
        up = gr.Number(0, label="mean, up", step=0.1, min_width=100, visible=False)
    width = gr.Slider(0.05, 4, first.widths[0], step=0.05, label="width (standard deviation)")
    height = gr.Slider(0.05, 4, 1, step=0.05, label="width, up", visible=False)
    correlation = gr.Slider(-0.95, 0.95, 0, step=0.05, label="correlation: tilt", visible=False)
    return [weight, across, up, width, height, correlation]


def _audit_part() -> tuple[list[Any], list[Any]]:
    """Inputs and outputs of the audit."""
    values: tuple[Any, ...] = ("gaussian", 2, "", 1, BY_RADIUS, 0.2, 0.3, 0.2)
    tiles_html, audit_plot, sentence = show_audit(*values)
    tiles = gr.HTML(tiles_html)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            law = gr.Radio(
                [(LAW_TITLES[name], name) for name in LAWS], value="gaussian", label="Law of the means"
            )
            n_states = gr.Slider(2, 10, 2, step=1, label="N: states")
            radius_by = gr.Radio([BY_RADIUS, BY_REGION], value=BY_RADIUS, label="Size of a region, from")
            radius = gr.Slider(0, 1.5, 0.2, step=0.01, label="r, in standard deviations of a mean")
            delta = gr.Number(0.3, label="δ", step=0.05, visible=False)
            width = gr.Number(0.2, label="width of a state", step=0.05, visible=False)
            weights = gr.Textbox(label="Weights", placeholder="equal, unless you type such as 0.7, 0.3")
            n_dimensions = gr.Slider(1, 16, 1, step=1, label="dimensions of an answer")
        with gr.Column(scale=7, min_width=320):
            plot = gr.Plot(audit_plot, show_label=False, elem_id="density-audit")
            note = gr.HTML(sentence)
    return [law, n_states, weights, n_dimensions, radius_by, radius, delta, width], [tiles, plot, note]


def _wire_audit(inputs: list[Any], outputs: list[Any], live: dict[str, Any]) -> None:
    law, n_states, weights, n_dimensions, radius_by, radius, delta, width = inputs
    radius_by.input(
        lambda by: (gr.Slider(visible=by == BY_RADIUS), *[gr.Number(visible=by == BY_REGION)] * 2),
        radius_by, [radius, delta, width], **UNQUEUED,
    )  # fmt: skip
    gr.on(
        [law.input, n_states.input, weights.submit, weights.blur, n_dimensions.input, radius_by.input, radius.input,
         delta.submit, delta.blur, width.submit, width.blur],
        show_audit, inputs, outputs, **live,
    )  # fmt: skip


def _asked(
    weights: Any, means: Any, covariances: Any, preset: str | None, rule: DensityRule
) -> tuple[GaussianMixture, DensityRule]:
    """The mixture given, or that of a preset with the preset's rule."""
    if preset is None:
        if weights is None or means is None or covariances is None:
            raise RefusedInputError(
                f"expected weights, means and covariances, or a preset among {', '.join(PRESETS)}"
            )
        return GaussianMixture(weights, means, covariances), rule
    if preset not in PRESETS:
        raise RefusedInputError(f"expected a preset among {', '.join(PRESETS)}, got {preset!r}")
    found = PRESETS[preset]
    own = DensityRule(found.hdr_mass, found.delta, found.epsilon)
    return found.build(), own if rule.delta is None else rule
