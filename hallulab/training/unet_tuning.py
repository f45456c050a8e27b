"""Fine-tuning of a Stable Diffusion UNet on captioned pictures, by accelerate ([LHZSL] 7.3).

Text encoder and autoencoder stay frozen; the UNet learns to predict the noise (ε) in the latents. What a step
sees follows from seed and step alone, whatever the number of processes and parts a batch is split over.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import parse_flag_from_env
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTokenizer

from hallulab.data.captioned_pictures import CaptionedPictures
from hallulab.engine.device import choose_dtype
from hallulab.engine.pictures import MAX_SEED
from hallulab.errors import HallulabError, RefusedInputError
from hallulab.training.latent_cache import cached_latents
from hallulab.training.resumable_loop import LoopSettings, LoopState, State

Precision = Literal["auto", "float32", "bfloat16", "float16"]
_ACCELERATE_NAMES = {torch.float32: "no", torch.bfloat16: "bf16", torch.float16: "fp16"}
_NOISE_STREAM = 5
_HARMLESS = {"checkpoint_steps", "gradient_checkpointing", "keep_states", "loop.save_every_steps"}
"""settings that do not touch a weight, so that a run may go on with others"""
_STATE = Path("state", "last.safetensors")


@dataclass(frozen=True)
class UnetTuning:
    """How a UNet is fine-tuned. The defaults are those of the small world; `as_in_paper` has the paper's."""

    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(n_steps=2800, learning_rate=3e-4, warmup_steps=50)
    )
    """How long and how fast."""
    batch_size: int = 32
    """Pictures of one optimiser step, over all processes and parts."""
    accumulation_steps: int = 1
    """Parts that each process computes its share of a batch in, to save memory."""
    checkpoint_steps: tuple[int, ...] = (25, 50, 200, 2800)
    """Steps after which the UNet is kept."""
    precision: Precision = "auto"
    """Number format of the computation; the weights stay in float32. "auto" is bfloat16 on GPUs that have it,
    float16 on other GPUs, float32 on a CPU."""
    gradient_checkpointing: bool = False
    """Whether activations are computed again on the way back, which saves memory and costs a third more time."""
    keep_states: bool = True
    """Whether the state that a run resumes from is kept for every checkpoint, not for the last step alone: 16 bytes
    for each weight, eight times the checkpoint itself (12 and six times without an average)."""
    seed: int = 0
    """Seed of the noise."""

    def __post_init__(self) -> None:
        loop = self.loop
        for name, value in (
            ("steps", loop.n_steps),
            ("batch size", self.batch_size),
            ("accumulation steps", self.accumulation_steps),
            ("steps between two saves", loop.save_every_steps),
        ):
            if value < 1:
                raise RefusedInputError(f"expected {name} of at least 1, got {value}")
        for name, value in (("learning rate", loop.learning_rate), ("gradient norm", loop.clip_norm)):
            if not (math.isfinite(value) and value > 0):
                raise RefusedInputError(f"expected a {name} above 0, got {value}")
        if not (math.isfinite(loop.weight_decay) and loop.weight_decay >= 0):
            raise RefusedInputError(f"expected a weight decay of at least 0, got {loop.weight_decay}")
        if loop.warmup_steps < 0:
            raise RefusedInputError(f"expected warm-up steps of at least 0, got {loop.warmup_steps}")
        if not 0 <= loop.ema_decay < 1:
            raise RefusedInputError(
                f"expected an EMA decay of at least 0, which means none, and below 1, got {loop.ema_decay}"
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise RefusedInputError(f"expected a seed from 0 to {MAX_SEED}, got {self.seed}")
        if self.precision not in get_args(Precision):
            raise RefusedInputError(
                f"expected a precision out of {', '.join(get_args(Precision))}, got {self.precision!r}"
            )
        outside = [step for step in self.checkpoint_steps if not 1 <= step <= loop.n_steps]
        if outside or not self.checkpoint_steps:
            raise RefusedInputError(
                f"expected checkpoints at steps from 1 to {loop.n_steps}, got {outside[0] if outside else 'none'}"
            )

    @classmethod
    def as_in_paper(cls) -> "UnetTuning":
        """The paper's numbers for Stable Diffusion 1.5; steps and checkpoints, which it does not give, are ours."""
        loop = LoopSettings(
            n_steps=5000, learning_rate=1e-5, warmup_steps=0, cosine=False, weight_decay=1e-2, ema_decay=0.0,
            save_every_steps=500, betas=(0.9, 0.999),
        )  # fmt: skip
        steps = tuple(range(500, 5001, 500))
        # ten states of Stable Diffusion 1.5 are 100 GB: nobody's disk is filled unasked
        return cls(
            loop=loop, batch_size=8, checkpoint_steps=steps, gradient_checkpointing=True, keep_states=False
        )


@dataclass(frozen=True)
class TuningStep:
    """What one optimiser step left behind."""

    n_done: int
    """Steps done."""
    losses: NDArray[np.float32]
    """(n_done,) training loss of every step."""
    unet: UNet2DConditionModel
    """The network in training."""
    averaged: State
    """The weights a checkpoint holds: their average, or themselves where none is kept."""


@dataclass(frozen=True)
class Batch:
    """The pictures of one step, or a part of them."""

    latents: Tensor
    """(n, channels, side, side)"""
    noise: Tensor
    """(n, channels, side, side), what the UNet is to find"""
    times: Tensor
    """(n,) how far each is on the way to noise"""
    captions: list[str]

    def parts(self, process: int, n_processes: int, settings: UnetTuning) -> "Iterator[Batch]":
        """The equal parts of this process, one after another."""
        n = len(self.captions) // (n_processes * settings.accumulation_steps)
        first = process * settings.accumulation_steps
        for number in range(first, first + settings.accumulation_steps):
            rows = slice(number * n, (number + 1) * n)
            yield Batch(self.latents[rows], self.noise[rows], self.times[rows], self.captions[rows])

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("latents", "noise", "times")}
        return replace(self, **moved)


