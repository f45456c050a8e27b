"""The Paint tab: a prompt, its images, and each one's verdict among genuine images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from hallulab.engine.pictures import MAX_GUIDANCE, MAX_IMAGES, MAX_STEPS, PaintSettings
from hallulab.errors import RefusedInputError
from hallulab.records import as_plain
from hallulab.reports.figures import Candidate, density_histograms
from hallulab.scoring.guided_pictures import GuidedSettings
from hallulab.scoring.pictures import PaintResult
from hallulab.ui.parts.controls import (
    DEFAULT_HDR_MASS,
    UNQUEUED,
    example_buttons,
    mass_slider,
    random_seed,
    shown_plot,
    stop_enabled,
    wire_stop,
)
from hallulab.ui.parts.endpoints import serve_endpoint
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.paint_details import HINT, score_image_endpoint, wire_details
from hallulab.ui.parts.paint_first_look import first_look
from hallulab.ui.parts.paint_gallery import (
    forming_strip,
    gallery_frames,
    nearest_state,
    painted_png,
    shown_gallery,
    shown_images,
    verdict_gallery,
)
from hallulab.ui.parts.paint_given import PanelControls, build_given_panel
from hallulab.ui.parts.paint_inputs import PaintInputs, Wanted, whole_number
from hallulab.ui.parts.paint_painting import (
    MOST_PER_IMAGE,
    WAYS,
    HowToPaint,
    Painting,
    WayName,
    paint_wanted,
    painting_card,
)
from hallulab.ui.parts.paint_time import build_time_panel, time_machine_endpoint
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import IMAGES, state_table
from hallulab.ui.session import DEVICE, Session

GALLERY_ID = "paint-gallery"

BEFORE_FIRST = "The images and their verdicts appear here, each compared with genuine images of every class."
INTRO = """
<p class="hl-note">Every image is compared with genuine images of each <b>class</b>. One that fits none of
them is a hallucination, however pretty.</p>
"""
AVERAGING_NOTE = """
<p class="hl-note">These images are of several classes, and the mean of several classes lies in none: averaging at
work, which is the paper’s point, not a fault of any image.</p>
"""
HOW_TO_READ = """
- **Every image** is turned into features by CLIP and gets a log-density under each class: cat, dog.
- **Threshold:** the dashed line. The chosen share of genuine images lies to its right. An image on the shaded
  side of *every* class is a hallucination: neither a cat nor a dog.
- **The rate** is the share of images outside, with its 95 % Wilson interval.
- **The mean of all K images** is the paper's test: the mean of their features, held against the threshold of single
  images. A mean is no image: how often this accuses means of *genuine* images depends on the frame, from never to
  always. The mean is therefore also held against means of K genuine images of one class.
"""


GUIDED_NOTE = """
<p class="hl-note">Paint more images than you want, and keep those that genuine images resemble.</p>
"""
PER_IMAGE_INFO = "“Inside” stops as soon as enough are inside; “best of n” paints n for each and keeps one."
LOOK_CLOSER = """
<h3>Look closer</h3>
<p class="hl-note">Two more ways to see what a model paints, each one click away.</p>
"""


@dataclass(frozen=True)
class PaintTab:
    """What other parts of the page may listen to."""

    prompt: gr.Textbox
    result: gr.State


def paint_images(
    session: Session, way: str, per_image: Any, stop_when_decided: bool, *values: Any
) -> Iterator[tuple[Any, ...]]:
    """Paint and judge, yielding the panels as images arrive; closing it stops the work and keeps them."""
    shown: Painting | None = None
    so_far = forming = ""
    with shown_to_visitor():
        wanted = Wanted.of(session, *values)
        how = HowToPaint.of(way, stop_when_decided, per_image)
        yield (shown_gallery([]), idle_card("Starting …"), "", "", shown_plot(None), "", "", None, None)
        for step, preview in paint_wanted(session, wanted, how):
            if preview is not None:
                forming = forming_strip(preview)
            card = progress_card(step.message.capitalize() + " …", step.n_done, step.n_total)
            if step.result is None or step.result is shown:
                yield (gr.skip(), card + forming + so_far, *(gr.skip(),) * 7)
            else:
                painting: Painting = step.result
                shown, forming = painting, ""
                so_far = painting_card(painting, is_finished=False)
                _, *others = panels(painting)
                yield (shown_images(painting.shown), card + so_far, *others, painting)
        if shown is not None:  # the images are on the page already
            yield (gr.skip(), painting_card(shown), *(gr.skip(),) * 6, shown)


def paint_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/paint`; gradio reads its interface off the type hints."""
    pictures = session.engine.preset.pictures

    def endpoint(
        prompt: str,
        checkpoint: str | None = None,
        n_images: int = PaintSettings.n_images,
        seed: int = PaintSettings.seed,
        steps: int = pictures.steps,
        guidance: float = pictures.guidance,
        hdr_mass: float = DEFAULT_HDR_MASS,
        stop_when_decided: bool = False,
        guided: str = "",
        best_of: int | None = None,
        budget: int | None = None,
    ) -> dict[str, Any]:
        """Paint a prompt and judge every image: the JSON of `hallulab paint`, each PNG as a data URI.

        `guided` keeps only images inside a region (`keep`, painting at most `budget`) or the best of several (`best`,
        each chosen among `best_of`).
        """
        with shown_to_visitor():
            wanted = Wanted.of(session, prompt, checkpoint, n_images, seed, steps, guidance, hdr_mass)
            counts = {
                name: None if value is None else whole_number(name, value)
                for name, value in {"best_of": best_of, "budget": budget}.items()
            }
            how = HowToPaint(guided_way(guided), stop_when_decided, **counts)
            *_, (last, _) = paint_wanted(session, wanted, how, previews=False)
        painting: Any = last.result
        record = as_plain(painting.to_json())
        for index, image in enumerate(record["images"]):
            image["png"] = painted_png(painting.shown, index)
        return record

    return endpoint


