"""Drawn animal faces whose every part is known: the pictures of the small world."""

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

PETS = ("cat", "dog")
"""The two latent states of the pictures (the paper's AFHQ cats and dogs)."""

WILD = ("fox", "rabbit", "bear", "mouse", "pig", "panda", "owl", "sheep")
"""The wider fauna a base model is trained on."""

SPECIES = PETS + WILD

PARTS = ("ears", "eyes", "muzzle")
"""What a face is put together from, beside its coat."""

BLEND_KINDS = tuple(
    (ears, eyes, muzzle)
    for ears in PETS
    for eyes in PETS
    for muzzle in PETS
    if not ears == eyes == muzzle
)
"""Every way (ears, eyes, muzzle) of a cat and a dog can be mixed; for evaluation only, never for training."""

_SUPERSAMPLING = 3

_FURS = {
    "orange": (236, 150, 74),
    "grey": (158, 163, 174),
    "cream": (240, 216, 178),
    "brown": (158, 108, 72),
    "white": (246, 243, 238),
    "black": (74, 70, 78),
    "golden": (223, 176, 104),
    "pink": (244, 180, 186),
}
_EYES = {
    "green": (104, 190, 96),
    "amber": (240, 184, 52),
    "blue": (96, 170, 232),
    "brown": (96, 58, 34),
    "black": (38, 32, 36),
}
_BACKGROUNDS = {
    "blue": (178, 212, 238),
    "green": (190, 224, 186),
    "yellow": (250, 232, 176),
    "purple": (214, 200, 236),
    "peach": (250, 212, 192),
    "teal": (176, 222, 220),
}
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
_EYES_OF = {
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
_LIGHT_PINK = (246, 178, 182)
_DARK = (46, 38, 42)
_PALE = (252, 244, 232)


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
        eye_colour=_pick(_EYES_OF[species], rng),
        background=_pick(tuple(_BACKGROUNDS), rng),
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
    return _with_parts(
        random_face(_pick(PETS, rng), rng=rng), ears=ears, eyes=eyes, muzzle=muzzle, rng=rng
    )


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
        "eyes": _pick((_EYE_WORDS[face.eyes], f"{face.eyes} eyes", f"{face.eye_colour} {face.eyes} eyes"), rng),
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
    ground = _BACKGROUNDS[face.background]
    image = Image.new("RGB", (canvas_size, canvas_size), ground)
    pen = _Pen(ImageDraw.Draw(image), canvas_size, face.scale)
    pen.ellipse(0, -0.1, 1.42, 1.4, _mix(ground, (255, 255, 255), 0.45))
    colours = _Colours(face)
    has_ears, ears_behind = "ears" not in face.left_out, face.ears in _EARS_BEHIND
    if has_ears and ears_behind:
        _EARS[face.ears](pen, colours)
    _draw_head(pen, face, colours)
    if has_ears and not ears_behind:
        _EARS[face.ears](pen, colours)
    if "muzzle" not in face.left_out:
        _MUZZLES[face.muzzle](pen, colours, face)
    if "eyes" not in face.left_out:
        _EYE_SHAPES[face.eyes](pen, colours)
    turned = image.rotate(
        face.rotation_deg,
        Image.Resampling.BILINEAR,
        translate=(round(face.shift_x * canvas_size), round(face.shift_y * canvas_size)),
        fillcolor=ground,
    )
    return turned.reduce(_SUPERSAMPLING)


class _Colours:
    """The colours the parts share."""

    def __init__(self, face: Face) -> None:
        self.fur = _FURS[face.fur]
        self.shade = _mix(self.fur, (60, 36, 30), 0.32)
        self.light = _mix(self.fur, (255, 252, 244), 0.62)
        self.line = _mix(self.fur, (30, 20, 24), 0.75)
        self.iris = _EYES[face.eye_colour]


class _Pen:
    """Draws in head units: (0, 0) is the middle of the head, 1 its half width, y points down."""

    def __init__(self, draw: ImageDraw.ImageDraw, canvas_size: int, scale: float) -> None:
        self._draw = draw
        self._unit = 0.315 * canvas_size * scale
        self._centre = (0.5 * canvas_size, 0.56 * canvas_size)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: tuple, tilt_deg: float = 0.0) -> None:
        if tilt_deg:
            angle = math.radians(tilt_deg)
            turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
            self.polygon([(x + dx, y + dy) for dx, dy in (_UNIT_CIRCLE * (rx, ry)) @ turn], fill)
            return
        (left, top), (right, bottom) = self._at(x - rx, y - ry), self._at(x + rx, y + ry)
        self._draw.ellipse((left, top, right, bottom), fill=fill)

    def polygon(self, points: list[tuple[float, float]], fill: tuple) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=fill)

    def line(self, points: list[tuple[float, float]], fill: tuple, width: float = 0.05) -> None:
        self._draw.line(
            [self._at(x, y) for x, y in points], fill=fill, width=max(1, round(width * self._unit)), joint="curve"
        )

    def arc(self, x: float, y: float, rx: float, ry: float, start: int, end: int, fill: tuple) -> None:
        (left, top), (right, bottom) = self._at(x - rx, y - ry), self._at(x + rx, y + ry)
        width = max(1, round(0.055 * self._unit))
        self._draw.arc((left, top, right, bottom), start, end, fill=fill, width=width)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._centre[0] + x * self._unit, self._centre[1] + y * self._unit