def start_accelerator(settings: UnetTuning, *, cpu: bool = False, log_with: str | None = None) -> Accelerator:
    """The accelerator of this process, one of several under `accelerate launch`.

    The number format is that of `settings`: what `accelerate launch` was told about it does not count.

    Args:
        settings: the run.
        cpu: stay on the CPU where there is a GPU.
        log_with: a tracker of accelerate for the training curve, such as "trackio".
    """
    cpu = cpu or parse_flag_from_env("ACCELERATE_USE_CPU")  # before `PartialState`, which does not read it
    device = torch.device(PartialState(cpu=cpu).device or "cpu")
    return Accelerator(
        cpu=cpu,
        mixed_precision=_ACCELERATE_NAMES[choose_dtype(settings.precision, device)],
        gradient_accumulation_steps=settings.accumulation_steps,
        log_with=log_with,
    )


def precision_of(accelerator: Accelerator) -> str:
    """The number format in which a run computes, such as "float32"."""
    names = {name: str(dtype).removeprefix("torch.") for dtype, name in _ACCELERATE_NAMES.items()}
    return names[accelerator.mixed_precision]


def tune_unet(
    pipeline: StableDiffusionPipeline,
    pictures: CaptionedPictures,
    settings: UnetTuning,
    *,
    size: int,
    work: Path,
    accelerator: Accelerator,
    on_checkpoint: Callable[[TuningStep], None],
) -> NDArray[np.float32]:
    """Fine-tune the pipeline's UNet, which is left holding the averaged weights.

    A run that is killed goes on from its last saved state, and ends with the weights of an unbroken one.

    Args:
        pipeline: in float32; its other parts stay as they are.
        pictures: what it learns.
        settings: how long and how fast.
        size: side of a picture, pixels.
        work: folder of latents and state, for this run alone.
        accelerator: of `start_accelerator`.
        on_checkpoint: called in the main process after each of `settings.checkpoint_steps`, before the state of
            that step is saved: a run that was killed in between calls it again.

    Returns:
        (n_steps,) training loss of every step.

    Raises:
        RefusedInputError: too few pictures for a batch, a batch that cannot be split evenly, a UNet that does
            not fit the pipeline or does not predict noise, another run in `work`.
        HallulabError: the loss is not a number any more.
    """
    _check_fit(pipeline, pictures, settings, size, accelerator)
    _keep_to_one_run(
        work / "run.json", _what_decides(pipeline, pictures, settings, size, accelerator), accelerator
    )
    latents = _latents(pipeline, pictures, size, work, accelerator)
    nn.Module.to(pipeline.text_encoder.requires_grad_(False).eval(), accelerator.device)
    bare = pipeline.unet.train()
    if settings.gradient_checkpointing:
        bare.enable_gradient_checkpointing()
    unet: Any = accelerator.prepare(bare)
    state = LoopState(bare, settings.loop)
    optimizer: Any = accelerator.prepare(state.optimizer)
    _restore_scaler(accelerator, state.restore(work / _STATE))
    alphas = pipeline.scheduler.alphas_cumprod.to(accelerator.device)

    def update(step: int) -> float:
        """One step of the optimiser; its mean loss over all processes."""
        whole = _batch(pictures, latents, settings, step, len(alphas))
        losses = []
        for part in whole.parts(accelerator.process_index, accelerator.num_processes, settings):
            with accelerator.accumulate(unet):
                part_on_device = part.to(accelerator.device)
                text = text_states(pipeline.text_encoder, pipeline.tokenizer, part.captions)
                loss = denoising_loss(unet, part_on_device, text, alphas)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(state.weights.values(), settings.loop.clip_norm)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.detach())
        mean: Any = accelerator.reduce(torch.stack(losses).mean(), "mean")
        return _checked(mean.item(), step)

    for step in (bar := _bar(state, accelerator)):
        state.set_learning_rate(step)
        state.count_step(update(step))
        bar.set_postfix(loss=f"{state.recent_loss:.4f}", refresh=False)
        accelerator.log(
            {"train_loss": state.losses[step], "learning_rate": state.learning_rate}, step=step + 1
        )
        if accelerator.is_main_process:
            _keep(state, settings, bare, work / _STATE, _scaler_state(accelerator), on_checkpoint)
    accelerator.wait_for_everyone()
    accelerator.unwrap_model(unet, keep_fp32_wrapper=False)
    bare.disable_gradient_checkpointing()
    bare.load_state_dict({**bare.state_dict(), **state.averaged})
    bare.eval()
    return state.losses