def guided_way(name: str) -> WayName:
    """The way of choosing images of this name; none is plain."""
    for way in WAYS.values():
        if way == (name or "plain"):
            return way
    raise RefusedInputError(f"expected guided to be {' or '.join(list(WAYS.values())[1:])}, got {name!r}")


def decide_again(painting: Painting | None, hdr_mass: float) -> tuple[Any, ...]:
    """Gallery, panels and result of the last painting at another mass, with no model call."""
    if painting is None:
        return (gr.skip(),) * 9
    with shown_to_visitor():
        again = painting.with_mass(hdr_mass)
        return shown_images(again.shown), *panels(again), again


def panels(
    painting: Painting, *, is_stopped: bool = False
) -> tuple[str, str, str, gr.Plot, str, str, dict[str, Any]]:
    """Rate card, gallery frames, hint, histogram, mean card, table and record of a painting."""
    card, result = painting_card(painting, is_stopped=is_stopped), painting.shown
    record, scores = as_plain(painting.to_json()), result.scores
    if scores is None:
        return card, "", "", shown_plot(None), "", "", record
    candidates = [
        Candidate(f"image {index + 1}, seed {result.seed_of(index)}", verdict)
        for index, verdict in enumerate(scores.verdicts)
    ]
    return (
        card,
        gallery_frames(result, GALLERY_ID),
        HINT,
        shown_plot(density_histograms(scores.hcdr, candidates, what="images")),
        mean_card(result),
        state_table(scores.mean_verdict, IMAGES),
        record,
    )


def mean_card(result: PaintResult) -> str:
    """The paper's test and its K-matched companion, each with its own label."""
    assert result.scores is not None
    scores, n = result.scores, len(result.images)
    paper, matched = scores.mean_verdict, scores.matched_verdict
    seen = {nearest_state(verdict) for verdict in scores.verdicts if not verdict.is_hallucination}
    return (
        f'<p class="hl-sentence"><b>Mean of the {n} images</b> (the paper’s test): '
        f"{'outside' if paper.is_hallucination else 'inside'}, "
        f"{paper.margin_nats:+.1f} nats from the threshold. "
        f"<b>Against means of {n} genuine images</b> of one class: "
        f"{'outside' if matched.is_hallucination else 'inside'}, {matched.margin_nats:+.1f} nats.</p>"
        f"{AVERAGING_NOTE if paper.is_hallucination and len(seen) > 1 else ''}"
    )


