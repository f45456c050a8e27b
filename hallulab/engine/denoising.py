"""How well a pipeline's UNet finds the noise in pictures it did not learn from: its training objective, held out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hallulab.engine.autoencoder import encode_images
from hallulab.errors import RefusedInputError
from hallulab.models.denoising import predicted_noise, text_states

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline


@torch.inference_mode()
def denoising_losses(
    pipeline: "StableDiffusionPipeline",
    images: Sequence[Image.Image],
    captions: Sequence[str],
    *,
    seed: int,
    n_times: int = 8,
    batch_size: int = 64,
) -> NDArray[np.float64]:
    """Mean squared error of the predicted noise for each picture.

    Picture k has its own noise and times, which follow from seed + k alone: whoever's UNet is asked is asked the same.
    Its times are one from each of `n_times` equal parts of the way to noise, so that their mean varies little.

    Args:
        pipeline: one that predicts noise; its UNet as it paints.
        images: pictures, all of one size.
        captions: one for each.
        seed: of noise and times.
        n_times: noisy versions of each picture.
        batch_size: noisy versions that the UNet sees at once.

    Returns: shape (n,), means over a picture's noisy versions.
    Raises RefusedInputError for a pipeline that predicts something else, and for unequal numbers.
    """
    if len(images) != len(captions):
        raise RefusedInputError(
            f"expected one caption per picture, got {len(captions)} for {len(images)} pictures"
        )
    check_predicts_noise(pipeline)
    alphas = pipeline.scheduler.alphas_cumprod
    losses = []
    n_at_once = max(1, batch_size // n_times)
    for start in range(0, len(images), n_at_once):
        part = slice(start, start + n_at_once)
        latents = encode_images(pipeline, images[part])
        versions = [
            _noise_and_times(latents.shape[1:], len(alphas), n_times, seed + start + row)
            for row in range(len(latents))
        ]
        noise, times = (torch.cat(parts) for parts in zip(*versions, strict=True))
        text = text_states(pipeline.text_encoder, pipeline.tokenizer, list(captions[part]))
        device, dtype = latents.device, latents.dtype
        noise = noise.to(device, dtype)
        predicted = predicted_noise(
            pipeline.unet,
            latents.repeat_interleave(n_times, dim=0),
            noise,
            times.to(device),
            text.repeat_interleave(n_times, dim=0).to(dtype),
            alphas.to(device, dtype),
        )
        errors = (predicted - noise.float()).square().mean(dim=(1, 2, 3))
        losses.append(errors.reshape(len(latents), n_times).mean(dim=1))
    return torch.cat(losses).double().cpu().numpy() if losses else np.empty(0)


def check_predicts_noise(pipeline: "StableDiffusionPipeline") -> None:
    """Refuse a pipeline whose UNet predicts something else: its loss is another quantity."""
    kind = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if kind != "epsilon":
        raise RefusedInputError(f"expected a pipeline whose UNet predicts noise (epsilon), got {kind}")


def _noise_and_times(
    shape: Sequence[int], n_train_times: int, n_times: int, seed: int
) -> tuple[Tensor, Tensor]:
    """(n_times, *shape) noise and (n_times,) times of one picture, drawn on the CPU: the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((n_times, *shape), generator=generator)
    within = torch.rand(n_times, generator=generator, dtype=torch.float64)
    times = ((torch.arange(n_times) + within) / n_times * n_train_times).long()
    return noise, times.clamp(max=n_train_times - 1)