def state_of_checkpoint(work: Path, step: int) -> Path:
    """Where the state after a checkpoint's step is kept, if it is."""
    return work / _STATE.parent / f"step-{step:04d}.safetensors"


def steps_done(work: Path) -> int:
    """Steps behind the state that a run in this folder would go on from; 0 when there is none."""
    path = work / _STATE
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as state:
        return int(state.metadata()["n_done"])


def _latents(
    pipeline: StableDiffusionPipeline,
    pictures: CaptionedPictures,
    size: int,
    work: Path,
    accelerator: Accelerator,
) -> Tensor:
    """The latents of all pictures; the autoencoder is on the device only for as long as it computes them."""
    nn.Module.to(pipeline.vae.requires_grad_(False).eval(), accelerator.device)
    latents = cached_latents(pipeline.vae, pictures, size, folder=work / "latents", accelerator=accelerator)
    nn.Module.to(pipeline.vae, "cpu")
    return latents


def _bar(state: LoopState, accelerator: Accelerator) -> tqdm:
    """The steps that are left, with a bar in the main process."""
    n_steps = state.settings.n_steps
    return tqdm(
        range(state.n_done, n_steps),
        initial=state.n_done,
        total=n_steps,
        desc="tuning",
        mininterval=5,
        disable=not accelerator.is_main_process,
    )


def _keep(
    state: LoopState,
    settings: UnetTuning,
    unet: UNet2DConditionModel,
    path: Path,
    scaler: Mapping[str, str],
    on_checkpoint: Callable[[TuningStep], None],
) -> None:
    """After a step: its checkpoint, then its state, where they are due."""
    is_checkpoint = state.n_done in settings.checkpoint_steps
    if is_checkpoint:
        on_checkpoint(TuningStep(state.n_done, state.losses[: state.n_done], unet, state.averaged))
    keeps_state = is_checkpoint and settings.keep_states
    if state.is_due or keeps_state:
        state.save(path, scaler)
    if keeps_state:
        kept = state_of_checkpoint(path.parents[1], state.n_done)
        kept.unlink(missing_ok=True)
        os.link(path, kept)  # the next save writes a new file, so this one stays what it is


def _batch(
    pictures: CaptionedPictures, latents: Tensor, settings: UnetTuning, step: int, n_times: int
) -> Batch:
    """The whole batch of a step, drawn on the CPU so that it is the same on every device."""
    indices, captions = pictures.batch(step, settings.batch_size)
    generator = step_generator(settings.seed, _NOISE_STREAM, step)
    return noisy_batch(latents[indices].float(), captions, generator, n_times)


def noisy_batch(latents: Tensor, captions: list[str], generator: torch.Generator, n_times: int) -> Batch:
    """A batch whose noise and times, out of `n_times`, are drawn from `generator`."""
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.randint(0, n_times, (len(latents),), generator=generator)
    return Batch(latents, noise, times, captions)


def denoising_loss(unet: Any, batch: Batch, text: Tensor, alphas: Tensor) -> Tensor:
    """Mean squared error of the predicted noise.

    Args:
        unet: predicts the noise.
        batch: latents and noise.
        text: (n, tokens, width) states of the captions.
        alphas: (n_times,) share of the signal's variance that is left at each time.
    """
    share = alphas[batch.times][:, None, None, None]
    noisy = share.sqrt() * batch.latents + (1 - share).sqrt() * batch.noise
    return nn.functional.mse_loss(unet(noisy, batch.times, text).sample.float(), batch.noise)


