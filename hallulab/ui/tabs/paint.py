"""The Paint tab: a prompt, its images, and each one's verdict among genuine images."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from PIL import Image

from hallulab.densities.hcdr import Verdict
from hallulab.engine.pictures import MAX_GUIDANCE, MAX_IMAGES, MAX_STEPS, PaintSettings
from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, OUTSIDE, Candidate, density_histograms
from hallulab.scoring.pictures import PaintProgress, PaintResult, paint, recipe_chunk
from hallulab.ui.parts.controls import (
    DEFAULT_HDR_MASS,
    UNQUEUED,
    mass_slider,
    random_seed,
    shown_plot,
    stop_enabled,
    wire_stop,
)
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import IMAGES, rate_card, state_table, verdict_card
from hallulab.ui.session import DEVICE, Session

SHOWN_SIDE_PX = 256
"""small images are enlarged to this side for the gallery"""
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
- **The mean of all K images** is the paper's test. A mean need not resemble any image: it falls between the
  kinds of one class, so even means of genuine images can be outside. It is therefore also held against means of K
  *genuine* images of one class.
"""


@dataclass(frozen=True)
class PaintTab:
    """What other parts of the page may listen to."""

    prompt: gr.Textbox
    result: gr.State


def paint_images(
    session: Session,
    prompt: str | None,
    checkpoint: str,
    n_images: float,
    seed: float,
    steps: float,
    guidance: float,
    hdr_mass: float,
) -> Iterator[tuple[Any, ...]]:
    """Paint and judge, yielding the panels after every denoising step; closing it stops the work."""
    with shown_to_visitor():
        for progress in _painting(
            session, prompt or "", checkpoint, n_images, seed, steps, guidance, hdr_mass
        ):
            if progress.result is not None:
                yield (shown_images(progress.result), *panels(progress.result), progress.result)
            else:
                card = progress_card(progress.message.capitalize() + " …", progress.n_done, progress.n_total)
                images = [enlarged(image) for image in progress.images]
                yield (shown_gallery(images), card, "", shown_plot(None), "", "", None, None)


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
    ) -> dict[str, Any]:
        """Paint a prompt and judge every image: the JSON of `hallulab paint`, each PNG as a data URI."""
        with shown_to_visitor():
            jobs = _painting(session, prompt, checkpoint, n_images, seed, steps, guidance, hdr_mass)
            result = [progress.result for progress in jobs][-1]
        assert result is not None  # the last progress always holds the result
        record = result.to_json()
        for index, image in enumerate(record["images"]):
            image["png"] = png_data_uri(result, index)
        return as_plain(record)

    return endpoint


