"""The slow obvious way to paint and judge, which every way of the product must agree with."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from hallulab.densities.hcdr import Verdict
from hallulab.engine.core import Engine
from hallulab.engine.pictures import PaintSettings, embed_images, initial_noise
from hallulab.scoring.picture_frames import frame_of


@dataclass(frozen=True)
class PlainImage:
    """One image and its verdict."""

    seed: int
    image: Image.Image
    verdict: Verdict


def plainly_painted(
    engine: Engine,
    prompt: str,
    settings: PaintSettings,
    *,
    checkpoint: str | None = None,
    hdr_mass: float = 0.9,
) -> list[PlainImage]:
    """One call of the pipeline for each image, each embedded and judged alone."""
    pipeline, frame, found = engine.painter(checkpoint), frame_of(engine), []
    assert frame is not None
    for seed in range(settings.seed, settings.seed + settings.n_images):
        image = pipeline(
            prompt,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            height=settings.size,
            width=settings.size,
            latents=initial_noise(pipeline, [seed], settings.size),
        ).images[0]
        embedding = embed_images(engine.clip(), [image])
        verdict = frame.features.hcdr.with_mass(hdr_mass).decide(frame.features.log_densities(embedding))[0]
        found.append(PlainImage(seed, image, verdict))
    return found


def pixel_difference(one: Image.Image, other: Image.Image) -> int:
    """Greatest difference of any pixel, of 255."""
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())
