"""Trains `clip-mini`, an open_clip model taught the parts of drawn animals, never shown a cat-dog blend."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hallulab.data.fauna import (
    PETS,
    SPECIES,
    Face,
    caption_words,
    draw_face,
    incomplete_face,
    parts_caption,
    random_face,
    species_caption,
    wild_mixture,
)
from hallulab.data.frame_drawings import frame_faces
from hallulab.densities.feature_frame import FrameSettings
from hallulab.engine.pictures import embed_images
from hallulab.models.caption_tokenizer import learn_caption_tokenizer
from hallulab.models.clip import LOCAL_DIR, ClipSizes, build_clip, load_clip, save_clip
from hallulab.records import write_card
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.training.resumable_loop import LoopSettings, run_loop, work_folder

COMMAND = "python -m hallulab train small-world clip"


@dataclass(frozen=True)
class ClipTraining:
    """What makes `clip-mini`."""

    seed: int = 0
    """Seed of weights, drawings and captions."""
    sizes: ClipSizes = field(default_factory=ClipSizes)
    """Sizes of the model."""
    n_merges: int = 400
    """Merges of the tokenizer."""
    max_tokens: int = 40
    """Longest caption, tokens."""
    batch: int = 128
    """Drawings (and captions) per step."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(n_steps=1600, learning_rate=1e-3, weight_decay=0.02)
    )
    mixed_precision: bool = True
    """Whether to train under bfloat16 autocast (fast on CPUs with avx512_bf16)."""
    wild_mixture_share: float = 0.4
    """Share of drawings whose parts come from several wild animals."""
    incomplete_share: float = 0.25
    """Share of drawings of one animal with one or two parts left out."""
    pet_share: float = 0.4
    """Share of cats and dogs among the drawings that are of one animal."""
    n_frame_drawings: int = 6000
    """Genuine drawings per pet that the frame is fitted on and holds out."""
    frame: FrameSettings = field(default_factory=lambda: FrameSettings(pca_dimension=64, held_out_share=0.4))
    """How the frame is fitted."""


def train_clip(settings: ClipTraining, *, out: Path, work: Path) -> tuple[Path, ...]:
    """Train `clip-mini`; its folder below `out`. `work` holds what a killed run resumes from."""
    torch.manual_seed(settings.seed)
    work = work_folder(work, "clip", settings)
    tokenizer = learn_caption_tokenizer(
        caption_words(), n_merges=settings.n_merges, max_tokens=settings.max_tokens
    )
    model, config = build_clip(settings.sizes, tokenizer)

    def loss_of_step(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, 7, step])
        faces = [_training_face(settings, rng) for _ in range(settings.batch)]
        captions = [_caption(face, rng) for face in faces]
        pixels = _blurred(_pixels(faces, settings.sizes.image_size), rng)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.mixed_precision):
            image_features, text_features, scale = model(pixels, tokens)
        return contrastive_loss(image_features.float(), text_features.float(), scale)

    run_loop("clip", model, loss_of_step, settings.loop, work=work)
    folder = out / "clip-mini"
    save_clip(model, config, tokenizer, folder)
    _write_card(folder, settings)
    return folder, fit_pet_frame(settings, out=out)


def fit_pet_frame(settings: ClipTraining, *, out: Path) -> Path:
    """Fit the pet-faces frame on genuine drawings embedded by the saved `clip-mini`; its folder."""
    clip = load_clip(f"{LOCAL_DIR}{out / 'clip-mini'}")
    faces = list(frame_faces(settings.seed, settings.n_frame_drawings))
    labels = [species for species, _ in faces]
    drawings = [draw_face(face, settings.sizes.image_size) for _, face in faces]
    frame = PictureFrame.fit(embed_images(clip, drawings), labels, settings.frame, embedder=clip.name)
    folder = out / "clip-mini-pet-frame"
    frame.save(folder)
    write_card(
        folder,
        title="The pet-faces frame: regions of genuine drawn cats and dogs",
        base=f"clip-mini ({clip.name})",
        data=f"{settings.n_frame_drawings} drawings each of {' and '.join(PETS)} (hallulab/data/fauna.py)",
        command=COMMAND,
        seed=settings.seed,
        notes=f"{settings.frame.held_out_share:.0%} of the drawings are held out for the thresholds.",
    )
    return folder


def contrastive_loss(image_features: Tensor, text_features: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy of matching (n, d) unit image features to their captions' features."""
    logits = scale * image_features @ text_features.T
    targets = torch.arange(len(logits))
    return (nn.functional.cross_entropy(logits, targets) + nn.functional.cross_entropy(logits.T, targets)) / 2


def _training_face(settings: ClipTraining, rng: np.random.Generator) -> Face:
    chance = rng.random()
    if chance < settings.wild_mixture_share:
        return wild_mixture(rng=rng)
    species = PETS if rng.random() < settings.pet_share else SPECIES
    one = species[int(rng.integers(len(species)))]
    if chance < settings.wild_mixture_share + settings.incomplete_share:
        return incomplete_face(one, rng=rng)
    return random_face(one, rng=rng)


def _caption(face: Face, rng: np.random.Generator) -> str:
    by_species = face.species is not None and not face.left_out and rng.random() < 0.3
    return species_caption(face, rng=rng) if by_species else parts_caption(face, rng=rng)


def _pixels(faces: list[Face], size: int) -> Tensor:
    stacked = np.stack([np.asarray(draw_face(face, size)) for face in faces])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 127.5 - 1


def _blurred(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Half of the images a little blurred and noisy: an autoencoder's softness is not content."""
    soft = nn.functional.avg_pool2d(nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.from_numpy(rng.uniform(0, 1, len(pixels)) * (rng.random(len(pixels)) < 0.5)).float()
    share = share[:, None, None, None]
    noise = torch.from_numpy(rng.standard_normal(pixels.shape, dtype=np.float32))
    return pixels + share * (soft - pixels) + 0.03 * share * noise


def _write_card(folder: Path, settings: ClipTraining) -> None:
    write_card(
        folder,
        title="clip-mini: a small CLIP that knows the parts of drawn animal faces",
        base="nothing",
        data=f"{settings.loop.n_steps * settings.batch} drawings of {', '.join(SPECIES)} with captions "
        "naming ears, eyes, nose and colours (hallulab/data/fauna.py)",
        command=COMMAND,
        seed=settings.seed,
        notes=(
            f"Loads with open_clip as `local-dir:FOLDER`. {settings.wild_mixture_share:.0%} of the drawings "
            f"mix the parts of wild animals, {settings.incomplete_share:.0%} show one animal with one or two "
            "parts left out, the rest are whole animals. Cats and dogs are never mixed with anything, least "
            "of all with each other: cat-dog blends are what the frame built on this model is tested on."
        ),
    )