_ANGLES = np.linspace(0, 2 * math.pi, 28, endpoint=False)
_UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)  # (28, 2)


def _draw_head(pen: _Pen, face: Face, colours: _Colours) -> None:
    width, height = _HEADS[face.coat]
    if face.coat == "sheep":
        for x, y in ((-0.75, -0.55), (0.75, -0.55), (-0.4, -0.85), (0.4, -0.85), (0, -0.95), (-0.95, -0.1),
                     (0.95, -0.1), (-0.85, 0.35), (0.85, 0.35)):  # fmt: skip
            pen.ellipse(x, y, 0.36, 0.34, colours.light)
    if face.fluffy:
        pen.polygon(_tufts(width, height), colours.fur)
    pen.ellipse(0, 0, width, height, colours.fur)
    if face.marked or face.coat in ("owl",):
        _MARKS[face.coat](pen, colours)


def _tufts(width: float, height: float) -> list[tuple[float, float]]:
    points = []
    for step in range(40):
        angle = 2 * math.pi * step / 40
        reach = 1.15 if step % 2 else 0.98
        points.append((width * reach * math.cos(angle), height * reach * math.sin(angle)))
    return points


_HEADS = {
    "cat": (1.02, 0.86),
    "dog": (0.92, 0.96),
    "fox": (1.02, 0.84),
    "rabbit": (0.86, 0.86),
    "bear": (1.04, 0.94),
    "mouse": (0.82, 0.82),
    "pig": (1.0, 0.9),
    "panda": (1.08, 0.92),
    "owl": (1.0, 1.0),
    "sheep": (0.84, 0.94),
}


def _stripes(pen: _Pen, colours: _Colours) -> None:
    for x, length in ((-0.24, 0.26), (0.0, 0.36), (0.24, 0.26)):
        pen.polygon([(x - 0.07, -0.84), (x + 0.07, -0.84), (x * 0.8, -0.84 + length)], colours.shade)
    for side in (-1, 1):
        for y in (0.05, 0.25):
            pen.polygon([(side * 1.0, y - 0.06), (side * 1.0, y + 0.08), (side * 0.72, y + 0.02)], colours.shade)


def _eye_patch(pen: _Pen, colours: _Colours) -> None:
    pen.ellipse(0.42, -0.2, 0.36, 0.42, colours.shade, 15)


def _blaze(pen: _Pen, colours: _Colours) -> None:
    pen.ellipse(0, -0.45, 0.16, 0.42, colours.light)


