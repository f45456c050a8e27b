"""What the autoencoder makes of a drawing whose parts are known: read from pixels, by no network.

The autoencoder learned genuine animals, and turns some parts of a cat-dog blend into those of the other pet. A decoded
part is what it is nearest to: the drawing, or the same drawing with that part of the other pet.
"""

from dataclasses import replace
from typing import Literal

from PIL import Image
from torch import Tensor, nn

from hallulab.data.fauna import EYE_COLOURS_OF, PARTS, PETS, Face, draw_face
from hallulab.models.attribute_probe import probe_pixels, window_of

VISIBLE = 0.05
"""difference of two drawings in a pixel, of colours in [-1, 1], summed over them, from which on it tells them apart"""


def repaired_parts(face: Face, decoded: Image.Image) -> tuple[str, ...]:
    """The parts of a drawn pet or cat-dog blend that look like those of the other pet once decoded.

    Args:
        face: what was drawn; every part a cat's or a dog's.
        decoded: the drawing after the autoencoder.
    """
    pixels = probe_pixels([decoded])
    return tuple(part for part in PARTS if _is_nearer_to_other(face, part, pixels))


def decoded_truth(face: Face, decoded: Image.Image) -> Literal["genuine", "blend"]:
    """Whether a decoded drawing has parts of one pet or of both."""
    repaired = repaired_parts(face, decoded)
    now = {_other(getattr(face, part)) if part in repaired else getattr(face, part) for part in PARTS}
    return "genuine" if len(now) == 1 else "blend"


def _is_nearer_to_other(face: Face, part: str, decoded: Tensor) -> bool:
    """Whether the pixels that a part decides are nearer to those of the other pet, in its most alike eye colour."""
    other = _other(getattr(face, part))
    changed = replace(face, **{part: other})
    alternatives = (
        [replace(changed, eye_colour=colour) for colour in EYE_COLOURS_OF[other]]
        if part == "eyes"
        else [changed]
    )
    drawn = probe_pixels([draw_face(one) for one in (face, *alternatives)])
    own, *others = window_of(part, drawn).split(1)
    seen = window_of(part, decoded)
    distances = []
    for one in others:
        tells_apart = (one - own).abs().sum(dim=1, keepdim=True) > VISIBLE
        to_other, to_own = (
            float(((seen - _softened(pixels)).square() * tells_apart).sum()) for pixels in (one, own)
        )
        distances.append((to_other, to_own))
    to_other, to_own = min(distances)
    return to_other < to_own


def _other(pet: str) -> str:
    return PETS[1 - PETS.index(pet)]


def _softened(pixels: Tensor) -> Tensor:
    """As soft as what an autoencoder gives back, more or less: softness is no part."""
    return nn.functional.avg_pool2d(nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
