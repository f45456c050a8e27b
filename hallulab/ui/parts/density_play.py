"""What the Density tab does when something on it is dragged, typed or chosen: plain functions on what is shown."""

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from hallulab.errors import RefusedInputError
from hallulab.experiments.bounds_audit import audit_theorem, setting_of
from hallulab.reports.bounds_figures import audit_figure
from hallulab.reports.density_figures import ShownPoint, explorer_figure
from hallulab.theory.lower_bounds import region_radius
from hallulab.ui.parts.density_answer import DensityAnswer, DensityRule, PointVerdict, answer_about
from hallulab.ui.parts.density_cards import (
    answer_card,
    audit_tiles,
    certificate_card,
    point_card,
    regions_table,
)
from hallulab.ui.parts.density_drag import Dragged, gesture_from, point_from, with_handles
from hallulab.ui.parts.density_mixture import PRESETS, Preset, Shapes, StateShape, shapes_of
from hallulab.ui.parts.errors import shown_to_visitor

BY_MASS, BY_DELTA = "HDR mass", "one δ for all"
BY_RADIUS, BY_REGION = "a radius r", "δ and the width of a state"
AUDIT_DRAWS, AUDIT_SEED = 200_000, 0
N_SHAPE_CONTROLS = 6
"""weight, mean (2), widths (2), correlation of the selected state"""


@dataclass(frozen=True)
class RuleChoice:
    """How plausible is decided, in the order in which the page sends it."""

    judge_by: str
    hdr_mass: float
    delta: float | None
    epsilon: float | None
    point: str
    """typed or clicked"""

    @property
    def rule(self) -> DensityRule:
        """The rule; refused when it cannot be one."""
        by_delta = self.judge_by == BY_DELTA
        if by_delta and self.delta is None:
            raise RefusedInputError("expected δ as a number above 0, got nothing")
        return DensityRule(self.hdr_mass, self.delta if by_delta else None, self.epsilon or 0.0)


def density_panels(shapes: Shapes, *chosen: Any) -> tuple[Any, ...]:
    """What follows from the mixture shown.

    Args:
        shapes: the mixture.
        chosen: as `RuleChoice`.

    Returns: verdict, figure, table, point, certificate, lesson.
    """
    choice = RuleChoice(*chosen)
    with shown_to_visitor():
        point, complaint = _point(choice.point, shapes.n_dimensions)
        answer = answer_about(shapes.mixture(), choice.rule, point)
    return (
        answer_card(answer),
        with_handles(drawn(answer, shapes), answer.mixture, shapes.selected),
        regions_table(answer),
        complaint or point_card(answer.point),
        certificate_card(_certificate(shapes)),
        _lesson(shapes),
    )


def show_density(shapes: Shapes, *chosen: Any) -> tuple[Any, ...]:
    """Everything on the page that follows from the mixture shown.

    Returns: shapes, the panels, the choice of states, and the controls of the selected state.
    """
    return (
        shapes,
        *density_panels(shapes, *chosen),
        gr.Radio(choices=state_choices(shapes), value=shapes.selected),
        *shape_controls(shapes),
    )


def drawn(answer: DensityAnswer, shapes: Shapes) -> Any:
    """The figure of an answer."""
    return explorer_figure(
        answer.mixture,
        answer.shown,
        _shown_point(answer.best, "A*: the best estimate"),
        epsilon=answer.rule.epsilon,
        view=shapes.view,
        point=None if answer.point is None else _shown_point(answer.point, "your answer"),
    )


def follow_gesture(shapes: Shapes, text: str, *chosen: Any) -> tuple[Any, ...]:
    """As `show_density`, with the typed point before it, after a mean was dragged or a point was clicked.

    The view is drawn anew once a mean is let go.
    """
    with shown_to_visitor():
        gesture = gesture_from(text)
        if not isinstance(gesture, Dragged):
            point = ", ".join(f"{number:g}" for number in gesture)
            return point, *show_density(shapes, *chosen[:-1], point)
        moved = shapes.moved(gesture.state, gesture.mean)
        if gesture.ended and not moved.preset:  # a preset keeps its view until it is changed
            moved = moved.fitted()
    return gr.skip(), *show_density(moved, *chosen)


def choose_preset(name: str) -> tuple[Any, ...]:
    """The preset's mixture and rule: shapes, how plausible is decided, mass, δ, ε, and no point."""
    with shown_to_visitor():
        preset = _preset(name)
        shapes = shapes_of(preset.build(), name)
    by_delta = preset.delta is not None
    return (
        shapes,
        BY_DELTA if by_delta else BY_MASS,
        gr.Slider(value=preset.hdr_mass, visible=not by_delta),
        gr.Number(value=preset.delta or 0.05, visible=by_delta),
        preset.epsilon,
        "",
    )


def select_state(shapes: Shapes, state: int, *chosen: Any) -> tuple[Any, ...]:
    """As `show_density`, with another state's numbers in the controls."""
    return show_density(replace(shapes, selected=min(int(state), len(shapes.states) - 1)), *chosen)


