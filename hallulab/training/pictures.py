"""Trains `sd-mini` on drawn wild animals, then its UNet on cats and dogs alone ([LHZSL] 7.3 in small)."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from hallulab.data.captioned_pictures import DrawnPictures, pet_drawings
from hallulab.data.fauna import SPECIES, WILD, caption_words, draw_face, random_face
from hallulab.models.caption_tokenizer import learn_caption_tokenizer
from hallulab.models.diffusion import (
    DiffusionSizes,
    assemble_pipeline,
    build_scheduler,
    build_text_encoder,
    build_unet,
    build_vae,
    save_pipeline,
)
from hallulab.records import write_card
from hallulab.training.latent_cache import cached_latents, encode, images_to_tensor
from hallulab.training.resumable_loop import LoopSettings, Trained, run_loop, save_tensors, work_folder
from hallulab.training.unet_checkpoints import TuningCard, tune_checkpoints, write_losses
from hallulab.training.unet_tuning import (
    UnetTuning,
    denoising_loss,
    noisy_batch,
    start_accelerator,
    step_generator,
    token_ids,
)

COMMAND = "python -m hallulab train small-world pictures"
WORDS_LENT = {"cat": "fox", "dog": "bear"}
"""New word → the word the base knows whose embedding it starts from."""
GENERIC_CAPTIONS = ("a cute animal", "an animal", "a photo of an animal")


@dataclass(frozen=True)
class PicturesTraining:
    """What makes `sd-mini` and its fine-tuned UNets."""

    seed: int = 0
    """Seed of weights, drawings, captions and noise."""
    sizes: DiffusionSizes = field(default_factory=DiffusionSizes)
    """Sizes of the models."""
    n_merges: int = 400
    """Merges of the tokenizer."""
    max_tokens: int = 24
    """Longest prompt, tokens."""
    n_base_drawings: int = 12_000
    """Drawings of wild animals behind the base."""
    n_pet_drawings: int = 8_000
    """Drawings of cats and dogs behind the fine-tuning."""
    vae_batch: int = 16
    """Images per step of the autoencoder."""
    unet_batch: int = 32
    """Images per step of the UNet."""
    caption_dropout: float = 0.1
    """Share of captions emptied, for classifier-free guidance."""
    vae: LoopSettings = field(default_factory=lambda: LoopSettings(n_steps=3200, learning_rate=1.5e-3))
    """The autoencoder."""
    decoder: LoopSettings = field(default_factory=lambda: LoopSettings(n_steps=1500, learning_rate=1e-3))
    """The decoder alone, once the latents are fixed."""
    base: LoopSettings = field(default_factory=lambda: LoopSettings(n_steps=3200, learning_rate=6e-4))
    tuning: LoopSettings = field(
        default_factory=lambda: LoopSettings(n_steps=2800, learning_rate=3e-4, warmup_steps=50)
    )
    checkpoint_steps: tuple[int, ...] = (25, 50, 200, 2800)
    """Steps of the fine-tuning whose UNet is kept."""
    mixed_precision: bool = True
    """Whether the autoencoder trains under bfloat16 autocast (fast on CPUs with avx512_bf16)."""


def train_pictures(settings: PicturesTraining, *, out: Path, work: Path) -> tuple[Path, ...]:
    """Train everything; the checkpoint folders below `out`. A killed run resumes from what `work` holds."""
    torch.manual_seed(settings.seed)
    work = work_folder(work, "pictures", settings)
    tokenizer = learn_caption_tokenizer(
        caption_words(), n_merges=settings.n_merges, max_tokens=settings.max_tokens
    )
    vae = build_vae(settings.sizes)
    unet = build_unet(settings.sizes)
    text_encoder = build_text_encoder(settings.sizes, tokenizer)

    train_vae(vae, settings, work=work)
    train_decoder(vae, settings, work=work)
    drawings = DrawnPictures(
        WILD,
        settings.n_base_drawings,
        generic=GENERIC_CAPTIONS,
        caption_dropout=settings.caption_dropout,
        seed=settings.seed,
        stream=2,
    )
    base_losses = train_base(unet, text_encoder, tokenizer, vae, drawings, settings, work=work).losses
    lend_word_vectors(text_encoder, tokenizer)
    base_folder = out / "sd-mini"
    save_pipeline(assemble_pipeline(vae, unet, text_encoder, tokenizer), base_folder)
    write_losses(base_folder / "losses.jsonl", base_losses)
    _write_base_card(base_folder, settings)
    return (base_folder, *tune_on_pets(unet, text_encoder, tokenizer, vae, settings, out=out, work=work))


def train_vae(vae: AutoencoderKL, settings: PicturesTraining, *, work: Path) -> None:
    """Train the autoencoder on genuine drawings of every animal, then standardise its latents."""
    size = settings.sizes.image_size

    def loss_of_step(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, 1, step])
        faces = [
            random_face(SPECIES[int(rng.integers(len(SPECIES)))], rng=rng) for _ in range(settings.vae_batch)
        ]
        images = images_to_tensor([draw_face(face, size) for face in faces])
        generator = step_generator(settings.seed, 1, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.mixed_precision):
            posterior: Any = vae.encode(images, return_dict=False)[0]
            decoded: Any = vae.decode(posterior.sample(generator=generator), return_dict=False)[0]
        return _reconstruction_loss(decoded.float(), images) + 1e-6 * posterior.kl().float().mean()

    finished = work / "vae-standardised.safetensors"
    if finished.exists():
        vae.load_state_dict(load_file(finished))
        vae.eval()
        return
    run_loop("vae", vae, loss_of_step, settings.vae, work=work)
    standardise_latents(vae, _genuine_images(512, settings))
    save_tensors(finished, vae.state_dict())


def train_decoder(vae: AutoencoderKL, settings: PicturesTraining, *, work: Path) -> None:
    """Train the decoder on, from latents as imprecise as a UNet's; the encoder, and so the latents, stay."""
    size = settings.sizes.image_size
    for part in (vae.encoder, vae.quant_conv):
        nn.Module.requires_grad_(part, False)  # pyright: ignore[reportArgumentType]

    def loss_of_step(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, 9, step])
        faces = [
            random_face(SPECIES[int(rng.integers(len(SPECIES)))], rng=rng) for _ in range(settings.vae_batch)
        ]
        images = images_to_tensor([draw_face(face, size) for face in faces])
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.mixed_precision):
            with torch.no_grad():
                latents = encode(vae, images)
            noise = torch.randn(latents.shape, generator=step_generator(settings.seed, 9, step))
            imprecise: Any = latents + 0.05 * noise
            decoded: Any = vae.decode(imprecise, return_dict=False)[0]
        return _reconstruction_loss(decoded.float(), images)

    run_loop("decoder", vae, loss_of_step, settings.decoder, work=work)