def build_paint_tab(session: Session) -> PaintTab:
    """Lay the tab out and wire it."""
    pictures = session.engine.preset.pictures
    result = gr.State()
    gr.HTML(INTRO)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            prompt = gr.Textbox(label="Prompt", lines=2, max_lines=4, placeholder="a cute pet animal")
            with gr.Row():
                start = gr.Button("Paint", variant="primary", scale=3)
                stop = gr.Button("Stop", variant="stop", scale=1, interactive=False)
            example_buttons(pictures.example_prompts, prompt, label="Prompts to try")
            checkpoint = gr.Dropdown(
                list(session.engine.checkpoint_names("pictures")),
                value=session.engine.default_checkpoint("pictures"),
                label="Checkpoint",
                info="The base model, or its UNet after so many steps of fine-tuning.",
            )
            n_images = gr.Slider(1, MAX_IMAGES, PaintSettings.n_images, step=1, label="Images (K)")
            stop_when_decided = gr.Checkbox(
                False,
                label="Stop when decided",
                info="Paint no more once it is clear whether most images hallucinate: 8 at the least.",
            )
            with gr.Row():
                seed = gr.Number(
                    PaintSettings.seed, label="Seed", info="Image k uses seed + k.", precision=0, minimum=0
                )
                new_seed = gr.Button("🎲 Random seed", size="sm", min_width=120)
            with gr.Accordion("Sampling", open=False):
                steps = gr.Slider(1, MAX_STEPS, pictures.steps, step=1, label="Denoising steps")
                guidance = gr.Slider(0, MAX_GUIDANCE, pictures.guidance, step=0.5, label="Guidance scale")
            with gr.Accordion("Guided by density", open=False):
                gr.HTML(GUIDED_NOTE)
                way = gr.Radio(list(WAYS), value=next(iter(WAYS)), label="What is kept")
                per_image = gr.Slider(
                    2, MOST_PER_IMAGE, GuidedSettings.best_of, step=1, label="n: painted for each image wanted",
                    info=PER_IMAGE_INFO,
                )  # fmt: skip
        with gr.Column(scale=6, min_width=340):
            rate = gr.HTML(idle_card(BEFORE_FIRST) + first_look(session.engine.preset))
            gallery = verdict_gallery("Images: verdict, margin in nats", GALLERY_ID)
            frames = gr.HTML()
            hint = gr.HTML()
            details = gr.HTML()
            histogram = gr.Plot(show_label=False, visible=False)
            hdr_mass = mass_slider(IMAGES)
            mean = gr.HTML()
            with gr.Accordion("The mean under each class", open=False):
                table = gr.HTML()
            with gr.Accordion("How to read this", open=False):
                gr.Markdown(HOW_TO_READ)
            with gr.Accordion("Receipt (JSON): everything that repeats this result", open=False):
                record = gr.JSON(show_label=False)

    inputs = PaintInputs(prompt, checkpoint, n_images, seed, steps, guidance, hdr_mass)
    gr.HTML(LOOK_CLOSER)
    build_time_panel(session, inputs)
    build_given_panel(session, PanelControls(inputs, way, per_image, stop_when_decided))

    shown = [gallery, rate, frames, hint, histogram, mean, table, record, result]
    starting = gr.on(
        [start.click, prompt.submit], lambda: (stop_enabled(True), ""), None, [stop, details], **UNQUEUED
    )
    painting = starting.then(
        partial(paint_images, session), [way, per_image, stop_when_decided, *inputs.components()], shown,
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private",
        show_progress="minimal", show_progress_on=rate,
    )  # fmt: skip
    painting.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, painting, stopped, [result, hdr_mass], [*shown, stop])
    wire_details(session, gallery, [result], lambda painting: painting and painting.shown, hdr_mass, details)
    hdr_mass.change(decide_again, [result, hdr_mass], shown, trigger_mode="always_last", **UNQUEUED).then(
        lambda: "", None, details, **UNQUEUED
    )
    new_seed.click(random_seed, None, seed, **UNQUEUED)
    for name, endpoint in (
        ("paint", paint_endpoint), ("time_machine", time_machine_endpoint), ("score_image", score_image_endpoint),
    ):  # fmt: skip
        serve_endpoint(endpoint(session), name, on_device=True)
    return PaintTab(prompt, result)


def stopped(painting: Painting | None, hdr_mass: float) -> tuple[Any, ...]:
    """After Stop: the images judged so far stay, and the tab can be used again."""
    if painting is None:
        card = idle_card("Stopped before the first image was judged.")
        return gr.skip(), card, *(gr.skip(),) * 7, stop_enabled(False)
    again = painting.with_mass(hdr_mass)
    return shown_images(again.shown), *panels(again, is_stopped=True), again, stop_enabled(False)
