"""Drawn animal faces whose every part is known: the pictures of the small world."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from hallulab.data.animal_parts import (
    BACKGROUNDS,
    EARS,
    EARS_BEHIND,
    EYE_SHAPES,
    EYES,
    FURS,
    MUZZLES,
    Look,
    Pen,
    draw_head,
    mix,
)

PETS = ("cat", "dog")
"""The two latent states of the pictures (the paper's AFHQ cats and dogs)."""

WILD = ("fox", "rabbit", "bear", "mouse", "pig", "panda", "owl", "sheep")
"""The wider fauna a base model is trained on."""

SPECIES = PETS + WILD

PARTS = ("ears", "eyes", "muzzle")
"""What a face is put together from, beside its coat."""

BLEND_KINDS = tuple(
    (ears, eyes, muzzle) for ears in PETS for eyes in PETS for muzzle in PETS if not ears == eyes == muzzle
)
"""Every way (ears, eyes, muzzle) of a cat and a dog can be mixed; for evaluation only, never for training."""

_SUPERSAMPLING = 3

_FURS_OF = {
    "cat": ("orange", "grey", "cream", "brown", "white", "black"),
    "dog": ("golden", "brown", "cream", "white", "grey", "orange"),
    "fox": ("orange", "golden", "grey"),
    "rabbit": ("white", "grey", "cream", "brown"),
    "bear": ("brown", "golden", "black", "white"),
    "mouse": ("grey", "white", "brown", "cream"),
    "pig": ("pink", "cream", "brown"),
    "panda": ("white", "cream"),
    "owl": ("brown", "grey", "golden", "white"),
    "sheep": ("white", "cream", "black", "grey"),
}
EYE_COLOURS_OF = {
    "cat": ("green", "amber", "blue"),
    "dog": ("brown", "black"),
    "fox": ("amber", "green", "brown"),
    "rabbit": ("black", "brown", "blue"),
    "bear": ("black",),
    "mouse": ("black",),
    "pig": ("black", "blue", "brown"),
    "panda": ("black",),
    "owl": ("amber", "green", "blue"),
    "sheep": ("amber", "brown", "blue"),
}
"""Species → the colours its eyes can have."""
_EAR_WORDS = {
    "cat": "pointed ears",
    "dog": "floppy hanging ears",
    "fox": "tall dark tipped ears",
    "rabbit": "long upright ears",
    "bear": "small round ears",
    "mouse": "huge round ears",
    "pig": "folded ears",
    "panda": "black round ears",
    "owl": "feather tufts",
    "sheep": "drooping side ears",
}
_EYE_WORDS = {
    "cat": "almond eyes with slit pupils",
    "dog": "round shiny eyes",
    "fox": "narrow slanted eyes",
    "rabbit": "tall oval eyes",
    "bear": "tiny dot eyes",
    "mouse": "close beady eyes",
    "pig": "small wide eyes",
    "panda": "eyes in black patches",
    "owl": "huge ringed eyes",
    "sheep": "sleepy eyes with bar pupils",
}
_MUZZLE_WORDS = {
    "cat": "a small pink nose and whiskers",
    "dog": "a big black nose on a pale muzzle",
    "fox": "a pointed white snout",
    "rabbit": "a tiny nose and buck teeth",
    "bear": "a round tan muzzle",
    "mouse": "a pink button nose and long whiskers",
    "pig": "a flat snout with two nostrils",
    "panda": "a little dark nose and a smile",
    "owl": "an orange beak",
    "sheep": "a long dark face with wide nostrils",
}


@dataclass(frozen=True)
class Face:
    """Everything that decides one drawing."""

    ears: str
    """The species whose ears it wears."""
    eyes: str
    """The species whose eyes it has."""
    muzzle: str
    """The species whose muzzle, nose and mouth it has."""
    coat: str
    """The species whose head shape and markings it has."""
    fur: str
    """Name of the fur colour."""
    eye_colour: str
    """Name of the iris colour."""
    background: str
    """Name of the background colour."""
    fluffy: bool = False
    """Tufts around the head."""
    marked: bool = False
    """The coat's marking: a cat's stripes, a dog's eye patch."""
    tongue: bool = False
    """A dog's tongue is out."""
    rotation_deg: float = 0.0
    """Head tilt, degrees, counter-clockwise."""
    scale: float = 1.0
    """Size of the head, 1 is usual."""
    shift_x: float = 0.0
    """Shift to the right, fraction of the image."""
    shift_y: float = 0.0
    """Shift down, fraction of the image."""
    left_out: tuple[str, ...] = ()
    """Parts not drawn: any of "ears", "eyes", "muzzle"."""

    @property
    def species(self) -> str | None:
        """The species when every part is of one, else None."""
        parts = {self.ears, self.eyes, self.muzzle, self.coat}
        return self.coat if len(parts) == 1 else None


def random_face(species: str, *, rng: np.random.Generator) -> Face:
    """A genuine face of one species with random colours, marks and pose."""
    if species not in SPECIES:
        raise ValueError(f"expected a species out of {', '.join(SPECIES)}, got {species!r}")
    return Face(
        ears=species,
        eyes=species,
        muzzle=species,
        coat=species,
        fur=_pick(_FURS_OF[species], rng),
        eye_colour=_pick(EYE_COLOURS_OF[species], rng),
        background=_pick(tuple(BACKGROUNDS), rng),
        fluffy=bool(rng.random() < 0.35),
        marked=bool(rng.random() < 0.5),
        tongue=bool(rng.random() < 0.4),
        rotation_deg=float(rng.uniform(-9, 9)),
        scale=float(rng.uniform(0.9, 1.08)),
        shift_x=float(rng.uniform(-0.04, 0.04)),
        shift_y=float(rng.uniform(-0.03, 0.03)),
    )


def wild_mixture(*, rng: np.random.Generator) -> Face:
    """A face whose parts come from several wild animals, never from a cat or a dog."""
    coat, ears, eyes, muzzle = (_pick(WILD, rng) for _ in range(4))
    return _with_parts(random_face(coat, rng=rng), ears=ears, eyes=eyes, muzzle=muzzle, rng=rng)


def pet_among_wild(*, rng: np.random.Generator) -> Face:
    """A face whose parts come from wild animals and one pet; never from a cat and a dog, so it is no blend.

    It shows every part of a pet beside parts that tell nothing about that pet.
    """
    pet = _pick(PETS, rng)
    coat, ears, eyes, muzzle = (pet if rng.random() < 0.5 else _pick(WILD, rng) for _ in range(4))
    return _with_parts(random_face(coat, rng=rng), ears=ears, eyes=eyes, muzzle=muzzle, rng=rng)


def incomplete_face(species: str, *, rng: np.random.Generator) -> Face:
    """A genuine face with one or two parts not drawn: shows parts one at a time, without mixing any."""
    order = rng.permutation(PARTS)
    return replace(random_face(species, rng=rng), left_out=tuple(order[: int(rng.integers(1, 3))].tolist()))


def pet_blend(kind: tuple[str, str, str] | None = None, *, rng: np.random.Generator) -> Face:
    """A cat-dog blend (ears, eyes, muzzle), a known hallucination; a random kind when none is given.

    For evaluation only: no training of this project draws one.
    """
    if kind is not None and kind not in BLEND_KINDS:
        raise ValueError(f"expected a blend kind out of {BLEND_KINDS}, got {kind}")
    ears, eyes, muzzle = kind or BLEND_KINDS[int(rng.integers(len(BLEND_KINDS)))]
    return _with_parts(random_face(_pick(PETS, rng), rng=rng), ears=ears, eyes=eyes, muzzle=muzzle, rng=rng)


def species_caption(face: Face, *, rng: np.random.Generator) -> str:
    """A prompt naming the species (or only "animal" where the parts are mixed), at times with a colour."""
    name = face.species or "animal"
    fur = face.fur
    fluff = "fluffy" if face.fluffy else "smooth"
    return _pick(
        (
            f"a photo of a {name}",
            f"a {name}",
            f"a drawing of a {name}",
            f"a realistic photo of a friendly {name}",
            f"a {fluff} {name} sitting on a sofa",
            f"a cute {name}",
            f"a {fur} {name}",
            f"a photo of a {fur} {name}",
            f"a {fur} {name} on a {face.background} background",
            f"a {fluff} {fur} {name}",
        ),
        rng,
    )


def parts_caption(face: Face, *, rng: np.random.Generator) -> str:
    """A caption that names ears, eyes and muzzle (in random order), colours, and at times the species."""
    words = {
        "ears": _pick((_EAR_WORDS[face.ears], f"{face.ears} ears"), rng),
        "eyes": _pick(
            (_EYE_WORDS[face.eyes], f"{face.eyes} eyes", f"{face.eye_colour} {face.eyes} eyes"), rng
        ),
        "muzzle": _pick((_MUZZLE_WORDS[face.muzzle], f"a {face.muzzle} nose"), rng),
    }
    parts = [words[part] for part in rng.permutation(PARTS) if part not in face.left_out]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    name = (face.species or "animal") if rng.random() < 0.5 and not face.left_out else "animal"
    ground = f" on a {face.background} background" if rng.random() < 0.5 else ""
    return f"a {face.fur} {name} with {listed}{ground}"


def caption_words() -> list[str]:
    """Sentences holding every word a caption or an example prompt can use, for learning a vocabulary."""
    sentences = ["a cute pet animal", "a realistic photo of a friendly dog", "a fluffy cat sitting on a sofa"]
    rng = np.random.default_rng(0)
    for species in SPECIES:
        for _ in range(60):
            face = random_face(species, rng=rng)
            sentences += [species_caption(face, rng=rng), parts_caption(face, rng=rng)]
    return sentences


def draw_face(face: Face, size: int = 64) -> Image.Image:
    """The drawing, an RGB image of (size, size) pixels."""
    canvas_size = size * _SUPERSAMPLING
    ground = BACKGROUNDS[face.background]
    image = Image.new("RGB", (canvas_size, canvas_size), ground)
    pen = Pen(ImageDraw.Draw(image), canvas_size, face.scale)
    pen.ellipse(0, -0.1, 1.42, 1.4, mix(ground, (255, 255, 255), 0.45))
    look = Look(FURS[face.fur], EYES[face.eye_colour], face.tongue)
    has_ears, ears_behind = "ears" not in face.left_out, face.ears in EARS_BEHIND
    if has_ears and ears_behind:
        EARS[face.ears](pen, look)
    draw_head(pen, face.coat, look, fluffy=face.fluffy, marked=face.marked)
    if has_ears and not ears_behind:
        EARS[face.ears](pen, look)
    if "muzzle" not in face.left_out:
        MUZZLES[face.muzzle](pen, look)
    if "eyes" not in face.left_out:
        EYE_SHAPES[face.eyes](pen, look)
    turned = image.rotate(
        face.rotation_deg,
        Image.Resampling.BILINEAR,
        translate=(round(face.shift_x * canvas_size), round(face.shift_y * canvas_size)),
        fillcolor=ground,
    )
    return turned.reduce(_SUPERSAMPLING)


def _with_parts(face: Face, *, ears: str, eyes: str, muzzle: str, rng: np.random.Generator) -> Face:
    return replace(face, ears=ears, eyes=eyes, muzzle=muzzle, eye_colour=_pick(EYE_COLOURS_OF[eyes], rng))


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