def _forehead_spot(pen: _Pen, colours: _Colours) -> None:
    pen.ellipse(0, -0.62, 0.26, 0.18, colours.shade)


def _cheeks(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.66, 0.3, 0.18, 0.13, _LIGHT_PINK)


def _facial_discs(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -0.12, 0.56, 0.6, colours.light)


_MARKS = {
    "cat": _stripes,
    "dog": _eye_patch,
    "fox": _blaze,
    "rabbit": _cheeks,
    "bear": _forehead_spot,
    "mouse": _cheeks,
    "pig": _cheeks,
    "panda": _cheeks,
    "owl": _facial_discs,
    "sheep": _blaze,
}


def _cat_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 0.98, -0.2), (side * 0.88, -1.32), (side * 0.2, -0.78)], colours.fur)
        pen.polygon([(side * 0.86, -0.42), (side * 0.8, -1.08), (side * 0.4, -0.76)], _LIGHT_PINK)


def _dog_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.98, -0.02, 0.31, 0.74, colours.line, side * -14)
        pen.ellipse(side * 0.98, -0.02, 0.27, 0.7, colours.shade, side * -14)


def _fox_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 1.05, -0.1), (side * 0.72, -1.5), (side * 0.08, -0.7)], colours.fur)
        pen.polygon([(side * 0.86, -0.93), (side * 0.72, -1.5), (side * 0.44, -1.15)], _DARK)
        pen.polygon([(side * 0.78, -0.5), (side * 0.68, -0.95), (side * 0.36, -0.74)], _PALE)


def _rabbit_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -1.04, 0.24, 0.66, colours.fur, side * 8)
        pen.ellipse(side * 0.42, -1.02, 0.12, 0.48, _LIGHT_PINK, side * 8)


def _bear_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.74, -0.74, 0.34, 0.34, colours.fur)
        pen.ellipse(side * 0.74, -0.72, 0.19, 0.19, colours.shade)


def _mouse_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.88, -0.68, 0.56, 0.56, colours.shade)
        pen.ellipse(side * 0.88, -0.66, 0.4, 0.4, _LIGHT_PINK)


def _pig_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 0.3, -0.86), (side * 0.95, -1.02), (side * 1.08, -0.32)], colours.shade)
        pen.polygon([(side * 0.42, -0.8), (side * 0.86, -0.72), (side * 1.08, -0.32)], colours.fur)


def _panda_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.8, -0.78, 0.36, 0.36, _DARK)


def _owl_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 0.9, -0.45), (side * 1.0, -1.08), (side * 0.7, -0.98), (side * 0.5, -0.7)], colours.shade)
        pen.polygon([(side * 0.62, -0.6), (side * 0.74, -1.16), (side * 0.2, -0.9)], colours.shade)


def _sheep_ears(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 1.08, -0.2, 0.42, 0.19, colours.shade, side * 24)
        pen.ellipse(side * 1.1, -0.19, 0.26, 0.09, _LIGHT_PINK, side * 24)


_EARS = {
    "cat": _cat_ears,
    "dog": _dog_ears,
    "fox": _fox_ears,
    "rabbit": _rabbit_ears,
    "bear": _bear_ears,
    "mouse": _mouse_ears,
    "pig": _pig_ears,
    "panda": _panda_ears,
    "owl": _owl_ears,
    "sheep": _sheep_ears,
}
_EARS_BEHIND = ("cat", "fox", "rabbit", "bear", "mouse", "panda")


def _cat_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.44, -0.1, 0.29, 0.23, _DARK, side * -14)
        pen.ellipse(side * 0.44, -0.1, 0.25, 0.19, colours.iris, side * -14)
        pen.ellipse(side * 0.44, -0.1, 0.065, 0.19, _DARK)