def reshape(shapes: Shapes, *values: Any) -> tuple[Any, ...]:
    """As `show_density`, with typed numbers for the selected state; one half typed or left as it was changes nothing.

    Args:
        values: weight, mean x, mean y, width x, width y, correlation, then as `RuleChoice`.
    """
    numbers, chosen = values[:N_SHAPE_CONTROLS], values[N_SHAPE_CONTROLS:]
    nothing = (gr.skip(),) * (8 + N_SHAPE_CONTROLS)
    if any(number is None for number in numbers):
        return nothing
    weight, x, y, width_x, width_y, correlation = map(float, numbers)
    plane = shapes.n_dimensions == 2
    shape = StateShape(
        weight,
        (x, y) if plane else (x,),
        (width_x, width_y) if plane else (width_x,),
        correlation if plane else 0.0,
    )
    # what the controls show is rounded: to leave one is not to change the state. And whoever leaves one by a click on
    # "Add a state" has two answers under way: this one, if it said anything, could take the new state back
    if shape == _as_shown(shapes.shown):
        return nothing
    with shown_to_visitor():
        changed = shapes.shaped(shape)
    return show_density(changed, *chosen)


def add_state(shapes: Shapes, *chosen: Any) -> tuple[Any, ...]:
    """As `show_density`, with one state more."""
    with shown_to_visitor():
        more = shapes.with_one_more()
    return show_density(more, *chosen)


def remove_state(shapes: Shapes, *chosen: Any) -> tuple[Any, ...]:
    """As `show_density`, without the selected state."""
    with shown_to_visitor():
        fewer = shapes.without_shown()
    return show_density(fewer, *chosen)


def show_audit(
    law: str,
    n_states: float,
    weights: str,
    n_dimensions: float,
    radius_by: str,
    radius: float | None,
    delta: float | None,
    width: float | None,
) -> tuple[str, Any, str]:
    """Theorem 6.1 for means of unit variance: three numbers side by side, a figure, and a sentence."""
    with shown_to_visitor():
        d = int(n_dimensions)
        r = radius if radius_by == BY_RADIUS else _radius_of(delta, width, d)
        if r is None:
            raise RefusedInputError("expected r as a number of 0 or more, got nothing")
        setting = setting_of(law, int(n_states), float(r), weights=_weights(weights), n_dimensions=d)
        audit = audit_theorem(setting, n_draws=AUDIT_DRAWS, seed=AUDIT_SEED)
    return audit_tiles(audit), audit_figure(audit), f'<p class="hl-note">r = {r:.4g}. {audit.sentence()}</p>'


def state_choices(shapes: Shapes) -> list[tuple[str, int]]:
    """The states by number."""
    return [(f"state {index + 1}", index) for index in range(len(shapes.states))]


def shape_controls(shapes: Shapes) -> tuple[Any, ...]:
    """The selected state's numbers: weight, mean (2), widths (2), correlation; the plane's hidden on a line."""
    shape, plane = _as_shown(shapes.shown), shapes.n_dimensions == 2
    mean, widths = (*shape.mean, 0.0)[:2], (*shape.widths, 1.0)[:2]
    return (
        gr.Slider(value=shape.weight, interactive=len(shapes.states) > 1),
        gr.Number(value=mean[0], label="mean, across" if plane else "mean"),
        gr.Number(value=mean[1], visible=plane),
        gr.Slider(value=widths[0], label="width, across" if plane else "width (standard deviation)"),
        gr.Slider(value=widths[1], visible=plane),
        gr.Slider(value=shape.correlation, visible=plane),
    )


def _as_shown(shape: StateShape) -> StateShape:
    """Rounded as in the controls."""
    mean, widths = (tuple(round(number, 4) for number in numbers) for numbers in (shape.mean, shape.widths))
    return StateShape(round(shape.weight, 4), mean, widths, round(shape.correlation, 4))


def _shown_point(verdict: PointVerdict, label: str) -> ShownPoint:
    position = tuple(verdict.position.tolist())
    return ShownPoint(position, verdict.is_hallucination, label)


def _point(text: str, n_dimensions: int) -> tuple[tuple[float, ...] | None, str]:
    """The point, or what is still missing from it: a visitor may be half through typing."""
    try:
        return point_from(text or "", n_dimensions), ""
    except RefusedInputError as error:
        return None, f'<p class="hl-note">{str(error).split(", got")[0].capitalize()}.</p>'


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise RefusedInputError(f"expected a preset among {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


def _certificate(shapes: Shapes) -> Any:
    preset = PRESETS.get(shapes.preset)
    return preset.certify() if preset and preset.certify else None


def _lesson(shapes: Shapes) -> str:
    preset = PRESETS.get(shapes.preset)
    return f'<p class="hl-note">{preset.lesson if preset else "Your own mixture."}</p>'


def _radius_of(delta: float | None, width: float | None, n_dimensions: int) -> float:
    if delta is None or width is None:
        raise RefusedInputError("expected δ and a width above 0, got nothing")
    variance = float(width) ** 2
    covariance = [[variance * (i == j) for j in range(n_dimensions)] for i in range(n_dimensions)]
    return region_radius(float(delta), covariance)


def _weights(text: str) -> list[float] | None:
    """Typed weights; None, for equal ones, where nothing is typed."""
    words = (text or "").replace(",", " ").split()
    try:
        return [float(word) for word in words] or None
    except ValueError as error:
        raise RefusedInputError(
            f"expected weights as numbers, such as 0.5, 0.3, 0.2, got {text[:80]!r}"
        ) from error
