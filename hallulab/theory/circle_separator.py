"""Which point lies inside the circle? Linear scores of the plane are too poor to say (Theorem 3 of [KNVZ])."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.is_it_valid import AnswerWorld, best_threshold, error_rate
from hallulab.theory.linear_opt import linear_opt
from hallulab.theory.poor_ngrams import choice_bound

LINEAR, RICHER = "linear", "linear and |x|²"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CircleSettings:
    """Multiple choice on the plane: which of C points lies inside the circle?"""

    n_prompts: int = 200
    n_choices: int = 4
    radius: float = 1.0
    outer_radius: float = 2.0
    """errors lie between the circle, with a gap, and this"""
    gap: float = 0.2
    n_directions: int = 48
    n_sharpnesses: int = 9
    sharpest: float = 8.0
    """of the scores, on a logarithmic grid from this / 2^(n_sharpnesses − 2); the first is 0"""
    opt_within: float = 0.0
    """how far apart the ends of the bracket around the linear family's opt(G) may stay; 0: it is exact"""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_prompts, self.n_choices - 1, self.n_directions, self.n_sharpnesses - 1) < 1:
            raise RefusedInputError("expected at least 1 prompt, 2 choices, 1 direction and 2 sharpnesses")
        if not 0 < self.radius < self.radius + self.gap < self.outer_radius:
            raise RefusedInputError("expected 0 < radius < radius + gap < outer radius")


@dataclass(frozen=True)
class FamilyPoint:
    """One family on the circle: every model of a grid tried, and its opt(G) bracketed over all of its models."""

    family: str
    """`LINEAR` or `RICHER`"""
    n_models: int
    """of the grid"""
    opt_low: float
    """no model of the family, on the grid or not, and no threshold misjudges less"""
    opt_high: float
    """one model and threshold misjudges so much; equal to `opt_low` where opt(G) is known"""
    bound: float
    """Theorem 3 for every model of the family, from `opt_low`"""
    least_err: float
    """least error rate over the models of the grid"""
    least_slack: float
    """least err − 2(1 − 1/C) · its own best Is-It-Valid error, over the models: below 0 the theorem would be broken"""

    @property
    def is_exact(self) -> bool:
        """Whether opt(G) is known to the last digit."""
        return self.opt_high - self.opt_low < 1e-9


def circle_points(settings: CircleSettings) -> Values:
    """The points of every prompt, the valid one first, shape (n_prompts, C, 2)."""
    rng = np.random.default_rng(settings.seed)
    shape = (settings.n_prompts, settings.n_choices)
    angle = rng.uniform(0, 2 * np.pi, shape)
    inner, outer = np.zeros(shape), np.full(shape, settings.radius)
    inner[:, 1:], outer[:, 1:] = settings.radius + settings.gap, settings.outer_radius
    radius = np.sqrt(rng.uniform(inner**2, outer**2))  # uniform on disc and ring
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def circle_families(settings: CircleSettings) -> tuple[FamilyPoint, FamilyPoint]:
    """A linear score of the plane, and the same beside a score of |x|²: p̂(r|c) ∝ exp(score of the point).

    opt(G) of the linear family is searched over all of its models, that of the richer one on the grid: 0 is its least.
    """
    points = circle_points(settings)
    sharpnesses = np.append(0, settings.sharpest / 2.0 ** np.arange(settings.n_sharpnesses - 1)[::-1])
    angles = 2 * np.pi * np.arange(settings.n_directions) / settings.n_directions
    linear = [
        sharp * (points @ np.array([np.cos(angle), np.sin(angle)]))
        for sharp in sharpnesses
        for angle in (angles if sharp else angles[:1])
    ]
    square = (points**2).sum(axis=-1)
    both = [score - sharp * square for score in linear for sharp in sharpnesses]
    searched = linear_opt(points, within=settings.opt_within)
    return (
        _family(LINEAR, linear, settings, searched.low, searched.high),
        _family(RICHER, both, settings, 0.0, searched.high),  # every linear score is one of the richer ones
    )


def _family(
    name: str, scores: Sequence[Values], settings: CircleSettings, low: float, high: float
) -> FamilyPoint:
    shape = (settings.n_prompts, settings.n_choices)
    is_valid = np.zeros(shape, dtype=bool)
    is_valid[:, 0] = True
    world = AnswerWorld(
        np.full(shape[0], 1 / shape[0]), is_valid.astype(float), is_valid, np.ones(shape, np.int64)
    )
    errs, opts = [], []
    for score in scores:
        raised = np.exp(score - score.max(axis=1, keepdims=True))
        model = raised / raised.sum(axis=1, keepdims=True)
        errs.append(float(error_rate(world, model)))
        opts.append(max(0.0, best_threshold(world, model).err_iiv))  # rounding may leave less than 0
    slack = min(err - choice_bound(opt, settings.n_choices) for err, opt in zip(errs, opts, strict=True))
    return FamilyPoint(
        name, len(scores), low, min(high, *opts), choice_bound(low, settings.n_choices), min(errs), slack
    )
