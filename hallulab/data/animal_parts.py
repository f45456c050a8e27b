"""The parts of a drawn animal face: ears, eyes, muzzles, heads and markings of every species."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

FURS = {
    "orange": (236, 150, 74),
    "grey": (158, 163, 174),
    "cream": (240, 216, 178),
    "brown": (158, 108, 72),
    "white": (246, 243, 238),
    "black": (74, 70, 78),
    "golden": (223, 176, 104),
    "pink": (244, 180, 186),
}
EYES = {
    "green": (104, 190, 96),
    "amber": (240, 184, 52),
    "blue": (96, 170, 232),
    "brown": (96, 58, 34),
    "black": (38, 32, 36),
}
BACKGROUNDS = {
    "blue": (178, 212, 238),
    "green": (190, 224, 186),
    "yellow": (250, 232, 176),
    "purple": (214, 200, 236),
    "peach": (250, 212, 192),
    "teal": (176, 222, 220),
}
_LIGHT_PINK = (246, 178, 182)
_DARK = (46, 38, 42)
_PALE = (252, 244, 232)


@dataclass(frozen=True)
class Look:
    """What the parts of one face share."""

    fur: Colour
    iris: Colour
    tongue: bool
    """A dog's tongue is out."""

    @property
    def shade(self) -> Colour:
        """Darker fur."""
        return mix(self.fur, (60, 36, 30), 0.32)

    @property
    def light(self) -> Colour:
        """Lighter fur."""
        return mix(self.fur, (255, 252, 244), 0.62)

    @property
    def line(self) -> Colour:
        """Outlines and whiskers."""
        return mix(self.fur, (30, 20, 24), 0.75)


class Pen:
    """Draws in head units: (0, 0) is the middle of the head, 1 its half width, y points down."""

    def __init__(self, draw: ImageDraw.ImageDraw, canvas_size: int, scale: float) -> None:
        self._draw = draw
        self._unit = 0.315 * canvas_size * scale
        self._centre = (0.5 * canvas_size, 0.56 * canvas_size)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour, tilt_deg: float = 0.0) -> None:
        if tilt_deg:
            angle = math.radians(tilt_deg)
            turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
            self.polygon([(x + dx, y + dy) for dx, dy in (_UNIT_CIRCLE * (rx, ry)) @ turn], fill)
            return
        (left, top), (right, bottom) = self._at(x - rx, y - ry), self._at(x + rx, y + ry)
        self._draw.ellipse((left, top, right, bottom), fill=fill)

    def polygon(self, points: list[Point], fill: Colour) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=fill)

    def line(self, points: list[Point], fill: Colour, width: float = 0.05) -> None:
        self._draw.line(
            [self._at(x, y) for x, y in points],
            fill=fill,
            width=max(1, round(width * self._unit)),
            joint="curve",
        )

    def arc(self, x: float, y: float, rx: float, ry: float, start: int, end: int, fill: Colour) -> None:
        (left, top), (right, bottom) = self._at(x - rx, y - ry), self._at(x + rx, y + ry)
        width = max(1, round(0.055 * self._unit))
        self._draw.arc((left, top, right, bottom), start, end, fill=fill, width=width)

    def _at(self, x: float, y: float) -> Point:
        return self._centre[0] + x * self._unit, self._centre[1] + y * self._unit


_ANGLES = np.linspace(0, 2 * math.pi, 28, endpoint=False)
_UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)  # (28, 2)


def draw_head(pen: Pen, coat: str, look: Look, *, fluffy: bool, marked: bool) -> None:
    """The head of a species, with tufts and its marking where asked for; an owl always has its discs."""
    width, height = _HEADS[coat]
    if coat == "sheep":
        for x, y in ((-0.75, -0.55), (0.75, -0.55), (-0.4, -0.85), (0.4, -0.85), (0, -0.95), (-0.95, -0.1),
                     (0.95, -0.1), (-0.85, 0.35), (0.85, 0.35)):  # fmt: skip
            pen.ellipse(x, y, 0.36, 0.34, look.light)
    if fluffy:
        pen.polygon(_tufts(width, height), look.fur)
    pen.ellipse(0, 0, width, height, look.fur)
    if marked or coat == "owl":
        _MARKS[coat](pen, look)


def _tufts(width: float, height: float) -> list[Point]:
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


def _stripes(pen: Pen, look: Look) -> None:
    for x, length in ((-0.24, 0.26), (0.0, 0.36), (0.24, 0.26)):
        pen.polygon([(x - 0.07, -0.84), (x + 0.07, -0.84), (x * 0.8, -0.84 + length)], look.shade)
    for side in (-1, 1):
        for y in (0.05, 0.25):
            pen.polygon([(side * 1.0, y - 0.06), (side * 1.0, y + 0.08), (side * 0.72, y + 0.02)], look.shade)


def _eye_patch(pen: Pen, look: Look) -> None:
    pen.ellipse(0.42, -0.2, 0.36, 0.42, look.shade, 15)


def _blaze(pen: Pen, look: Look) -> None:
    pen.ellipse(0, -0.45, 0.16, 0.42, look.light)


