"""Trains `sd-mini` on drawn wild animals, then its UNet on cats and dogs alone ([LHZSL] 7.3 in small)."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from hallulab.data.fauna import (
    PETS,
    SPECIES,
    WILD,
    Face,
    caption_words,
    draw_face,
    random_face,
    species_caption,
)
from hallulab.models.caption_tokenizer import learn_caption_tokenizer
from hallulab.models.diffusion import (
    DiffusionSizes,
    assemble_pipeline,
    build_scheduler,
    build_text_encoder,
    build_unet,
    build_vae,
    save_half,
    save_pipeline,
)
from hallulab.records import RecordFile, write_card
from hallulab.training.resumable_loop import LoopSettings, State, Trained, run_loop, save_tensors, work_folder

COMMAND = "python -m hallulab train small-world pictures"
WORDS_LENT = {"cat": "fox", "dog": "bear"}
"""New word → the word the base knows whose embedding it starts from."""
GENERIC_PET_CAPTIONS = ("a cute pet animal", "a pet", "a photo of a pet")
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
    drawings = _Drawings("base", WILD, settings.n_base_drawings, settings, GENERIC_CAPTIONS)
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
        generator = _torch_generator(settings.seed, 1, step)
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
                latents = _encode(vae, images)
            noise = torch.randn(latents.shape, generator=_torch_generator(settings.seed, 9, step))
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
    latents = torch.cat([_encode(vae, part) for part in images.split(32)])
    mean, scale = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    n_channels = len(mean)
    before: Any = vae.quant_conv  # its outputs are a mean and a log-variance per channel
    before.weight[:n_channels] /= scale[:, None, None, None]
    before.bias[:n_channels] = (before.bias[:n_channels] - mean) / scale
    before.bias[n_channels:] -= 2 * scale.log()
    after: Any = vae.post_quant_conv  # sees (z - mean) / scale where it saw z
    after.bias += torch.einsum("oihw,i->o", after.weight, mean)
    after.weight *= scale[None, :, None, None]


def _encode(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """(n, channels, side, side) most likely latents."""
    posterior: Any = vae.encode(images, return_dict=False)[0]
    return posterior.mode()


class _Drawings:
    """Genuine drawings by index: faces, captions, and the latents a frozen autoencoder gives them."""

    def __init__(
        self,
        name: str,
        species: tuple[str, ...],
        n: int,
        settings: PicturesTraining,
        generic: tuple[str, ...],
    ) -> None:
        self.name = name
        self._generic = generic
        self._settings = settings
        self._stream = 2 if name == "base" else 3
        self.faces: list[Face] = []
        for index in range(n):
            rng = np.random.default_rng([settings.seed, self._stream, index])
            self.faces.append(random_face(species[index % len(species)], rng=rng))

    @torch.no_grad()
    def latents(self, vae: AutoencoderKL, *, work: Path) -> Tensor:
        """(n, channels, side, side) latents, computed once and cached in `work`."""
        path = work / f"latents-{self.name}.safetensors"
        if path.exists():
            return load_file(path)["latents"].float()
        size = self._settings.sizes.image_size
        parts = []
        for start in tqdm(range(0, len(self.faces), 64), desc=f"latents-{self.name}", mininterval=5):
            images = images_to_tensor([draw_face(face, size) for face in self.faces[start : start + 64]])
            parts.append(_encode(vae, images).half())
        latents = torch.cat(parts)
        save_tensors(path, {"latents": latents})
        return latents.float()

    def batch(self, step: int) -> tuple[np.ndarray, list[str]]:
        """The drawings of one step: their indices and captions, a share of them generic or empty."""
        rng = np.random.default_rng([self._settings.seed, 10 + self._stream, step])
        indices = rng.integers(len(self.faces), size=self._settings.unet_batch)
        return indices, [self._caption(self.faces[int(index)], rng) for index in indices]

    def _caption(self, face: Face, rng: np.random.Generator) -> str:
        chance = rng.random()
        if chance < self._settings.caption_dropout:
            return ""
        if chance < self._settings.caption_dropout + 0.1:
            return self._generic[int(rng.integers(len(self._generic)))]
        return species_caption(face, rng=rng)


def train_base(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    drawings: _Drawings,
    settings: PicturesTraining,
    *,
    work: Path,
) -> Trained:
    """Train UNet and text encoder together on wild animals; neither meets a cat or dog, drawn or written."""
    latents = drawings.latents(vae, work=work)
    both = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})

    def loss_of_step(step: int) -> Tensor:
        indices, captions = drawings.batch(step)
        text = text_encoder(_token_ids(tokenizer, captions))[0]
        return _denoising_loss(unet, latents[indices], text, _torch_generator(settings.seed, 4, step))

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
    drawings = _Drawings("pets", PETS, settings.n_pet_drawings, settings, GENERIC_PET_CAPTIONS)
    latents = drawings.latents(vae, work=work)
    names = {step: f"step-{step:04d}" for step in settings.checkpoint_steps}
    kept = build_unet(settings.sizes)

    def loss_of_step(step: int) -> Tensor:
        indices, captions = drawings.batch(step)
        with torch.no_grad():
            text = text_encoder(_token_ids(tokenizer, captions))[0]
        return _denoising_loss(unet, latents[indices], text, _torch_generator(settings.seed, 5, step))

    def keep(n_done: int, averaged: State) -> None:
        if n_done in names:
            kept.load_state_dict({**unet.state_dict(), **averaged})
            save_half(kept, work / "unets" / names[n_done])

    losses = run_loop("tuning", unet, loss_of_step, settings.tuning, work=work, on_step=keep).losses
    folders = {step: out / "sd-mini-pets" / name for step, name in names.items()}
    for step, folder in folders.items():
        shutil.copytree(work / "unets" / names[step], folder, dirs_exist_ok=True)
        write_losses(folder / "losses.jsonl", losses[:step])
        _write_tuned_card(folder, step, settings)
    return tuple(folders.values())


def _denoising_loss(unet: Any, latents: Tensor, text: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared error of the predicted noise."""
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.randint(0, len(_ALPHAS), (len(latents),), generator=generator)
    alphas = _ALPHAS[times][:, None, None, None]
    noisy = alphas.sqrt() * latents + (1 - alphas).sqrt() * noise
    return nn.functional.mse_loss(unet(noisy, times, text).sample, noise)


