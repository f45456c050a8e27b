"""One image looked at closely: its densities, the genuine images nearest to it, its parts, how it wavered."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.engine.core import Engine
from hallulab.engine.pictures import embed_images
from hallulab.errors import RefusedInputError
from hallulab.models.attribute_probe import Attribute, read_attributes
from hallulab.scoring.attribute_truth import Truth, truth_of
from hallulab.scoring.genuine_neighbours import Neighbour, drawn_again, nearest_genuine
from hallulab.scoring.job_progress import JobProgress, taking_turns
from hallulab.scoring.picture_frames import NO_FRAME, frame_of
from hallulab.scoring.picture_verdicts import verdict_json
from hallulab.theory.regions import check_mass


@dataclass(frozen=True)
class ImageDetails:
    """Everything the world knows about one image."""

    hcdr: HcdrFrame
    """Genuine log-densities and thresholds, at the mass asked for."""
    verdict: Verdict
    """Its log-density under every state, and whether it is a hallucination."""
    neighbours: tuple[Neighbour, ...]
    """Nearest held-out genuine images of every state."""
    attributes: dict[str, Attribute] | None
    """Part → what the probe reads there; None in a world without a probe."""
    x0_variance: float | None
    """Of its predicted clean latents over the last denoising steps; None when it was not painted here."""

    @property
    def truth(self) -> Truth | None:
        """What its parts make it, where they can be read."""
        return None if self.attributes is None else truth_of(self.attributes)

    def to_json(self) -> dict[str, Any]:
        """What the endpoint gives; pictures as PNG data URIs."""
        return {
            **verdict_json(self.verdict),
            "thresholds": {state.state: state.threshold for state in self.verdict.states},
            "is_hallucination": self.verdict.is_hallucination,
            "hdr_mass": self.hcdr.hdr_mass,
            "frame_hash": self.verdict.frame_hash,
            "x0_variance": self.x0_variance,
            "attributes": None
            if self.attributes is None
            else {
                part: {"value": one.value, "probability": one.probability}
                for part, one in self.attributes.items()
            },
            "truth": self.truth,
            "nearest_genuine": [
                {
                    "state": one.state,
                    "row": one.row,
                    "similarity": one.similarity,
                    "png": None if one.picture is None else png_data_uri(one.picture),
                }
                for one in self.neighbours
            ],
        }


def look_closely(
    engine: Engine, image: Image.Image, *, hdr_mass: float = 0.9, x0_variance: float | None = None
) -> Iterator[JobProgress[ImageDetails]]:
    """Judge one RGB image and find what it resembles, in the engine's turn; the last progress holds the result.

    Raises RefusedInputError for a mass that cannot be used and for a preset without a frame.
    """
    check_mass(hdr_mass)
    frame = frame_of(engine)
    if frame is None:
        raise RefusedInputError(NO_FRAME)
    with engine.enter("image") as ticket:
        yield from taking_turns(ticket)
        clip, probe = engine.clip(), engine.attribute_probe()
        frame.check_embedder(clip)
        embedding = embed_images(clip, [image])[0]
        hcdr = frame.features.hcdr.with_mass(hdr_mass)
        verdict = hcdr.decide(frame.features.log_densities(embedding[None]))[0]
        neighbours = drawn_again(frame, engine.preset.pictures.frame, clip, nearest_genuine(frame, embedding))
        attributes = None if probe is None else read_attributes(probe, [image])[0]
    yield JobProgress("judged", 1.0, ImageDetails(hcdr, verdict, neighbours, attributes, x0_variance))


def png_data_uri(image: Image.Image, **options: Any) -> str:
    """A picture as text that a browser shows; `options` go to Pillow's writer."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