def _forehead_spot(pen: Pen, look: Look) -> None:
    pen.ellipse(0, -0.62, 0.26, 0.18, look.shade)


def _cheeks(pen: Pen, _look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.66, 0.3, 0.18, 0.13, _LIGHT_PINK)


def _facial_discs(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -0.12, 0.56, 0.6, look.light)


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


def _cat_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 0.98, -0.2), (side * 0.88, -1.32), (side * 0.2, -0.78)], look.fur)
        pen.polygon([(side * 0.86, -0.42), (side * 0.8, -1.08), (side * 0.4, -0.76)], _LIGHT_PINK)


def _dog_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.98, -0.02, 0.31, 0.74, look.line, side * -14)
        pen.ellipse(side * 0.98, -0.02, 0.27, 0.7, look.shade, side * -14)


def _fox_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 1.05, -0.1), (side * 0.72, -1.5), (side * 0.08, -0.7)], look.fur)
        pen.polygon([(side * 0.86, -0.93), (side * 0.72, -1.5), (side * 0.44, -1.15)], _DARK)
        pen.polygon([(side * 0.78, -0.5), (side * 0.68, -0.95), (side * 0.36, -0.74)], _PALE)


def _rabbit_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -1.04, 0.24, 0.66, look.fur, side * 8)
        pen.ellipse(side * 0.42, -1.02, 0.12, 0.48, _LIGHT_PINK, side * 8)


def _bear_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.74, -0.74, 0.34, 0.34, look.fur)
        pen.ellipse(side * 0.74, -0.72, 0.19, 0.19, look.shade)


def _mouse_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.88, -0.68, 0.56, 0.56, look.shade)
        pen.ellipse(side * 0.88, -0.66, 0.4, 0.4, _LIGHT_PINK)


def _pig_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 0.3, -0.86), (side * 0.95, -1.02), (side * 1.08, -0.32)], look.shade)
        pen.polygon([(side * 0.42, -0.8), (side * 0.86, -0.72), (side * 1.08, -0.32)], look.fur)


def _panda_ears(pen: Pen, _look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.8, -0.78, 0.36, 0.36, _DARK)


def _owl_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.polygon(
            [(side * 0.9, -0.45), (side * 1.0, -1.08), (side * 0.7, -0.98), (side * 0.5, -0.7)], look.shade
        )
        pen.polygon([(side * 0.62, -0.6), (side * 0.74, -1.16), (side * 0.2, -0.9)], look.shade)


def _sheep_ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 1.08, -0.2, 0.42, 0.19, look.shade, side * 24)
        pen.ellipse(side * 1.1, -0.19, 0.26, 0.09, _LIGHT_PINK, side * 24)


EARS = {
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
EARS_BEHIND = ("cat", "fox", "rabbit", "bear", "mouse", "panda")


def _cat_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.44, -0.1, 0.29, 0.23, _DARK, side * -14)
        pen.ellipse(side * 0.44, -0.1, 0.25, 0.19, look.iris, side * -14)
        pen.ellipse(side * 0.44, -0.1, 0.065, 0.19, _DARK)


def _dog_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.4, -0.16, 0.2, 0.22, (252, 250, 246))
        pen.ellipse(side * 0.4, -0.14, 0.17, 0.19, look.iris)
        pen.ellipse(side * 0.4, -0.13, 0.1, 0.11, _DARK)
        pen.ellipse(side * 0.4 - 0.06, -0.22, 0.06, 0.06, (255, 255, 255))


def _fox_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.46, -0.12, 0.26, 0.11, _DARK, side * -32)
        pen.ellipse(side * 0.46, -0.12, 0.2, 0.07, look.iris, side * -32)
        pen.ellipse(side * 0.45, -0.11, 0.06, 0.08, _DARK)


def _rabbit_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.48, -0.1, 0.15, 0.26, _DARK)
        pen.ellipse(side * 0.48, -0.05, 0.1, 0.18, look.iris)
        pen.ellipse(side * 0.48 - 0.04, -0.2, 0.06, 0.07, (255, 255, 255))


def _bear_eyes(pen: Pen, _look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.36, -0.16, 0.09, 0.1, _DARK)


def _mouse_eyes(pen: Pen, _look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.26, -0.12, 0.17, 0.19, _DARK)
        pen.ellipse(side * 0.26 - 0.05, -0.19, 0.055, 0.055, (255, 255, 255))


def _pig_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.56, -0.24, 0.14, 0.14, (255, 255, 255))
        pen.ellipse(side * 0.54, -0.22, 0.09, 0.1, look.iris)


def _panda_eyes(pen: Pen, _look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.44, -0.1, 0.24, 0.34, _DARK, side * 28)
        pen.ellipse(side * 0.41, -0.15, 0.1, 0.1, (255, 255, 255))
        pen.ellipse(side * 0.4, -0.14, 0.05, 0.06, _DARK)


def _owl_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -0.14, 0.4, 0.4, look.shade)
        pen.ellipse(side * 0.42, -0.14, 0.33, 0.33, look.iris)
        pen.ellipse(side * 0.42, -0.14, 0.19, 0.19, _DARK)
        pen.ellipse(side * 0.42 - 0.08, -0.24, 0.07, 0.07, (255, 255, 255))


