"""Painted images as the page shows them: captioned and framed by their verdict, their recipe inside."""

import base64
import io
from collections.abc import Sequence

import gradio as gr
from PIL import Image

from hallulab.densities.hcdr import Verdict
from hallulab.reports.figures import INSIDE, OUTSIDE
from hallulab.scoring.image_details import png_data_uri
from hallulab.scoring.picture_recipes import CHUNK, png_chunk, png_text
from hallulab.scoring.pictures import PaintResult

SHOWN_SIDE_PX = 256
"""small images are enlarged to this side where one is looked at"""
FORMING_SIDE_PX = 128
"""largest side of a preview"""
GALLERY_CLASS = "hl-gallery"


def verdict_gallery(label: str, gallery_id: str) -> gr.Gallery:
    """An empty gallery for framed images; `shown_images` fills it. The label, for screen readers, hides no corner."""
    return gr.Gallery(
        label=label, show_label=False, elem_id=gallery_id, elem_classes=GALLERY_CLASS, format="png", columns=4,
        visible=False, object_fit="contain", height="auto", interactive=False, buttons=["download", "fullscreen"],
    )  # fmt: skip


def shown_images(result: PaintResult) -> gr.Gallery:
    """The images as the gallery shows them, captioned with their verdict, the recipe in each PNG."""
    return shown_gallery([(with_recipe(result, k), caption(result, k)) for k in range(len(result.images))])


def shown_gallery(images: Sequence[Image.Image | tuple[Image.Image, str]]) -> gr.Gallery:
    """The gallery with these images, in more columns when they are many; hidden while there are none."""
    columns = 4 if len(images) <= 16 else 8
    return gr.Gallery(list(images), columns=columns, visible=bool(images), selected_index=None)


def caption(result: PaintResult, index: int) -> str:
    """Verdict and margin of one image in a few words."""
    if result.scores is None:
        return f"seed {result.seed_of(index)}"
    verdict = result.scores.verdicts[index]
    sign = "✕" if verdict.is_hallucination else f"✓ {nearest_state(verdict)}"
    return f"{sign} {verdict.margin_nats:+.1f}"


def nearest_state(verdict: Verdict) -> str:
    """The state whose threshold the image clears by most."""
    return max(verdict.states, key=lambda state: state.log_density - state.threshold).state


def gallery_frames(result: PaintResult, gallery_id: str) -> str:
    """A style sheet that frames each image of the gallery in the colour of its verdict."""
    if result.scores is None:
        return ""
    rules = "".join(
        f"#{gallery_id} .gallery-item:nth-child({index + 1}) .thumbnail-item "
        f"{{ outline: 4px solid {OUTSIDE if verdict.is_hallucination else INSIDE}; outline-offset: -1px; }}"
        for index, verdict in enumerate(result.scores.verdicts)
    )
    return f"<style>{rules}</style>"


def forming_strip(pictures: Sequence[Image.Image]) -> str:
    """Images that are still being denoised, as they are predicted to become."""
    if not pictures:
        return ""
    shown = "".join(f'<img alt="" src="{_small_jpeg(picture)}">' for picture in pictures)
    return (
        f'<div class="hl-forming" aria-hidden="true">{shown}</div>'
        '<p class="hl-note">Still being painted: what each image is predicted to become.</p>'
    )


def enlarged(image: Image.Image) -> Image.Image:
    """A small image at a size people can look at."""
    scale = max(1, SHOWN_SIDE_PX // image.width)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)


def with_recipe(result: PaintResult, index: int) -> Image.Image:
    """The image as painted, which the browser enlarges; gradio writes its `info` into the PNG's text."""
    image = result.images[index].copy()
    image.info = {CHUNK: png_text(result.recipe(index))}
    return image


def painted_png(result: PaintResult, index: int) -> str:
    """One image as painted, as a PNG data URI with its recipe inside."""
    return png_data_uri(result.images[index], pnginfo=png_chunk(result.recipe(index)))


def _small_jpeg(picture: Image.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((FORMING_SIDE_PX, FORMING_SIDE_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
