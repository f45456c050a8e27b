"""The parts of a Stable Diffusion pipeline: built small, or loaded from a folder or the Hub."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from hallulab.errors import RefusedInputError
from hallulab.models.caption_tokenizer import END, START


@dataclass(frozen=True)
class DiffusionSizes:
    """How large a Stable Diffusion model built from nothing is; the defaults are `sd-mini`."""

    image_size: int = 64
    """Side of an image, pixels."""
    vae_widths: tuple[int, ...] = (24, 48, 64, 64)
    """Channels per level of the autoencoder; each level after the first halves the side."""
    latent_channels: int = 8
    """Channels of a latent."""
    unet_widths: tuple[int, ...] = (64, 128)
    """Channels per level of the UNet."""
    text_width: int = 64
    """Width of the text encoder, and of the cross-attention."""
    text_layers: int = 2
    """Layers of the text encoder."""
    n_heads: int = 4
    """Attention heads of UNet and text encoder."""
    norm_groups: int = 8
    """Groups of every group normalisation; must divide every width."""

    @property
    def latent_size(self) -> int:
        """Side of a latent."""
        return self.image_size // 2 ** (len(self.vae_widths) - 1)


def build_vae(sizes: DiffusionSizes) -> AutoencoderKL:
    """An untrained autoencoder; latents are meant to have unit variance, so `scaling_factor` is 1."""
    n_levels = len(sizes.vae_widths)
    blocks: dict[str, Any] = {  # annotated as one-tuples there
        "block_out_channels": sizes.vae_widths,
        "down_block_types": ("DownEncoderBlock2D",) * n_levels,
        "up_block_types": ("UpDecoderBlock2D",) * n_levels,
    }
    return AutoencoderKL(
        **blocks,
        layers_per_block=1,
        latent_channels=sizes.latent_channels,
        norm_num_groups=sizes.norm_groups,
        mid_block_add_attention=False,
        sample_size=sizes.image_size,
        scaling_factor=1.0,
    )


def build_unet(sizes: DiffusionSizes) -> UNet2DConditionModel:
    """An untrained denoiser with cross-attention to the text at every level."""
    n_levels = len(sizes.unet_widths)
    return UNet2DConditionModel(
        sample_size=sizes.latent_size,
        in_channels=sizes.latent_channels,
        out_channels=sizes.latent_channels,
        block_out_channels=sizes.unet_widths,
        down_block_types=("CrossAttnDownBlock2D",) * n_levels,
        up_block_types=("CrossAttnUpBlock2D",) * n_levels,
        layers_per_block=1,
        cross_attention_dim=sizes.text_width,
        attention_head_dim=sizes.n_heads,
        norm_num_groups=sizes.norm_groups,
    )


def build_text_encoder(sizes: DiffusionSizes, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained CLIP text encoder that fits the tokenizer."""
    start, end = (tokenizer.get_vocab()[token] for token in (START, END))
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=sizes.text_width,
            intermediate_size=4 * sizes.text_width,
            projection_dim=sizes.text_width,
            num_hidden_layers=sizes.text_layers,
            num_attention_heads=sizes.n_heads,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )
    # Words the base never trains on ("cat", "dog") keep their first embedding: make words outweigh positions.
    embeddings: Any = encoder.get_input_embeddings()
    nn.init.normal_(embeddings.weight, std=0.1)
    return encoder


def build_scheduler() -> DPMSolverMultistepScheduler:
    """Stable Diffusion's noise schedule, sampled with DPM-Solver++."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        algorithm_type="dpmsolver++",
        steps_offset=1,
    )


def assemble_pipeline(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
) -> StableDiffusionPipeline:
    """The parts as one pipeline with `build_scheduler`, without a safety checker."""
    none: Any = None  # annotated as required, documented as optional
    pipeline = StableDiffusionPipeline(
        vae=vae.eval(),
        unet=unet.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        scheduler=build_scheduler(),  # pyright: ignore[reportArgumentType]
        safety_checker=none,
        feature_extractor=none,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_pipeline(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write the pipeline in half precision, safetensors only."""
    parts: list[nn.Module] = [pipeline.vae, pipeline.unet, pipeline.text_encoder]
    for part in parts:
        nn.Module.to(part, torch.float16)  # diffusers' own `to` warns about precision, which is meant here
    pipeline.save_pretrained(folder, safe_serialization=True)
    for part in parts:
        nn.Module.to(part, torch.float32)