@torch.no_grad()
def text_states(text_encoder: Any, tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(n, tokens, width) states of captions under a frozen text encoder."""
    return text_encoder(token_ids(tokenizer, captions).to(text_encoder.device))[0]


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(n, tokens) ids of captions, padded to the tokenizer's length, too long ones cut."""
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids


def step_generator(*entropy: int) -> torch.Generator:
    """A generator on the CPU that follows from these numbers alone."""
    state = np.random.SeedSequence(list(entropy)).generate_state(1)[0]
    return torch.Generator().manual_seed(int(state))


def _check_fit(
    pipeline: StableDiffusionPipeline,
    pictures: CaptionedPictures,
    settings: UnetTuning,
    size: int,
    accelerator: Accelerator,
) -> None:
    if len(pictures) < settings.batch_size:
        raise RefusedInputError(
            f"expected at least as many pictures as a batch holds, {settings.batch_size}, got {len(pictures)}: "
            "add pictures or choose a smaller batch"
        )
    n_parts = accelerator.num_processes * settings.accumulation_steps
    if settings.batch_size % n_parts:
        raise RefusedInputError(
            f"expected a batch that {accelerator.num_processes} processes can split into "
            f"{settings.accumulation_steps} equal parts each, got {settings.batch_size}: "
            f"choose a multiple of {n_parts}"
        )
    predicted = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if predicted != "epsilon":
        raise RefusedInputError(
            f"expected a pipeline whose UNet predicts noise (epsilon), got one that predicts {predicted}: "
            "use Stable Diffusion 1.x"
        )
    channels, width = pipeline.vae.config["latent_channels"], pipeline.text_encoder.config.hidden_size
    for key, expected in (
        ("in_channels", channels),
        ("out_channels", channels),
        ("cross_attention_dim", width),
    ):
        if pipeline.unet.config[key] != expected:
            raise RefusedInputError(
                f"the UNet does not fit the pipeline: expected {key} {expected}, got {pipeline.unet.config[key]}; "
                "use the pipeline's own UNet or one fine-tuned from it"
            )
    if size < pipeline.vae_scale_factor or size % pipeline.vae_scale_factor:
        raise RefusedInputError(
            f"expected pictures of a side that is a multiple of {pipeline.vae_scale_factor} pixels, got {size}"
        )


def _what_decides(
    pipeline: StableDiffusionPipeline,
    pictures: CaptionedPictures,
    settings: UnetTuning,
    size: int,
    accelerator: Accelerator,
) -> dict[str, Any]:
    """What decides the weights of a run, by name."""
    flat = asdict(settings)
    loop = {f"loop.{name}": value for name, value in flat.pop("loop").items()}
    if not settings.loop.cosine:
        del loop["loop.n_steps"]  # a constant learning rate does not know how long a run is
    models = _weights_sha256(pipeline.unet, pipeline.vae, pipeline.text_encoder)
    here = {
        "precision": precision_of(accelerator),
        "size": size,
        "pictures": pictures.fingerprint,
        "models": models,
    }
    decides = {**loop, **flat, **here}
    return {name: value for name, value in decides.items() if name not in _HARMLESS}


def _keep_to_one_run(path: Path, decides: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Note which run a folder holds; refuse to go on with another one."""
    decides = json.loads(json.dumps(decides))
    if path.exists():
        theirs = json.loads(path.read_text(encoding="utf-8"))
        for name in dict.fromkeys([*decides, *theirs]):
            ours, other = decides.get(name), theirs.get(name)
            if ours != other:
                raise RefusedInputError(
                    f"expected to go on with the run in {path.parent}, whose {_in_words(name)} is {other}, "
                    f"got {ours}: repeat its command, or choose another folder"
                )
    elif accelerator.is_main_process:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(decides, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)


def _weights_sha256(*models: nn.Module) -> str:
    """One hash of the weights of several models."""
    digest = hashlib.sha256()
    for model in models:
        for name, tensor in model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _in_words(name: str) -> str:
    words = {
        "n_steps": "number of steps",
        "ema_decay": "EMA decay",
        "pictures": "fingerprint of the pictures",
    }
    name = name.removeprefix("loop.")
    return words.get(name, name.replace("_", " "))


def _checked(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise HallulabError(
            f"the training loss of step {step + 1} is {loss}: choose a lower learning rate, or float32"
        )
    return loss


def _scaler_state(accelerator: Accelerator) -> dict[str, str]:
    """The loss scale of float16 training, as text; empty in other formats."""
    scaler = accelerator.scaler
    return {} if scaler is None else {"scaler": json.dumps(scaler.state_dict())}


def _restore_scaler(accelerator: Accelerator, metadata: Mapping[str, str]) -> None:
    if accelerator.scaler is not None and "scaler" in metadata:
        accelerator.scaler.load_state_dict(json.loads(metadata["scaler"]))
