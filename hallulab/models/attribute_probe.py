"""A small network that reads from a picture whose ears, eyes and muzzle an animal face wears."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hallulab.data.fauna import PARTS, SPECIES
from hallulab.errors import RefusedInputError
from hallulab.records import file_sha256

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
ABSENT = "none"
"""what is read where a part was not drawn"""
VALUES = (*SPECIES, ABSENT)
"""what a part can be"""
SIDE = 64
"""side of what the probe looks at, pixels; pictures are scaled to it"""
WINDOWS = {"ears": (0, 0, 64, 64), "eyes": (24, 16, 40, 48), "muzzle": (36, 20, 60, 44)}
"""part → (top, left, bottom, right) of the pixels that decide it, so that no part is guessed from another"""
FACE = (26, 20, 56, 44)
"""(top, left, bottom, right) of what the ears are read without"""


@dataclass(frozen=True)
class ProbeSizes:
    """How large a probe is."""

    widths: tuple[int, ...] = (24, 48)
    """Channels before each halving of the side, after a first one that moves 2 × 2 pixels into channels."""
    n_hidden: int = 48
    """Width of each part's last layer but one."""


@dataclass(frozen=True)
class Attribute:
    """One attribute of one face."""

    value: str
    """The species it is of, or `ABSENT`."""
    probability: float
    """How sure the probe is."""


@dataclass(frozen=True)
class LoadedProbe:
    """A probe ready to read."""

    model: "AttributeProbe"
    """In eval mode."""
    name: str
    """Folder and content: the probe's identity in records."""


class AttributeProbe(nn.Module):
    """One small convolutional network per part, each seeing its window of the picture alone."""

    def __init__(self, sizes: ProbeSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.readers = nn.ModuleDict({part: _reader(part, sizes) for part in PARTS})

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Part → (n, n_values) logits of (n, 3, SIDE, SIDE) pixels in [-1, 1]."""
        return {part: reader(window_of(part, pixels)) for part, reader in self.readers.items()}


def window_of(part: str, pixels: Tensor) -> Tensor:
    """The pixels that decide a part, (n, 3, h, w); ears are read at half the size, from all but the face."""
    top, left, bottom, right = WINDOWS[part]
    if part != "ears":
        return pixels[:, :, top:bottom, left:right]
    around = pixels.clone()
    around[:, :, FACE[0] : FACE[2], FACE[1] : FACE[3]] = 0
    return nn.functional.avg_pool2d(around, 2)


def _reader(part: str, sizes: ProbeSizes) -> nn.Sequential:
    layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
    channels = 12
    for width in sizes.widths:
        layers += [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        channels = width
    height, breadth = window_of(part, torch.zeros(1, 3, SIDE, SIDE)).shape[2:]
    shrunk = 2 ** (1 + len(sizes.widths))
    n_places = (height // shrunk) * (breadth // shrunk)
    layers += [nn.Flatten(), nn.Linear(channels * n_places, sizes.n_hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes.n_hidden, len(VALUES)))


@torch.inference_mode()
def read_attributes(
    probe: LoadedProbe, images: Sequence[Image.Image], batch_size: int = 128
) -> list[dict[str, Attribute]]:
    """Per image, part → what the probe reads there."""
    device = next(probe.model.parameters()).device
    found: list[dict[str, Attribute]] = []
    for start in range(0, len(images), batch_size):
        pixels = probe_pixels(images[start : start + batch_size])
        logits = probe.model(pixels.to(device))
        best = {part: values.softmax(dim=1).max(dim=1) for part, values in logits.items()}
        found += [
            {
                part: Attribute(VALUES[int(indices[row])], float(probabilities[row]))
                for part, (probabilities, indices) in best.items()
            }
            for row in range(len(pixels))
        ]
    return found


def probe_pixels(images: Sequence[Image.Image]) -> Tensor:
    """(n, 3, SIDE, SIDE) float32 in [-1, 1]."""
    scaled = [image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in images]
    return (
        torch.from_numpy(np.stack([np.asarray(image) for image in scaled])).permute(0, 3, 1, 2).float()
        / 127.5
        - 1
    )


def save_probe(model: AttributeProbe, folder: Path) -> None:
    """Write sizes, what parts can be, and half-precision weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"sizes": asdict(model.sizes), "parts": dict.fromkeys(PARTS, VALUES)}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    weights = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)


def load_probe(folder: Path | str, *, device: torch.device | str = "cpu") -> LoadedProbe:
    """Read what `save_probe` wrote.

    Raises RefusedInputError when there is no probe, a damaged one, or one for other attributes.
    """
    root = Path(folder)
    try:
        config = json.loads((root / CONFIG_FILE).read_text(encoding="utf-8"))
        weights = load_file(root / WEIGHTS_FILE)
        _check_parts(config["parts"])
        sizes = config["sizes"]
        model = AttributeProbe(ProbeSizes(**{**sizes, "widths": tuple(sizes["widths"])}))
        model.load_state_dict({key: value.float() for key, value in weights.items()})
    except (OSError, SafetensorError, json.JSONDecodeError, KeyError, TypeError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RefusedInputError(
            f"expected an attribute probe in {root}, which does not load ({reason}): "
            "rebuild it with `python -m hallulab train small-world probe`"
        ) from error
    return LoadedProbe(model.eval().to(device), f"{root.name} {file_sha256(root / WEIGHTS_FILE)[:16]}")


def _check_parts(parts: Mapping[str, Sequence[str]]) -> None:
    if {part: tuple(values) for part, values in parts.items()} != dict.fromkeys(PARTS, VALUES):
        raise RefusedInputError(
            f"expected a probe of {', '.join(PARTS)} with this version's species, got one of {', '.join(parts)}: "
            "rebuild it with `python -m hallulab train small-world probe`"
        )