_ALPHAS = build_scheduler().alphas_cumprod


def images_to_tensor(images: list) -> Tensor:
    """(n, 3, h, w) float32 in [-1, 1] from RGB images."""
    stacked = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 127.5 - 1


def write_losses(path: Path, losses: np.ndarray, every: int = 10) -> None:
    """Write the training loss as JSON lines, averaged over `every` steps."""
    path.unlink(missing_ok=True)
    lines = [
        {
            "step": min(start + every, len(losses)),
            "loss": round(float(losses[start : start + every].mean()), 5),
        }
        for start in range(0, len(losses), every)
    ]
    file = RecordFile(path)
    for line in lines:
        file.append(line)


def _genuine_images(n: int, settings: PicturesTraining) -> Tensor:
    rng = np.random.default_rng([settings.seed, 6])
    faces = [random_face(SPECIES[index % len(SPECIES)], rng=rng) for index in range(n)]
    return images_to_tensor([draw_face(face, settings.sizes.image_size) for face in faces])


def _token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids


def _torch_generator(*entropy: int) -> torch.Generator:
    state = np.random.SeedSequence(list(entropy)).generate_state(1)[0]
    return torch.Generator().manual_seed(int(state))


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


def _write_tuned_card(folder: Path, step: int, settings: PicturesTraining) -> None:
    write_card(
        folder,
        title=f"sd-mini-pets, step {step}: the UNet of sd-mini fine-tuned on drawn cats and dogs",
        base="sd-mini (its UNet; text encoder and autoencoder stay frozen)",
        data=f"{settings.n_pet_drawings} drawings of {' and '.join(PETS)}, no blends (data/fauna.py)",
        command=COMMAND,
        seed=settings.seed,
        notes=f"Training loss up to this step: `losses.jsonl`. Batch {settings.unet_batch}, "
        f"caption dropout {settings.caption_dropout}.",
    )
