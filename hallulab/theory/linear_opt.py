"""opt(G) of linear scores on the plane, to the last digit: branch and bound over every direction and sharpness.

A prompt has C points, the valid one first. A model is p̂(r|c) ∝ exp(ρ u·x_r) with a unit vector u and ρ > 0; together
with a threshold it calls r valid or not. With a_j = u·(x_j − x_r), p̂(r|c) > t exactly when

    h_r(u, ρ) = (1/ρ) ln mean_{j ≠ r} exp(ρ a_j)  <  (1/ρ) ln((1/t − 1) / (C − 1)),

and h is a power mean of exp(a): it rises with ρ, from the mean of the a_j at ρ = 0 to their largest at ρ = ∞, and with
every a_j. So over a box of angles and sharpnesses its ends are known, and the thresholds can be swept at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError

N_ANGLES, N_SHARES = 64, 4
"""boxes at the beginning: angles of u, and shares s = ρ/(1 + ρ) in [0, 1]"""
BOXES_AT_ONCE = 64
SPLIT_AT_ONCE = 1_000
MAX_BOXES = 10_000
"""where a search ends that does not come to its end: the bracket is then wider, and no less true"""
ANGLE_OF_SHARE = 0.3
"""a box is cut along s while it is longer there than in angle, in these units: found to need fewest boxes"""
SMALLEST = 1e-6
"""a box shorter than this both ways is not cut again: answers that tie in all of it can never be told apart"""
ROUNDING = 1e-9
"""h is trusted to this"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class OptBracket:
    """Between which numbers opt(G) lies; they are equal where the search came to its end."""

    low: float
    """no model and threshold of the family misjudges less"""
    high: float
    """one that was found misjudges so much"""
    n_boxes: int
    """boxes of models that were bounded"""


def linear_opt(points: Values, *, within: float = 0.0, max_boxes: int = MAX_BOXES) -> OptBracket:
    """The least Is-It-Valid error of all linear scores of the plane, at any sharpness and threshold.

    Args:
        points: of every prompt, the valid one first, shape (n_prompts, C, 2); prompts are equally likely.
        within: how far apart the ends of the bracket may stay.
        max_boxes: about where the search ends in any case.

    Raises RefusedInputError for points of another shape, or a bracket that is no width.
    """
    if points.ndim != 3 or points.shape[1] < 2 or points.shape[2] != 2 or not np.isfinite(points).all():
        raise RefusedInputError(f"expected finite points of shape (n_prompts, C >= 2, 2), got {points.shape}")
    if not within >= 0:
        raise RefusedInputError(f"expected a width of 0 or more, got {within}")
    search = _Search(points)
    boxes = _first_boxes()
    lower = search.lower(boxes)
    settled = 0.5  # the least lower end among boxes that need no further look; nobody must err more than half
    while True:
        # counts over few prompts: what differs by less than this is the same number
        is_open = (lower < search.best - within - 1e-12) & _can_be_cut(boxes)
        settled = min(settled, float(lower[~is_open].min(initial=0.5)))
        boxes, lower = boxes[is_open], lower[is_open]
        if not len(boxes) or search.n_boxes >= max_boxes:
            break
        order = np.argsort(lower)
        chosen, rest = order[:SPLIT_AT_ONCE], order[SPLIT_AT_ONCE:]
        halves = _halves(boxes[chosen])
        boxes = np.concatenate([boxes[rest], halves])
        lower = np.concatenate([lower[rest], search.lower(halves)])
    low = min(settled, float(lower.min(initial=0.5)), search.best)
    return OptBracket(low, search.best, search.n_boxes)