def _sheep_eyes(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.42, -0.14, 0.2, 0.17, (250, 248, 240))
        pen.ellipse(side * 0.42, -0.1, 0.15, 0.12, look.iris)
        pen.ellipse(side * 0.42, -0.09, 0.12, 0.05, _DARK)
        pen.polygon(
            [(side * 0.2, -0.15), (side * 0.64, -0.15), (side * 0.62, -0.34), (side * 0.22, -0.34)],
            look.shade,
        )


EYE_SHAPES = {
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


def _cat_muzzle(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.18, 0.4, 0.24, 0.19, look.light)
        for y, slope in ((0.3, -0.1), (0.4, 0.02), (0.5, 0.14)):
            pen.line([(side * 0.36, y), (side * 1.18, y + slope)], look.line, 0.04)
        pen.arc(side * 0.13, 0.4, 0.13, 0.12, 10, 170, look.line)
    pen.polygon([(-0.14, 0.2), (0.14, 0.2), (0.0, 0.37)], (232, 110, 128))


def _dog_muzzle(pen: Pen, look: Look) -> None:
    if look.tongue:
        pen.ellipse(0.0, 0.82, 0.17, 0.26, (236, 104, 120))
    pen.ellipse(0, 0.46, 0.48, 0.36, mix(look.light, _PALE, 0.6))
    pen.line([(0, 0.4), (0, 0.64)], _DARK, 0.06)
    pen.arc(-0.14, 0.6, 0.14, 0.1, 0, 160, _DARK)
    pen.arc(0.14, 0.6, 0.14, 0.1, 20, 180, _DARK)
    pen.ellipse(0, 0.29, 0.24, 0.17, _DARK)
    pen.ellipse(-0.07, 0.23, 0.07, 0.04, (150, 145, 150))


def _fox_muzzle(pen: Pen, _look: Look) -> None:
    cheeks = [(0.98, 0.12), (0.5, 0.66), (0, 1.0), (-0.5, 0.66), (-0.98, 0.12)]
    pen.polygon([*cheeks, (-0.3, 0.12), (0, 0.3), (0.3, 0.12)], _PALE)
    pen.polygon([(-0.15, 0.66), (0.15, 0.66), (0.0, 0.88)], _DARK)


def _rabbit_muzzle(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.17, 0.4, 0.22, 0.17, look.light)
    pen.polygon([(-0.18, 0.54), (0.18, 0.54), (0.15, 0.8), (-0.15, 0.8)], (255, 255, 255))
    pen.line([(0, 0.54), (0, 0.8)], look.line, 0.04)
    pen.ellipse(0, 0.28, 0.1, 0.07, (232, 120, 140))
    pen.line([(0, 0.34), (0, 0.5)], look.line, 0.04)


def _bear_muzzle(pen: Pen, _look: Look) -> None:
    pen.ellipse(0, 0.36, 0.4, 0.36, (222, 188, 140))
    pen.ellipse(0, 0.22, 0.15, 0.11, (84, 54, 40))
    pen.arc(0, 0.38, 0.2, 0.16, 20, 160, (84, 54, 40))


def _mouse_muzzle(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        for slope in (-0.22, 0.22):
            pen.line([(side * 0.12, 0.46), (side * 1.2, 0.46 + slope)], look.line, 0.035)
    pen.ellipse(0, 0.44, 0.17, 0.15, (240, 132, 152))
    pen.ellipse(-0.05, 0.4, 0.05, 0.04, (255, 220, 226))


def _pig_muzzle(pen: Pen, look: Look) -> None:
    pen.ellipse(0, 0.3, 0.44, 0.3, (240, 144, 158))
    for side in (-1, 1):
        pen.ellipse(side * 0.16, 0.3, 0.08, 0.13, (168, 78, 98))
    pen.arc(0, 0.56, 0.24, 0.16, 20, 160, look.line)


def _panda_muzzle(pen: Pen, _look: Look) -> None:
    pen.ellipse(0, 0.36, 0.12, 0.08, _DARK)
    pen.arc(-0.14, 0.44, 0.14, 0.16, 10, 150, _DARK)
    pen.arc(0.14, 0.44, 0.14, 0.16, 30, 170, _DARK)


def _owl_muzzle(pen: Pen, look: Look) -> None:
    pen.polygon([(-0.2, 0.1), (0.2, 0.1), (0.0, 0.52)], (244, 162, 50))
    for x, y in ((-0.3, 0.62), (0.0, 0.7), (0.3, 0.62)):
        pen.arc(x, y, 0.14, 0.12, 10, 170, look.shade)


def _sheep_muzzle(pen: Pen, look: Look) -> None:
    pen.ellipse(0, 0.42, 0.4, 0.52, mix(look.shade, _DARK, 0.55))
    for side in (-1, 1):
        pen.ellipse(side * 0.15, 0.5, 0.07, 0.1, _DARK, side * 30)
    pen.arc(0, 0.62, 0.18, 0.14, 20, 160, _LIGHT_PINK)


MUZZLES = {
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


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
