"""Pictures through a pipeline's autoencoder: into latents, and back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from hallulab.engine.pictures import decode_latents

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline


@torch.inference_mode()
def encode_images(pipeline: "StableDiffusionPipeline", images: Sequence[Image.Image]) -> Tensor:
    """(n, channels, side, side) most likely latents, scaled as the UNet sees them."""
    vae: Any = pipeline.vae
    pixels: Any = pipeline.image_processor.preprocess(list(images))
    encoded = vae.encode(pixels.to(vae.device, vae.dtype), return_dict=False)[0]
    return encoded.mode() * vae.config["scaling_factor"]


def through_autoencoder(
    pipeline: "StableDiffusionPipeline", images: Sequence[Image.Image], batch_size: int = 50
) -> list[Image.Image]:
    """Images encoded and decoded again: what a painter that makes no mistake would give."""
    decoded = []
    for start in range(0, len(images), batch_size):
        decoded += decode_latents(pipeline, encode_images(pipeline, images[start : start + batch_size]))
    return decoded
