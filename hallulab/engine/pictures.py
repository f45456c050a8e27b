"""From a prompt to images, one denoising step at a time so that a job can stop, and on to embeddings."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip, embed_pixels, preprocess_images

MAX_IMAGES = 64
MAX_STEPS = 200
MAX_GUIDANCE = 30.0
MAX_PROMPT_CHARACTERS = 1000
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class PaintSettings:
    """How images are painted."""

    n_images: int = 16
    """Images of one prompt."""
    seed: int = 0
    """Image k is painted from seed + k, whatever the batch."""
    steps: int = 20
    """Denoising steps."""
    guidance: float = 3.0
    """Classifier-free guidance scale; up to 1 means none."""
    size: int = 64
    """Side of an image, pixels."""
    batch_size: int = 16
    """Images painted at once."""

    @property
    def n_steps(self) -> int:
        """Denoising steps of the whole job, over all batches."""
        return self.steps * -(-self.n_images // self.batch_size)

    def __post_init__(self) -> None:
        _check_range("images", self.n_images, 1, MAX_IMAGES)
        _check_range("seed", self.seed, 0, MAX_SEED)
        _check_range("steps", self.steps, 1, MAX_STEPS)
        _check_range("guidance", self.guidance, 0, MAX_GUIDANCE)
        _check_range("batch size", self.batch_size, 1, MAX_IMAGES)
        if self.size < 16 or self.size % 8:
            raise RefusedInputError(f"expected an image size that is a multiple of 8, got {self.size}")


@dataclass(frozen=True)
class PaintStep:
    """How far a painting job is."""

    n_done: int
    """Denoising steps done, over all batches."""
    n_total: int
    """Denoising steps in all."""
    images: tuple[Image.Image, ...]
    """The finished images, in order of their seeds."""


def check_prompt(prompt: str) -> str:
    """The prompt without spaces around it; RefusedInputError when it is empty or too long."""
    text = prompt.strip()
    if not text:
        raise RefusedInputError(
            "expected a prompt, got an empty one: say what to paint, such as 'a cute pet animal'"
        )
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise RefusedInputError(
            f"expected a prompt of at most {MAX_PROMPT_CHARACTERS} characters, got {len(text)}: shorten it"
        )
    return text


def stream_images(
    pipeline: StableDiffusionPipeline, prompt: str, settings: PaintSettings
) -> Iterator[PaintStep]:
    """Paint, yielding after every denoising step; closing the generator stops the work.

    Gives what `pipeline(prompt, latents=...)` gives for the initial noise of `initial_noise`.
    """
    text = check_prompt(prompt)
    seeds = list(range(settings.seed, settings.seed + settings.n_images))
    batches = [
        seeds[start : start + settings.batch_size] for start in range(0, len(seeds), settings.batch_size)
    ]
    images: list[Image.Image] = []
    n_done = 0
    for batch in batches:
        scheduler = _own_scheduler(pipeline, settings.steps)
        n_steps = len(scheduler.timesteps)  # some schedulers take more steps than they are asked for
        for n_of_batch, latents in enumerate(_denoise(pipeline, scheduler, text, batch, settings), start=1):
            n_done += 1
            if n_of_batch == n_steps:
                images += _decode(pipeline, latents)
            yield PaintStep(n_done, n_steps * len(batches), tuple(images))


def initial_noise(pipeline: StableDiffusionPipeline, seeds: list[int], size: int) -> Tensor:
    """(n, channels, side, side) standard normal noise, one generator per seed."""
    side = size // pipeline.vae_scale_factor
    shape = (pipeline.unet.config["in_channels"], side, side)
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows)


def embed_images(clip: LoadedClip, images: list[Image.Image], batch_size: int = 64) -> NDArray[np.float32]:
    """(n, d) float32 image embeddings, not normalised."""
    device = next(clip.model.parameters()).device
    parts = []
    for start in range(0, len(images), batch_size):
        pixels = preprocess_images(clip, images[start : start + batch_size])
        parts.append(embed_pixels(clip.model, pixels.to(device)).cpu().numpy())
    if not parts:
        raise RefusedInputError("expected at least one image to embed, got none")
    return np.concatenate(parts).astype(np.float32)


def _own_scheduler(pipeline: StableDiffusionPipeline, n_steps: int) -> Any:
    """A fresh scheduler set to `n_steps`: it keeps its history between steps, so jobs cannot share one."""
    scheduler: Any = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(n_steps, device=pipeline._execution_device)
    return scheduler


def _denoise(
    pipeline: StableDiffusionPipeline, scheduler: Any, prompt: str, seeds: list[int], settings: PaintSettings
) -> Iterator[Tensor]:
    """The latents after each step of the classifier-free guided loop of `StableDiffusionPipeline`."""
    device = pipeline._execution_device
    guided = settings.guidance > 1
    with torch.inference_mode():
        conditions = _text_conditions(pipeline, prompt, len(seeds), guided, device)
        noise = initial_noise(pipeline, seeds, settings.size).to(device, conditions.dtype)
        latents = noise * scheduler.init_noise_sigma
    extra = _step_arguments(scheduler, seeds)
    for time in scheduler.timesteps:
        with torch.inference_mode():
            doubled = torch.cat([latents, latents]) if guided else latents
            scaled = scheduler.scale_model_input(doubled, time)
            predicted = pipeline.unet(scaled, time, encoder_hidden_states=conditions, return_dict=False)[0]
            if guided:
                without, with_text = predicted.chunk(2)
                predicted = without + settings.guidance * (with_text - without)
            latents = scheduler.step(predicted, time, latents, **extra, return_dict=False)[0]
        yield latents


def _text_conditions(
    pipeline: StableDiffusionPipeline, prompt: str, n: int, guided: bool, device: torch.device
) -> Tensor:
    """(n or 2n, tokens, width) text states; the empty prompt's come first when guided."""
    encoded: Any = pipeline.encode_prompt(prompt, device, n, guided)
    with_text, without = encoded
    return torch.cat([without, with_text]) if guided else with_text


def _step_arguments(scheduler: Any, seeds: list[int]) -> dict[str, Any]:
    """One generator per image for schedulers that draw noise at every step."""
    accepted = inspect.signature(scheduler.step).parameters
    if "generator" not in accepted:
        return {}
    # The first draws of each seed made the initial noise: start from another stream.
    return {"generator": [torch.Generator().manual_seed(2**32 + seed) for seed in seeds]}


@torch.inference_mode()
def _decode(pipeline: StableDiffusionPipeline, latents: Tensor) -> list[Image.Image]:
    pixels = pipeline.vae.decode(latents / pipeline.vae.config["scaling_factor"], return_dict=False)[0]
    images: Any = pipeline.image_processor.postprocess(pixels.detach(), output_type="pil")
    return images


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RefusedInputError(f"expected {name} between {low} and {high}, got {value}")