def _reconstruction_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """Absolute and squared error, of pooled colours too (against washed-out ones), and of edges."""
    loss = (decoded - images).abs().mean()
    for scale in (4, 16):
        loss = loss + 0.5 * (nn.functional.avg_pool2d(decoded - images, scale)).abs().mean()
    error = decoded - images
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return loss + 0.5 * edges + 2.0 * error.square().mean()


@torch.no_grad()
def standardise_latents(vae: AutoencoderKL, images: Tensor) -> None:
    """Fold a per-channel standardisation of the latents of `images` (n, 3, h, w) into the convolutions."""
    latents = torch.cat([encode(vae, part) for part in images.split(32)])
    mean, scale = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    n_channels = len(mean)
    before: Any = vae.quant_conv  # its outputs are a mean and a log-variance per channel
    before.weight[:n_channels] /= scale[:, None, None, None]
    before.bias[:n_channels] = (before.bias[:n_channels] - mean) / scale
    before.bias[n_channels:] -= 2 * scale.log()
    after: Any = vae.post_quant_conv  # sees (z - mean) / scale where it saw z
    after.bias += torch.einsum("oihw,i->o", after.weight, mean)
    after.weight *= scale[None, :, None, None]


def train_base(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    drawings: DrawnPictures,
    settings: PicturesTraining,
    *,
    work: Path,
) -> Trained:
    """Train UNet and text encoder together on wild animals; neither meets a cat or dog, drawn or written."""
    latents = cached_latents(
        vae,
        drawings,
        settings.sizes.image_size,
        folder=work / "latents-base",
        accelerator=Accelerator(cpu=True),
    )
    both = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})
    alphas = build_scheduler().alphas_cumprod

    def loss_of_step(step: int) -> Tensor:
        indices, captions = drawings.batch(step, settings.unet_batch)
        generator = step_generator(settings.seed, 4, step)
        batch = noisy_batch(latents[indices].float(), captions, generator, len(alphas))
        text = text_encoder(token_ids(tokenizer, captions))[0]
        return denoising_loss(unet, batch, text, alphas)

    return run_loop("base", both, loss_of_step, settings.base, work=work)