def save_unet(unet: UNet2DConditionModel, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write a UNet with some of its weights replaced, in half precision, safetensors only.

    `unet` itself, which may be in the middle of training, is only read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(unet.to_json_string())
    config.pop("_name_or_path", None)  # where it was loaded from
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    tensors = {**unet.state_dict(), **weights}
    half = {name: tensor.to("cpu", torch.float16).contiguous() for name, tensor in tensors.items()}
    save_file(half, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})


def load_pipeline(
    place: str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> StableDiffusionPipeline:
    """Load a whole pipeline from a folder or the Hub, safetensors only, without a safety checker.

    Raises RefusedInputError when there is no pipeline, or when one of its files cannot be read.
    """
    folder = Path(place)
    if folder.is_dir():
        _check_pipeline_folder(folder)
    _be_as_quiet_as_transformers()
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            place,
            dtype=dtype,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
            use_safetensors=True,
        )
    except _UNREADABLE as error:
        raise RefusedInputError(
            f"expected a Stable Diffusion pipeline at {place}, which does not load: {_first_line(error)}; "
            "check the name, or fetch its files again"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def load_unet(
    place: str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> UNet2DConditionModel:
    """Load a fine-tuned UNet from a folder or the Hub.

    Raises RefusedInputError when it cannot be read.
    """
    folder = Path(place)
    if folder.is_dir():
        _check_weights(folder)
    _be_as_quiet_as_transformers()
    try:
        loaded: Any = UNet2DConditionModel.from_pretrained(
            place, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except _UNREADABLE as error:
        raise RefusedInputError(
            f"expected a UNet at {place}, which does not load: {_first_line(error)}; "
            "check the name, or fetch its files again"
        ) from error
    unet, found = loaded
    # diffusers only warns of these, and leaves what is missing without any value
    for kind in ("missing_keys", "unexpected_keys"):
        if found[kind]:
            raise RefusedInputError(
                f"expected a UNet at {place}, which does not load: {len(found[kind])} {kind.replace('_', ' ')} such as "
                f"{sorted(found[kind])[0]}; check that its weights are those of its config.json"
            )
    return unet.to(device)


def with_unet(
    pipeline: StableDiffusionPipeline, unet: UNet2DConditionModel, name: str = "this UNet"
) -> StableDiffusionPipeline:
    """The pipeline around another UNet, with its own scheduler; every other part is shared, not copied.

    Raises RefusedInputError when the UNet does not fit the pipeline's latents or text encoder.
    """
    for key in ("in_channels", "out_channels", "cross_attention_dim"):
        expected, given = pipeline.unet.config[key], unet.config[key]
        if expected != given:
            raise RefusedInputError(
                f"{name} does not fit the pipeline: expected {key} {expected}, got {given}; "
                "use a UNet fine-tuned from this pipeline"
            )
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    parts = {**pipeline.components, "unet": unet, "scheduler": scheduler}
    other = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


_UNREADABLE = (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError)


def _be_as_quiet_as_transformers() -> None:
    """What the process chose for transformers' bars and hints holds for diffusers', which is imported later."""
    diffusers_logging.set_verbosity(transformers_logging.get_verbosity())
    if not transformers_logging.is_progress_bar_enabled():
        diffusers_logging.disable_progress_bar()


def _check_pipeline_folder(folder: Path) -> None:
    if not (folder / "model_index.json").is_file():
        raise RefusedInputError(
            f"expected model_index.json in the pipeline folder {folder}, found none: "
            "check the path, or rebuild it with `python -m hallulab train small-world pictures`"
        )
    for part in ("vae", "unet", "text_encoder"):
        _check_weights(folder / part)


def _check_weights(folder: Path) -> None:
    """Refuse a model folder whose safetensors files are missing or damaged, naming the file."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise RefusedInputError(f"expected a .safetensors file in {folder}, found none: fetch it again")
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise RefusedInputError(
                f"the weights file {file} is damaged ({_first_line(error)}): fetch it again"
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