def _dog_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.4, -0.16, 0.2, 0.22, (252, 250, 246))
        pen.ellipse(side * 0.4, -0.14, 0.17, 0.19, colours.iris)
        pen.ellipse(side * 0.4, -0.13, 0.1, 0.11, _DARK)
        pen.ellipse(side * 0.4 - 0.06, -0.22, 0.06, 0.06, (255, 255, 255))


def _fox_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.46, -0.12, 0.26, 0.11, _DARK, side * -32)
        pen.ellipse(side * 0.46, -0.12, 0.2, 0.07, colours.iris, side * -32)
        pen.ellipse(side * 0.45, -0.11, 0.06, 0.08, _DARK)


def _rabbit_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.48, -0.1, 0.15, 0.26, _DARK)
        pen.ellipse(side * 0.48, -0.05, 0.1, 0.18, colours.iris)
        pen.ellipse(side * 0.48 - 0.04, -0.2, 0.06, 0.07, (255, 255, 255))


def _bear_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.36, -0.16, 0.09, 0.1, _DARK)


def _mouse_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.26, -0.12, 0.17, 0.19, _DARK)
        pen.ellipse(side * 0.26 - 0.05, -0.19, 0.055, 0.055, (255, 255, 255))


def _pig_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.56, -0.24, 0.14, 0.14, (255, 255, 255))
        pen.ellipse(side * 0.54, -0.22, 0.09, 0.1, colours.iris)


def _panda_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.44, -0.1, 0.24, 0.34, _DARK, side * 28)
        pen.ellipse(side * 0.41, -0.15, 0.1, 0.1, (255, 255, 255))
        pen.ellipse(side * 0.4, -0.14, 0.05, 0.06, _DARK)


def _owl_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -0.14, 0.4, 0.4, colours.shade)
        pen.ellipse(side * 0.42, -0.14, 0.33, 0.33, colours.iris)
        pen.ellipse(side * 0.42, -0.14, 0.19, 0.19, _DARK)
        pen.ellipse(side * 0.42 - 0.08, -0.24, 0.07, 0.07, (255, 255, 255))


def _sheep_eyes(pen: _Pen, colours: _Colours) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -0.14, 0.2, 0.17, (250, 248, 240))
        pen.ellipse(side * 0.42, -0.1, 0.15, 0.12, colours.iris)
        pen.ellipse(side * 0.42, -0.09, 0.12, 0.05, _DARK)
        pen.polygon(
            [(side * 0.2, -0.15), (side * 0.64, -0.15), (side * 0.62, -0.34), (side * 0.22, -0.34)], colours.shade
        )


_EYE_SHAPES = {
    "cat": _cat_eyes,
    "dog": _dog_eyes,
    "fox": _fox_eyes,
    "rabbit": _rabbit_eyes,
    "bear": _bear_eyes,
    "mouse": _mouse_eyes,
    "pig": _pig_eyes,
    "panda": _panda_eyes,
    "owl": _owl_eyes,
    "sheep": _sheep_eyes,
}


def _cat_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.18, 0.4, 0.24, 0.19, colours.light)
        for y, slope in ((0.3, -0.1), (0.4, 0.02), (0.5, 0.14)):
            pen.line([(side * 0.36, y), (side * 1.18, y + slope)], colours.line, 0.04)
        pen.arc(side * 0.13, 0.4, 0.13, 0.12, 10, 170, colours.line)
    pen.polygon([(-0.14, 0.2), (0.14, 0.2), (0.0, 0.37)], (232, 110, 128))


def _dog_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    if face.tongue:
        pen.ellipse(0.0, 0.82, 0.17, 0.26, (236, 104, 120))
    pen.ellipse(0, 0.46, 0.48, 0.36, _mix(colours.light, _PALE, 0.6))
    pen.line([(0, 0.4), (0, 0.64)], _DARK, 0.06)
    pen.arc(-0.14, 0.6, 0.14, 0.1, 0, 160, _DARK)
    pen.arc(0.14, 0.6, 0.14, 0.1, 20, 180, _DARK)
    pen.ellipse(0, 0.29, 0.24, 0.17, _DARK)
    pen.ellipse(-0.07, 0.23, 0.07, 0.04, (150, 145, 150))