class _Search:
    """Bounds boxes (angle from, to, s from, to), shape (n, 4), and keeps the best model that it came across."""

    def __init__(self, points: Values):
        n_choices = points.shape[1]
        others = np.array([[j for j in range(n_choices) if j != r] for r in range(n_choices)])
        difference = points[:, others] - points[:, :, None]  # [c, r, j] = x_j − x_r, j ≠ r
        self._length = np.linalg.norm(difference, axis=-1)
        self._angle = np.arctan2(difference[..., 1], difference[..., 0])
        self.best = 0.5
        self.n_boxes = 0

    def lower(self, boxes: Values) -> Values:
        """No model of the box misjudges less, shape (n,); each box's middle is tried on the way."""
        found = [self._lower(boxes[k : k + BOXES_AT_ONCE]) for k in range(0, len(boxes), BOXES_AT_ONCE)]
        self.n_boxes += len(boxes)
        return np.concatenate(found)

    def _lower(self, boxes: Values) -> Values:
        angle, share = boxes[:, :2], boxes[:, 2:]
        middle = self._projections(angle.mean(axis=1), 0.0)[0]
        tried = _power_mean(middle, share.mean(axis=1))
        # a threshold between two answers a rounding apart is not trusted: errors count as accepted first
        self.best = min(self.best, float(_least_misjudged(tried + ROUNDING, tried).min()))
        low, high = self._projections(angle.mean(axis=1), (angle[:, 1] - angle[:, 0]) / 2)
        return _least_misjudged(
            _power_mean(low, share[:, 0]) - ROUNDING, _power_mean(high, share[:, 1]) + ROUNDING
        )

    def _projections(self, angle: Values, half_width: Values | float) -> tuple[Values, Values]:
        """Least and largest a_j over each box's angles, shape (n, n_prompts, C, C − 1)."""
        width = np.broadcast_to(half_width, angle.shape)[:, None, None, None]
        apart = abs((self._angle - angle[:, None, None, None] + np.pi) % (2 * np.pi) - np.pi)
        least = self._length * np.cos(np.minimum(apart + width, np.pi))
        return least, self._length * np.cos(np.maximum(apart - width, 0.0))


def _first_boxes() -> Values:
    angles, shares = np.linspace(0, 2 * np.pi, N_ANGLES + 1), np.linspace(0, 1, N_SHARES + 1)
    return np.array(
        [
            (angles[i], angles[i + 1], shares[k], shares[k + 1])
            for i in range(N_ANGLES)
            for k in range(N_SHARES)
        ]
    )


def _halves(boxes: Values) -> Values:
    """Every box cut in two, where it is longer."""
    left, right = boxes.copy(), boxes.copy()
    by_share = ANGLE_OF_SHARE * (boxes[:, 3] - boxes[:, 2]) > boxes[:, 1] - boxes[:, 0]
    for rows, end in ((by_share, 3), (~by_share, 1)):
        left[rows, end] = right[rows, end - 1] = boxes[rows, end - 1 : end + 1].mean(axis=1)
    return np.concatenate([left, right])


def _can_be_cut(boxes: Values) -> NDArray[np.bool_]:
    return np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]) >= SMALLEST


def _power_mean(projections: Values, share: Values) -> Values:
    """h = (1/ρ) ln mean exp(ρ a_j) at s = ρ/(1 + ρ), shape (n, n_prompts, C); s = 0: mean, s = 1: largest."""
    top = projections.max(axis=-1)
    inner = (share > 0) & (share < 1)
    found = np.where((share == 0)[:, None, None], projections.mean(axis=-1), top)
    rho = (share[inner] / (1 - share[inner]))[:, None, None]
    raised = np.exp(rho[..., None] * (projections[inner] - top[inner][..., None])).mean(axis=-1)
    found[inner] = top[inner] + np.log(raised) / rho
    return found


def _least_misjudged(of_valid: Values, of_errors: Values) -> Values:
    """Least error over thresholds, calling valid what lies below; where equal, the valid answer may lie below alone.

    Args:
        of_valid, of_errors: h to be used of the valid answers and of the errors, shape (n, n_prompts, C).

    Returns: shape (n,).
    """
    valid, errors = of_valid[:, :, 0], of_errors[:, :, 1:].reshape(len(of_errors), -1)
    steps = np.repeat([-0.5 / valid.shape[1], 0.5 / errors.shape[1]], [valid.shape[1], errors.shape[1]])
    order = np.argsort(np.concatenate([valid, errors], axis=1), axis=1, kind="stable")
    return 0.5 + np.minimum(0.0, np.cumsum(steps[order], axis=1).min(axis=1))