def decide_again(result: PaintResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """Gallery and panels of the last result at another mass, with no model call."""
    if result is None:
        return shown_gallery([]), idle_card(BEFORE_FIRST), "", shown_plot(None), "", "", None
    with shown_to_visitor():
        again = result.with_mass(hdr_mass)
        return shown_images(again), *panels(again)


def panels(result: PaintResult) -> tuple[str, str, gr.Plot, str, str, dict[str, Any]]:
    """Rate card, gallery frames, histogram, mean card, table and record of a result."""
    scores = result.scores
    if scores is None:
        card = verdict_card(None, IMAGES, hdr_mass=DEFAULT_HDR_MASS, reason=result.reason or "")
        return card, "", shown_plot(None), "", "", as_plain(result.to_json())
    candidates = [
        Candidate(f"image {index + 1}, seed {result.settings.seed + index}", verdict)
        for index, verdict in enumerate(scores.verdicts)
    ]
    return (
        rate_card(
            scores.n_outside, len(scores.verdicts), scores.interval, IMAGES, hdr_mass=scores.hcdr.hdr_mass
        ),
        gallery_frames([verdict.is_hallucination for verdict in scores.verdicts]),
        shown_plot(density_histograms(scores.hcdr, candidates, what="images")),
        mean_card(result),
        state_table(scores.mean_verdict, IMAGES),
        as_plain(result.to_json()),
    )


def mean_card(result: PaintResult) -> str:
    """The paper's test and its K-matched companion, each with its own label."""
    assert result.scores is not None
    scores, n = result.scores, len(result.images)
    paper, matched = scores.mean_verdict, scores.matched_verdict
    seen = {_nearest(verdict) for verdict in scores.verdicts if not verdict.is_hallucination}
    return (
        f'<p class="hl-sentence"><b>Mean of the {n} images</b> (the paper’s test): '
        f"{'outside' if paper.is_hallucination else 'inside'}, "
        f"{paper.margin_nats:+.1f} nats from the threshold. "
        f"<b>Against means of {n} genuine images</b> of one class: "
        f"{'outside' if matched.is_hallucination else 'inside'}, {matched.margin_nats:+.1f} nats.</p>"
        f"{AVERAGING_NOTE if paper.is_hallucination and len(seen) > 1 else ''}"
    )


def shown_images(result: PaintResult) -> gr.Gallery:
    """The images as the gallery shows them, captioned with their verdict, the recipe in each PNG."""
    return shown_gallery([(with_recipe(result, k), caption(result, k)) for k in range(len(result.images))])


def shown_gallery(images: Sequence[Image.Image | tuple[Image.Image, str]]) -> gr.Gallery:
    """The gallery with these images, in more columns when they are many; hidden while there are none."""
    return gr.Gallery(list(images), columns=4 if len(images) <= 16 else 8, visible=bool(images))


def caption(result: PaintResult, index: int) -> str:
    """Verdict and margin of one image in a few words."""
    if result.scores is None:
        return f"seed {result.settings.seed + index}"
    verdict = result.scores.verdicts[index]
    sign = "✕" if verdict.is_hallucination else f"✓ {_nearest(verdict)}"
    return f"{sign} {verdict.margin_nats:+.1f}"


def gallery_frames(outside: list[bool]) -> str:
    """A style sheet that frames each image of the gallery in the colour of its verdict."""
    rules = "".join(
        f"#{GALLERY_ID} .gallery-item:nth-child({index + 1}) .thumbnail-item "
        f"{{ outline: 4px solid {OUTSIDE if is_outside else INSIDE}; outline-offset: -1px; }}"
        for index, is_outside in enumerate(outside)
    )
    return f"<style>{rules}</style>"


def enlarged(image: Image.Image) -> Image.Image:
    """A small image at a size people can look at."""
    scale = max(1, SHOWN_SIDE_PX // image.width)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)


def with_recipe(result: PaintResult, index: int) -> Image.Image:
    """The enlarged image; gradio writes its `info` into the PNG's text."""
    image = enlarged(result.images[index])
    image.info = {"hallulab": _recipe_text(result, index)}
    return image


def png_data_uri(result: PaintResult, index: int) -> str:
    """One image as painted, as a PNG with its recipe inside."""
    buffer = io.BytesIO()
    result.images[index].save(buffer, "PNG", pnginfo=recipe_chunk(result.recipe(index)))
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


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
            gr.Examples([[example] for example in pictures.example_prompts], [prompt], label="Prompts to try")
            checkpoint = gr.Dropdown(
                list(session.engine.checkpoint_names("pictures")),
                value=session.engine.default_checkpoint("pictures"),
                label="Checkpoint",
                info="The base model, or its UNet after so many steps of fine-tuning.",
            )
            n_images = gr.Slider(1, MAX_IMAGES, PaintSettings.n_images, step=1, label="Images (K)")
            with gr.Row():
                seed = gr.Number(
                    PaintSettings.seed, label="Seed", info="Image k uses seed + k.", precision=0, minimum=0
                )
                new_seed = gr.Button("🎲 Random seed", size="sm", min_width=120)
            with gr.Accordion("Sampling", open=False):
                steps = gr.Slider(1, MAX_STEPS, pictures.steps, step=1, label="Denoising steps")
                guidance = gr.Slider(0, MAX_GUIDANCE, pictures.guidance, step=0.5, label="Guidance scale")
        with gr.Column(scale=6, min_width=340):
            rate = gr.HTML(idle_card(BEFORE_FIRST))
            gallery = gr.Gallery(
                label="Images: verdict, margin in nats", elem_id=GALLERY_ID, format="png", columns=4, visible=False,
                object_fit="contain", height="auto", interactive=False, buttons=["download", "fullscreen"],
            )  # fmt: skip
            frames = gr.HTML()
            histogram = gr.Plot(show_label=False, visible=False)
            hdr_mass = mass_slider(IMAGES)
            mean = gr.HTML()
            with gr.Accordion("The mean under each class", open=False):
                table = gr.HTML()
            with gr.Accordion("How to read this", open=False):
                gr.Markdown(HOW_TO_READ)
            with gr.Accordion("Receipt (JSON): everything that repeats this result", open=False):
                record = gr.JSON(show_label=False)

    shown = [rate, frames, histogram, mean, table, record]
    settings = [prompt, checkpoint, n_images, seed, steps, guidance, hdr_mass]
    starting = gr.on([start.click, prompt.submit], partial(stop_enabled, True), None, stop, **UNQUEUED)
    painting = starting.then(
        partial(paint_images, session), settings, [gallery, *shown, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private",
        show_progress="minimal", show_progress_on=rate,
    )  # fmt: skip
    painting.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, painting, stopped, None, [rate, stop])
    hdr_mass.change(
        decide_again, [result, hdr_mass], [gallery, *shown], trigger_mode="always_last", **UNQUEUED
    )
    new_seed.click(random_seed, None, seed, **UNQUEUED)
    gr.api(paint_endpoint(session), api_name="paint", concurrency_id=DEVICE, concurrency_limit=1)
    return PaintTab(prompt, result)


def stopped() -> tuple[str, Any]:
    """After Stop: the finished images stay."""
    return idle_card("Stopped. The images finished before stay in the gallery."), stop_enabled(False)


def _nearest(verdict: Verdict) -> str:
    """The state whose threshold the image clears by most."""
    return max(verdict.states, key=lambda state: state.log_density - state.threshold).state


def _recipe_text(result: PaintResult, index: int) -> str:
    return json.dumps(as_plain(result.recipe(index)), ensure_ascii=False)


def _painting(
    session: Session,
    prompt: str,
    checkpoint: str | None,
    n_images: float,
    seed: float,
    steps: float,
    guidance: float,
    hdr_mass: float,
) -> Iterator[PaintProgress]:
    settings = PaintSettings(
        n_images=int(n_images),
        seed=int(seed),
        steps=int(steps),
        guidance=float(guidance),
        size=session.engine.preset.pictures.size,
    )
    return paint(session.engine, prompt, settings, checkpoint=checkpoint, hdr_mass=hdr_mass)
