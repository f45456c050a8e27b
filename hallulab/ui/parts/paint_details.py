"""One image looked at closely: its densities, the genuine images nearest to it, its parts, how it wavered."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from hallulab.records import as_plain
from hallulab.scoring.attribute_truth import TRUTH_WORDS, attribute_words
from hallulab.scoring.genuine_neighbours import Neighbour
from hallulab.scoring.given_pictures import open_base64
from hallulab.scoring.image_details import ImageDetails, look_closely, png_data_uri
from hallulab.scoring.pictures import PaintResult
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.paint_gallery import enlarged
from hallulab.ui.parts.progress import progress_card
from hallulab.ui.parts.verdict import IMAGES, state_table, verdict_card
from hallulab.ui.session import DEVICE, Session

HINT = """
<p class="hl-note">On each image: the class it fits, or ✕ for none, and its margin in nats. Click one to see its
densities, its parts and the genuine images nearest to it.</p>
"""


def look_at(
    session: Session, result: PaintResult | None, index: int | None, hdr_mass: float
) -> Iterator[str]:
    """The card of one image of the gallery; closing it stops the work."""
    if result is None or index is None or not 0 <= index < len(result.images):
        yield ""
        return
    variances = [value for value in result.x0_variances if value is not None]
    own = result.x0_variances[index] if result.x0_variances else None
    title = f"Image {index + 1}, seed {result.seed_of(index)}"
    with shown_to_visitor():
        for step in look_closely(session.engine, result.images[index], hdr_mass=hdr_mass, x0_variance=own):
            if step.result is None:
                yield progress_card(step.message.capitalize() + " …")
            else:
                yield details_card(step.result, result.images[index], title, variances=variances)


def details_card(
    details: ImageDetails, image: Image.Image, title: str, *, variances: Sequence[float] = ()
) -> str:
    """Everything about one image; `variances` are those of the images painted with it."""
    card = verdict_card(details.verdict, IMAGES, hdr_mass=details.hcdr.hdr_mass)
    return (
        f'<div class="hl-details"><p><b>{escape(title)}</b></p><div class="hl-looked">'
        f'<img alt="{escape(title)}" src="{png_data_uri(enlarged(image))}">{card}</div>'
        f"{state_table(details.verdict, IMAGES)}{_parts(details)}{_wavering(details, variances)}"
        f"{_neighbours(details.neighbours)}</div>"
    )


def score_image_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/score_image`; gradio reads its interface off the type hints."""

    def endpoint(image: str, hdr_mass: float = 0.9) -> dict[str, Any]:
        """Judge any picture, given as base64 or as a data URI: densities, parts, nearest genuine images."""
        with shown_to_visitor():
            given = open_base64(image)
            found = [step.result for step in look_closely(session.engine, given.image, hdr_mass=hdr_mass)][-1]
        assert found is not None  # the last progress always holds the result
        return as_plain(found.to_json())

    return endpoint


def wire_details(
    session: Session,
    gallery: gr.Gallery,
    behind: Sequence[Component],
    shown: Callable[..., PaintResult | None],
    hdr_mass: gr.Slider,
    card: gr.HTML,
) -> None:
    """Show the details of the image that is clicked.

    Args:
        session: with the engine.
        gallery: of images.
        behind: components whose values tell what the gallery shows.
        shown: the images behind the gallery, from those values.
        hdr_mass: at which the image is judged.
        card: where the details appear.
    """

    def chosen(mass: float, event: gr.SelectData, *values: Any) -> Iterator[str]:
        index = event.index if type(event.index) is int else None  # from a browser, so it may be anything
        yield from look_at(session, shown(*values), index, mass)

    gallery.select(
        chosen, [hdr_mass, *behind], card, concurrency_id=DEVICE, concurrency_limit=1,
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip


def _parts(details: ImageDetails) -> str:
    if details.attributes is None or details.truth is None:
        return ""
    return (
        f'<p class="hl-sentence"><b>Its parts</b>, read by a probe that knows nothing of the regions: '
        f"{escape(attribute_words(details.attributes))}. So: {escape(TRUTH_WORDS[details.truth])}.</p>"
    )


def _wavering(details: ImageDetails, variances: Sequence[float]) -> str:
    """The second detector, which needs no genuine image: a number alone says little, so its rank is told."""
    value = details.x0_variance
    if value is None:
        return ""
    above = sum(other > value for other in variances)
    rank = f", rank {above + 1} of the {len(variances)} images here" if len(variances) > 1 else ""
    return (
        f'<p class="hl-sentence"><b>Wavering</b> while it was painted (variance of the predicted image over the last '
        f"steps): {value:.2g}{rank}. High values hint at a mixture of two classes; the verdict does not use it.</p>"
    )


def _neighbours(neighbours: Sequence[Neighbour]) -> str:
    if not neighbours:
        return ""
    if all(one.picture is None for one in neighbours):
        said = ", ".join(f"{escape(one.state)} {one.similarity:.2f}" for one in neighbours)
        return (
            '<p class="hl-note">Similarity to the nearest genuine images, whose pictures the frame does not keep: '
            f"{said}.</p>"
        )
    shown = "".join(
        f'<figure><img alt="a genuine {escape(one.state)}" src="{png_data_uri(one.picture)}">'
        f"<figcaption>{escape(one.state)}, {one.similarity:.2f}</figcaption></figure>"
        for one in neighbours
        if one.picture is not None
    )
    return (
        '<p class="hl-sentence"><b>Nearest genuine images</b> of each class, with their similarity (1 is the same):</p>'
        f'<div class="hl-nearest">{shown}</div>'
    )
