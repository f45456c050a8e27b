"""Trains `pet-parts-probe`, which reads the parts of drawn faces, on drawings without a single cat-dog blend."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hallulab.data.fauna import (
    PARTS,
    PETS,
    SPECIES,
    Face,
    draw_face,
    incomplete_face,
    pet_among_wild,
    random_face,
)
from hallulab.models.attribute_probe import (
    ABSENT,
    SIDE,
    VALUES,
    AttributeProbe,
    ProbeSizes,
    probe_pixels,
    save_probe,
)
from hallulab.records import write_card
from hallulab.training.resumable_loop import LoopSettings, run_loop, save_tensors, work_folder

COMMAND = "python -m hallulab train small-world probe"
FOLDER = "pet-parts-probe"


@dataclass(frozen=True)
class ProbeTraining:
    """What makes `pet-parts-probe`."""

    seed: int = 0
    """Seed of weights, drawings and distortions."""
    sizes: ProbeSizes = field(default_factory=ProbeSizes)
    """Sizes of the network."""
    n_drawings: int = 20_000
    """Drawings it learns from."""
    whole_share: float = 0.3
    """Share of drawings of one whole animal."""
    incomplete_share: float = 0.2
    """Share of drawings of one animal with one or two parts left out; the rest put one pet's parts among wild ones."""
    batch: int = 64
    """Drawings per step."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            n_steps=1600, learning_rate=2e-3, weight_decay=0.02, ema_decay=0.99, save_every_steps=500
        )
    )


def train_probe(settings: ProbeTraining, *, out: Path, work: Path) -> tuple[Path, ...]:
    """Train the probe; its folder below `out`. `work` holds what a killed run resumes from."""
    torch.manual_seed(settings.seed)
    work = work_folder(work, "probe", settings)
    model = AttributeProbe(settings.sizes)
    faces = training_faces(settings)
    pixels, labels = _pixels(faces, work=work), part_labels(faces)

    def loss_of_step(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, 31, step])
        rows = torch.from_numpy(rng.integers(len(faces), size=settings.batch))
        logits = model(distorted(pixels[rows].float() / 127.5 - 1, rng=rng))
        losses = [nn.functional.cross_entropy(logits[part], labels[part][rows]) for part in PARTS]
        return torch.stack(losses).mean()

    run_loop("probe", model, loss_of_step, settings.loop, work=work)
    folder = out / FOLDER
    save_probe(model, folder)
    _write_card(folder, settings)
    return (folder,)


def training_faces(settings: ProbeTraining) -> list[Face]:
    """What the probe learns from: whole animals, incomplete ones, and one pet's parts among wild ones."""
    rng = np.random.default_rng([settings.seed, 30])
    return [_training_face(settings, rng) for _ in range(settings.n_drawings)]


def part_labels(faces: list[Face]) -> dict[str, Tensor]:
    """Part → (n,) index of what it is in `VALUES`."""
    return {
        part: torch.tensor(
            [VALUES.index(ABSENT if part in face.left_out else getattr(face, part)) for face in faces]
        )
        for part in PARTS
    }


def distorted(pixels: Tensor, *, rng: np.random.Generator) -> Tensor:
    """Pixels a little shifted, most of them as soft and as grainy as painted ones: that is not an attribute."""
    shifted = torch.roll(pixels, tuple(rng.integers(-2, 3, size=2).tolist()), dims=(2, 3))
    once = _softened(shifted)
    strength = torch.from_numpy(rng.uniform(0, 2, len(pixels))).float()[:, None, None, None]
    soft = torch.where(
        strength < 1, torch.lerp(shifted, once, strength), torch.lerp(once, _softened(once), strength - 1)
    )
    noise = torch.from_numpy(rng.standard_normal(pixels.shape, dtype=np.float32))
    grain = torch.from_numpy(rng.uniform(0, 0.08, len(pixels))).float()[:, None, None, None]
    tint = torch.from_numpy(rng.uniform(-0.05, 0.05, (len(pixels), 3))).float()[:, :, None, None]
    return soft + grain * noise + tint


def _softened(pixels: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _training_face(settings: ProbeTraining, rng: np.random.Generator) -> Face:
    chance = rng.random()
    if chance >= settings.whole_share + settings.incomplete_share:
        return pet_among_wild(rng=rng)
    group = PETS if rng.random() < 0.5 else SPECIES
    species = group[int(rng.integers(len(group)))]
    return (
        random_face(species, rng=rng) if chance < settings.whole_share else incomplete_face(species, rng=rng)
    )


def _pixels(faces: list[Face], *, work: Path) -> Tensor:
    """(n, 3, side, side) uint8, drawn once and kept in `work`."""
    path = work / "drawings.safetensors"
    if not path.exists():
        drawn = probe_pixels([draw_face(face, SIDE) for face in faces])
        save_tensors(path, {"pixels": ((drawn + 1) * 127.5).round().to(torch.uint8)})
    return load_file(path)["pixels"]


def _write_card(folder: Path, settings: ProbeTraining) -> None:
    write_card(
        folder,
        title="pet-parts-probe: reads whose ears, eyes and muzzle a drawn face wears",
        base="nothing",
        data=f"{settings.n_drawings} drawings with known parts (hallulab/data/fauna.py)",
        command=COMMAND,
        seed=settings.seed,
        notes=(
            f"{settings.whole_share:.0%} of the drawings are whole animals of {len(SPECIES)} species, "
            f"{settings.incomplete_share:.0%} lack one or two parts, the others put one pet's parts among those of "
            "wild animals, so that each part is learned by itself. No drawing has parts of a cat and of a dog: cat-dog "
            "blends are what the probe is tested on. It knows nothing of CLIP, of the frame, or of painted images."
        ),
    )
