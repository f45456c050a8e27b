"""From a prompt to images, one denoising step at a time so that a job can stop, and on to embeddings."""

import inspect
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip, embed_pixels, preprocess_images

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

MAX_IMAGES = 64
MAX_STEPS = 200
MAX_GUIDANCE = 30.0
MAX_PROMPT_CHARACTERS = 1000
MAX_SEED = 2**31 - 1
MAX_SIZE = 4096


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
    variance_steps: int = 5
    """Last denoising steps over which the variance of the predicted clean latents is taken."""

    @property
    def n_steps(self) -> int:
        """Denoising steps of the whole job, over all batches."""
        return self.steps * -(-self.n_images // self.batch_size)

    def __post_init__(self) -> None:
        _check_range("images", self.n_images, 1, MAX_IMAGES)
        _check_range("seed", self.seed, 0, MAX_SEED)
        if self.seed + self.n_images - 1 > MAX_SEED:
            raise RefusedInputError(
                f"expected a seed of at most {MAX_SEED - self.n_images + 1} for {self.n_images} images, which have "
                f"seeds that follow one another, got {self.seed}"
            )
        _check_range("steps", self.steps, 1, MAX_STEPS)
        _check_range("guidance", self.guidance, 0, MAX_GUIDANCE)
        _check_range("batch size", self.batch_size, 1, MAX_IMAGES)
        _check_range("variance steps", self.variance_steps, 2, MAX_STEPS)
        _check_range("image size", self.size, 16, MAX_SIZE)
        if self.size % 8:
            raise RefusedInputError(f"expected an image size that is a multiple of 8, got {self.size}")


@dataclass(frozen=True)
class PaintedImage:
    """One finished image and what its denoising left behind."""

    seed: int
    """What its noise was drawn from."""
    image: Image.Image
    """RGB."""
    x0_variance: float | None
    """Variance of its predicted clean latents over the last steps, see `x0_variances`; None for a single step."""


@dataclass(frozen=True)
class PaintStep:
    """How far a painting job is."""

    n_done: int
    """Denoising steps done, over all batches."""
    n_total: int
    """Denoising steps in all."""
    painted: tuple[PaintedImage, ...]
    """The finished images, in order of their seeds."""
    predicted_x0: Tensor
    """(n, channels, side, side) clean latents as this step predicts them, of the batch being painted."""

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """The finished images alone."""
        return tuple(one.image for one in self.painted)


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
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RefusedInputError(
            f"expected a prompt of whole characters, got half of one at place {error.start + 1}: write it again"
        ) from error
    return text


def stream_images(
    pipeline: "StableDiffusionPipeline", prompt: str, settings: PaintSettings
) -> Iterator[PaintStep]:
    """Paint, yielding after every denoising step; closing the generator stops the work.

    Gives what `pipeline(prompt, latents=...)` gives for the initial noise of `initial_noise`.
    """
    text = check_prompt(prompt)
    seeds = list(range(settings.seed, settings.seed + settings.n_images))
    batches = [
        seeds[start : start + settings.batch_size] for start in range(0, len(seeds), settings.batch_size)
    ]
    painted: list[PaintedImage] = []
    n_done = 0
    for batch in batches:
        scheduler = _own_scheduler(pipeline, settings.steps)
        n_steps = len(scheduler.timesteps)  # some schedulers take more steps than they are asked for
        last_x0: deque[Tensor] = deque(maxlen=settings.variance_steps)
        for n_of_batch, (latents, x0) in enumerate(
            denoise(pipeline, scheduler, text, batch, settings), start=1
        ):
            n_done += 1
            last_x0.append(x0)
            if n_of_batch == n_steps:
                variances = x0_variances(last_x0)
                images = decode_latents(pipeline, latents)
                painted += [PaintedImage(*one) for one in zip(batch, images, variances, strict=True)]
            yield PaintStep(n_done, n_steps * len(batches), tuple(painted), x0)


def x0_variances(predicted_x0: Iterable[Tensor]) -> list[float | None]:
    """Per image, how much the predicted clean latents still move over the steps given.

    The variance over steps of each latent value, averaged over them: the Hal(x) of Aithal, Maini, Lipton and
    Kolter, *Understanding Hallucinations in Diffusion Models through Mode Interpolation* (2024), of latents
    instead of pixels. It is meant to be high where a sample wavers between modes; it knows no genuine image.

    Args:
        predicted_x0: one (n, channels, side, side) tensor per step.

    Returns: n variances, squared units of the latents; None for fewer than two steps, which have none.
    """
    steps = torch.stack(list(predicted_x0))  # (steps, n, channels, side, side)
    if len(steps) < 2:
        return [None] * steps.shape[1]
    return steps.float().var(dim=0, correction=0).mean(dim=(1, 2, 3)).tolist()


def initial_noise(pipeline: "StableDiffusionPipeline", seeds: list[int], size: int) -> Tensor:
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


def _own_scheduler(pipeline: "StableDiffusionPipeline", n_steps: int) -> Any:
    """A fresh scheduler set to `n_steps`: it keeps its history between steps, so jobs cannot share one."""
    scheduler: Any = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(n_steps, device=pipeline._execution_device)
    return scheduler


def denoise(
    pipeline: "StableDiffusionPipeline",
    scheduler: Any,
    prompt: str,
    seeds: list[int],
    settings: PaintSettings,
    *,
    start: Tensor | None = None,
    first_step: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The classifier-free guided loop of `StableDiffusionPipeline`: latents after each step, and predicted x0.

    Args:
        pipeline: whose UNet and text encoder work.
        scheduler: set to its steps, used by no other job.
        prompt: what to paint.
        seeds: one per image.
        settings: guidance and size.
        start: (n, channels, side, side) latents before `first_step`; noise from the seeds when None.
        first_step: where to begin in the scheduler's steps.
    """
    device = pipeline._execution_device
    guided = settings.guidance > 1
    with torch.inference_mode():
        conditions = _text_conditions(pipeline, prompt, len(seeds), guided, device)
        given = initial_noise(pipeline, seeds, settings.size) if start is None else start
        latents = given.to(device, conditions.dtype)
        if start is None:
            latents = latents * scheduler.init_noise_sigma
    extra = _step_arguments(scheduler, seeds)
    for index, time in enumerate(scheduler.timesteps[first_step:], start=first_step):
        with torch.inference_mode():
            doubled = torch.cat([latents, latents]) if guided else latents
            scaled = scheduler.scale_model_input(doubled, time)
            predicted = pipeline.unet(scaled, time, encoder_hidden_states=conditions, return_dict=False)[0]
            if guided:
                without, with_text = predicted.chunk(2)
                predicted = without + settings.guidance * (with_text - without)
            x0 = _predicted_x0(scheduler, index, scaled[: len(seeds)], predicted)
            latents = scheduler.step(predicted, time, latents, **extra, return_dict=False)[0]
        yield latents, x0


def renoised_variances(
    pipeline: "StableDiffusionPipeline", images: Sequence[Image.Image], prompt: str, settings: PaintSettings
) -> list[float | None]:
    """`x0_variances` of pictures that were not painted here, as if their last steps were painted again.

    Each is encoded, noised to where its last `variance_steps` begin (picture k by seed + k), and denoised.

    Args:
        pipeline: whose UNet looks at them.
        images: pictures, scaled to the settings' size.
        prompt: what they are said to show.
        settings: seed, steps, guidance, size, batch size and variance steps; the number of images is not read.
    """
    text, variances = check_prompt(prompt), []
    for begin in range(0, len(images), settings.batch_size):
        part = [
            image.resize((settings.size, settings.size))
            for image in images[begin : begin + settings.batch_size]
        ]
        seeds = [settings.seed + begin + index for index in range(len(part))]
        scheduler = _own_scheduler(pipeline, settings.steps)
        first = max(0, len(scheduler.timesteps) - settings.variance_steps)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        noised = _noised(pipeline, scheduler, part, seeds, scheduler.timesteps[first])
        steps = denoise(pipeline, scheduler, text, seeds, settings, start=noised, first_step=first)
        variances += x0_variances(x0 for _, x0 in steps)
    return variances


@torch.inference_mode()
def _noised(
    pipeline: "StableDiffusionPipeline",
    scheduler: Any,
    images: list[Image.Image],
    seeds: list[int],
    time: Tensor,
) -> Tensor:
    """The images' latents as they are before the step at `time`, noise of the seeds in them."""
    pixels: Any = pipeline.image_processor.preprocess(images)
    encoded = pipeline.vae.encode(pixels.to(pipeline.vae.device, pipeline.vae.dtype), return_dict=False)[0]
    latents = encoded.mode() * pipeline.vae.config["scaling_factor"]
    noise = initial_noise(pipeline, seeds, images[0].width).to(latents.device, latents.dtype)
    return scheduler.add_noise(latents, noise, time.reshape(1).expand(len(images)))


def _predicted_x0(scheduler: Any, index: int, noisy: Tensor, predicted: Tensor) -> Tensor:
    """Clean latents as the UNet's output at step `index` implies them.

    `noisy` is the UNet's input, √ᾱ x0 + √(1 − ᾱ) ε in every scheduler of Stable Diffusion, also in those whose own
    samples are x0 + σ ε (they scale by 1 / √(1 + σ²), and then ᾱ = 1 / (1 + σ²)).
    """
    if hasattr(scheduler, "sigmas"):
        signal = 1 / (1 + scheduler.sigmas[index].to(noisy.device) ** 2)
    else:
        signal = scheduler.alphas_cumprod[int(scheduler.timesteps[index])].to(noisy.device)
    kind = scheduler.config.prediction_type
    if kind == "sample":
        return predicted
    if kind == "v_prediction":
        return signal.sqrt() * noisy - (1 - signal).sqrt() * predicted
    return (noisy - (1 - signal).sqrt() * predicted) / signal.sqrt()


def _text_conditions(
    pipeline: "StableDiffusionPipeline", prompt: str, n: int, guided: bool, device: torch.device
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
def decode_latents(pipeline: "StableDiffusionPipeline", latents: Tensor) -> list[Image.Image]:
    """The pictures that (n, channels, side, side) latents stand for, finished ones or predicted clean ones."""
    pixels = pipeline.vae.decode(latents / pipeline.vae.config["scaling_factor"], return_dict=False)[0]
    images: Any = pipeline.image_processor.postprocess(pixels.detach(), output_type="pil")
    return images


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RefusedInputError(f"expected {name} between {low} and {high}, got {value}")