def _fox_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    pen.polygon([(-0.98, 0.12), (-0.3, 0.12), (0, 0.3), (0.3, 0.12), (0.98, 0.12), (0.5, 0.66), (0, 1.0), (-0.5, 0.66)],
                _PALE)  # fmt: skip
    pen.polygon([(-0.15, 0.66), (0.15, 0.66), (0.0, 0.88)], _DARK)


def _rabbit_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.17, 0.4, 0.22, 0.17, colours.light)
    pen.polygon([(-0.18, 0.54), (0.18, 0.54), (0.15, 0.8), (-0.15, 0.8)], (255, 255, 255))
    pen.line([(0, 0.54), (0, 0.8)], colours.line, 0.04)
    pen.ellipse(0, 0.28, 0.1, 0.07, (232, 120, 140))
    pen.line([(0, 0.34), (0, 0.5)], colours.line, 0.04)


def _bear_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    pen.ellipse(0, 0.36, 0.4, 0.36, (222, 188, 140))
    pen.ellipse(0, 0.22, 0.15, 0.11, (84, 54, 40))
    pen.arc(0, 0.38, 0.2, 0.16, 20, 160, (84, 54, 40))


def _mouse_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    for side in (-1, 1):
        for slope in (-0.22, 0.22):
            pen.line([(side * 0.12, 0.46), (side * 1.2, 0.46 + slope)], colours.line, 0.035)
    pen.ellipse(0, 0.44, 0.17, 0.15, (240, 132, 152))
    pen.ellipse(-0.05, 0.4, 0.05, 0.04, (255, 220, 226))


def _pig_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    pen.ellipse(0, 0.3, 0.44, 0.3, (240, 144, 158))
    for side in (-1, 1):
        pen.ellipse(side * 0.16, 0.3, 0.08, 0.13, (168, 78, 98))
    pen.arc(0, 0.56, 0.24, 0.16, 20, 160, colours.line)


def _panda_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    pen.ellipse(0, 0.36, 0.12, 0.08, _DARK)
    pen.arc(-0.14, 0.44, 0.14, 0.16, 10, 150, _DARK)
    pen.arc(0.14, 0.44, 0.14, 0.16, 30, 170, _DARK)


def _owl_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    pen.polygon([(-0.2, 0.1), (0.2, 0.1), (0.0, 0.52)], (244, 162, 50))
    for x, y in ((-0.3, 0.62), (0.0, 0.7), (0.3, 0.62)):
        pen.arc(x, y, 0.14, 0.12, 10, 170, colours.shade)


def _sheep_muzzle(pen: _Pen, colours: _Colours, face: Face) -> None:
    pen.ellipse(0, 0.42, 0.4, 0.52, _mix(colours.shade, _DARK, 0.55))
    for side in (-1, 1):
        pen.ellipse(side * 0.15, 0.5, 0.07, 0.1, _DARK, side * 30)
    pen.arc(0, 0.62, 0.18, 0.14, 20, 160, _LIGHT_PINK)


_MUZZLES = {
    "cat": _cat_muzzle,
    "dog": _dog_muzzle,
    "fox": _fox_muzzle,
    "rabbit": _rabbit_muzzle,
    "bear": _bear_muzzle,
    "mouse": _mouse_muzzle,
    "pig": _pig_muzzle,
    "panda": _panda_muzzle,
    "owl": _owl_muzzle,
    "sheep": _sheep_muzzle,
}


def _with_parts(face: Face, *, ears: str, eyes: str, muzzle: str, rng: np.random.Generator) -> Face:
    return replace(face, ears=ears, eyes=eyes, muzzle=muzzle, eye_colour=_pick(_EYES_OF[eyes], rng))


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _mix(colour: tuple, other: tuple, share: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