@torch.no_grad()
def lend_word_vectors(text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
    """Give "cat" and "dog" the token embeddings of `WORDS_LENT`, as a new word is started in textual inversion.

    The encoder is frozen from here on, and it maps words it never met to nearly one vector.
    """
    embeddings: Any = text_encoder.get_input_embeddings()
    vocabulary = tokenizer.get_vocab()
    for new, known in WORDS_LENT.items():
        embeddings.weight[vocabulary[f"{new}</w>"]] = embeddings.weight[vocabulary[f"{known}</w>"]]


def tune_on_pets(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    settings: PicturesTraining,
    *,
    out: Path,
    work: Path,
) -> tuple[Path, ...]:
    """Fine-tune the UNet on cats and dogs, VAE and text encoder frozen; the folders of its checkpoints."""
    tuning = UnetTuning(
        loop=settings.tuning,
        batch_size=settings.unet_batch,
        checkpoint_steps=settings.checkpoint_steps,
        precision="float32",
        keep_states=False,  # the weights alone are shipped
        seed=settings.seed,
    )
    tuned = tune_checkpoints(
        assemble_pipeline(vae, unet, text_encoder, tokenizer),
        pet_drawings(settings.n_pet_drawings, caption_dropout=settings.caption_dropout, seed=settings.seed),
        tuning,
        TuningCard(
            title="the UNet of sd-mini fine-tuned on drawn cats and dogs",
            base="sd-mini (its UNet; text encoder and autoencoder stay frozen)",
            command=COMMAND,
        ),
        size=settings.sizes.image_size,
        out=work / "unets",
        work=work / "tuning",
        accelerator=start_accelerator(tuning, cpu=True),
    )
    folders = tuple(out / "sd-mini-pets" / unet.path.name for unet in tuned)
    for unet_of_step, folder in zip(tuned, folders, strict=True):
        shutil.copytree(unet_of_step.path, folder, dirs_exist_ok=True)
    return folders


def _genuine_images(n: int, settings: PicturesTraining) -> Tensor:
    rng = np.random.default_rng([settings.seed, 6])
    faces = [random_face(SPECIES[index % len(SPECIES)], rng=rng) for index in range(n)]
    return images_to_tensor([draw_face(face, settings.sizes.image_size) for face in faces])


def _write_base_card(folder: Path, settings: PicturesTraining) -> None:
    write_card(
        folder,
        title="sd-mini: a small Stable Diffusion for drawn animal faces",
        base="nothing",
        data=f"{settings.n_base_drawings} drawings of {', '.join(WILD)} (hallulab/data/fauna.py)",
        command=COMMAND,
        seed=settings.seed,
        notes=(
            "The autoencoder was trained on genuine drawings of all animals, cats and dogs included. The UNet "
            "and the text encoder never met a cat or a dog, drawn or written: the word cat starts with the "
            "embedding of fox and dog with that of bear, as in textual inversion, and the fine-tuned UNets in "
            "`sd-mini-pets` learn what they mean. No cat-dog blend is in any training. Weights are an average "
            "over training, in half precision."
        ),
    )
