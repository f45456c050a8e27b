"""The time machine: the same seeds at every checkpoint, a slider through training, the rate and the loss beside."""

from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from hallulab.engine.pictures import PaintSettings
from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, OUTSIDE
from hallulab.reports.training_figure import RatePoint, training_figure
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.time_machine import Moment, TimeMachine, paint_at_all
from hallulab.ui.parts.controls import DEFAULT_HDR_MASS, UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.paint_details import HINT, wire_details
from hallulab.ui.parts.paint_gallery import (
    gallery_frames,
    painted_png,
    shown_gallery,
    shown_images,
    verdict_gallery,
)
from hallulab.ui.parts.paint_inputs import PaintInputs, Wanted
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import IMAGES, verdict_card
from hallulab.ui.session import DEVICE, Session

GALLERY_ID = "time-gallery"
TITLE = "Time machine: the same images at every checkpoint"
NOTE = """
<p class="hl-note">Paints your prompt with the same seeds at every checkpoint of the fine-tuning. Then move the slider
through training and watch the images and the hallucination rate change.</p>
"""
BEFORE_FIRST = "The images of each checkpoint appear here, with the rate and the training loss beside them."


def travel(session: Session, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Paint at every checkpoint, yielding the panels after each; what exists is kept when it is closed."""
    shown: TimeMachine | None = None
    with shown_to_visitor():
        wanted = Wanted.of(session, *values)
        for step in paint_at_all(session.engine, wanted.prompt, wanted.settings, hdr_mass=wanted.hdr_mass):
            card = progress_card(step.message.capitalize() + " …", step.n_done, step.n_total)
            if step.result is None:
                yield (card, *_empty_panels(), None)
            elif step.result is not shown:
                shown = step.result
                last = len(shown.moments) - 1
                _, *panels = moment_panels(shown, last)
                yield (card, *panels, slider_of(shown, last), record(shown), shown)
            else:
                said = moment_card(step.result.moments[-1])
                yield (card + said, *(gr.skip(),) * 6)
        if shown is not None:  # the images are on the page already
            yield (moment_card(shown.moments[-1]), *(gr.skip(),) * 5, shown)


def show_moment(machine: TimeMachine | None, place: float) -> tuple[Any, ...]:
    """The panels of one checkpoint, with no model call."""
    if machine is None or not machine.moments:
        return idle_card(BEFORE_FIRST), shown_gallery([]), "", shown_plot(None)
    return moment_panels(machine, _within(machine, place))


def painted_at(machine: TimeMachine | None, place: float) -> PaintResult | None:
    """The images that the slider shows."""
    return machine.moments[_within(machine, place)].painted if machine and machine.moments else None


def decide_times_again(machine: TimeMachine | None, place: float, hdr_mass: float) -> tuple[Any, ...]:
    """Panels, record and result of the same images at another mass."""
    if machine is None:
        return *show_moment(None, 0), None, None
    with shown_to_visitor():
        again = machine.with_mass(hdr_mass)
    return *show_moment(again, place), record(again), again


def stopped_travel(machine: TimeMachine | None, place: float) -> tuple[Any, ...]:
    """After Stop: the checkpoints painted before stay."""
    if machine is None:
        return (idle_card("Stopped before the first checkpoint was painted."), gr.skip(), gr.skip(), gr.skip(),
                stop_enabled(False))  # fmt: skip
    return *show_moment(machine, place), stop_enabled(False)


def moment_panels(machine: TimeMachine, place: int) -> tuple[str, gr.Gallery, str, gr.Plot]:
    """Card, gallery, its frames and the curves of one checkpoint."""
    moment = machine.moments[place]
    return (
        moment_card(moment),
        shown_images(moment.painted),
        gallery_frames(moment.painted, GALLERY_ID) + (HINT if moment.painted.scores else ""),
        shown_plot(_curves(machine, place)),
    )


def moment_card(moment: Moment) -> str:
    """The checkpoint, its rate with the interval, and its training loss."""
    scores, name = moment.painted.scores, escape(moment.checkpoint)
    if scores is None:
        return verdict_card(None, IMAGES, hdr_mass=DEFAULT_HDR_MASS, reason=moment.painted.reason or "")
    n = len(scores.verdicts)
    loss = "Before fine-tuning." if moment.step == 0 else ""
    if moment.loss is not None:
        loss = f"Training loss {moment.loss:.3f} after {moment.step:,} steps."
    tone = OUTSIDE if scores.n_outside else INSIDE
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill">{name}: '
        f'{scores.n_outside} of {n} hallucinate</span><p class="hl-sentence">Hallucination rate '
        f"{scores.hallucination_rate:.0%} (95% interval {scores.interval.low:.0%} to {scores.interval.high:.0%}). "
        f"{loss}</p></div>"
    )


def slider_of(machine: TimeMachine, place: int) -> gr.Slider:
    """The slider over the checkpoints painted so far; one checkpoint needs none."""
    last = len(machine.moments) - 1
    return gr.Slider(0, max(1, last), place, visible=last > 0)


def record(machine: TimeMachine) -> dict[str, Any]:
    """What repeats this journey."""
    return as_plain(machine.to_json())


def time_machine_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/time_machine`; gradio reads its interface off the type hints."""
    pictures = session.engine.preset.pictures

    def endpoint(
        prompt: str,
        checkpoints: list[str] | None = None,
        n_images: int = PaintSettings.n_images,
        seed: int = PaintSettings.seed,
        steps: int = pictures.steps,
        guidance: float = pictures.guidance,
        hdr_mass: float = DEFAULT_HDR_MASS,
        with_images: bool = False,
    ) -> dict[str, Any]:
        """Paint the same seeds at several checkpoints, all if none are named: `paint`'s JSON for each."""
        with shown_to_visitor():
            wanted = Wanted.of(session, prompt, None, n_images, seed, steps, guidance, hdr_mass)
            jobs = paint_at_all(
                session.engine,
                wanted.prompt,
                wanted.settings,
                checkpoints=checkpoints or (),
                hdr_mass=hdr_mass,
            )
            machine = [step.result for step in jobs][-1]
        assert machine is not None  # the last progress always holds the result
        found = machine.to_json()
        if with_images:
            for moment, entry in zip(machine.moments, found["checkpoints"], strict=True):
                for index, image in enumerate(entry["images"]):
                    image["png"] = painted_png(moment.painted, index)
        return as_plain(found)

    return endpoint


def build_time_panel(session: Session, inputs: PaintInputs) -> None:
    """Lay the panel out and wire it."""
    result = gr.State()
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            start = gr.Button("Paint at every checkpoint", variant="primary", scale=3)
            stop = gr.Button("Stop travelling", variant="stop", scale=1, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        place = gr.Slider(
            0, 1, 0, step=1, label="Checkpoint", info="From the base to the last one.", visible=False,
            buttons=[],
        )  # fmt: skip
        with gr.Row():
            with gr.Column(scale=6, min_width=260):
                gallery = verdict_gallery("The same seeds at this checkpoint", GALLERY_ID)
                frames = gr.HTML()
            with gr.Column(scale=5, min_width=260):
                curves = gr.Plot(show_label=False, visible=False)
        details = gr.HTML()
        with gr.Accordion("Receipt (JSON): everything that repeats this journey", open=False):
            receipt = gr.JSON(show_label=False)
    panels = [card, gallery, frames, curves]
    starting = start.click(lambda: (stop_enabled(True), ""), None, [stop, details], **UNQUEUED)
    travelling = starting.then(
        partial(travel, session), inputs.components(), [*panels, place, receipt, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    travelling.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, travelling, stopped_travel, [result, place], [*panels, stop])
    wire_details(session, gallery, [result, place], painted_at, inputs.hdr_mass, details)
    place.input(show_moment, [result, place], panels, trigger_mode="always_last", **UNQUEUED).then(
        lambda: "", None, details, **UNQUEUED
    )
    inputs.hdr_mass.change(
        decide_times_again, [result, place, inputs.hdr_mass], [*panels, receipt, result],
        trigger_mode="always_last", **UNQUEUED,
    ).then(lambda: "", None, details, **UNQUEUED)  # fmt: skip


def _within(machine: TimeMachine, place: float) -> int:
    return min(max(0, int(place)), len(machine.moments) - 1)


def _empty_panels() -> tuple[Any, ...]:
    return shown_gallery([]), "", shown_plot(None), gr.Slider(visible=False), None


def _curves(machine: TimeMachine, place: int) -> Any:
    points = [
        RatePoint(
            one.checkpoint, one.step, one.painted.scores.hallucination_rate, one.painted.scores.interval
        )
        for one in machine.moments
        if one.painted.scores is not None
    ]
    if not points:
        return None
    return training_figure(points, [(point.step, point.loss) for point in machine.losses], marked=place)
