"""opt(G) of linear scores: by hand, against the best threshold of very many models, and as a bracket."""

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.is_it_valid import AnswerWorld, best_threshold
from hallulab.theory.linear_opt import linear_opt


def misjudged(points, direction, sharpness) -> float:
    """The same the slow way: p̂(r|c) of one model at its best threshold, by `best_threshold`."""
    n, n_choices, _ = points.shape
    is_valid = np.zeros((n, n_choices), dtype=bool)
    is_valid[:, 0] = True
    world = AnswerWorld(
        np.full(n, 1 / n), is_valid.astype(float), is_valid, np.ones((n, n_choices), np.int64)
    )
    raised = np.exp(sharpness * (points @ np.array([np.cos(direction), np.sin(direction)])))
    return best_threshold(world, raised / raised.sum(axis=1, keepdims=True)).err_iiv


def test_what_a_line_can_tell_is_told():
    # the valid point always lies 1 to the right of its error
    error = np.random.default_rng(0).normal(size=(8, 2))
    assert linear_opt(np.stack([error + np.array([1, 0]), error], axis=1)).high == 0


def test_by_hand():
    # of three pairs the valid point lies in three directions, 120 degrees apart. A line can be right about two pairs,
    # and then calls the third the wrong way round: 2 of 6 answers. Or it accepts one valid point alone: again 2 of 6
    angle = 2 * np.pi * np.arange(3) / 3
    valid = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = linear_opt(np.stack([valid, np.zeros((3, 2))], axis=1))
    assert (found.low, found.high) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_what_cannot_be_told_apart_leaves_a_bracket():
    # one pair the other way round than the other: half is misjudged by all lines, but where both pairs tie nothing
    # is known of their order, so the proved end stays below
    found = linear_opt(np.array([[[1.0, 0], [0, 0]], [[0.0, 0], [1, 0]]]))
    assert found.low < found.high == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_no_model_misjudges_less_and_one_as_little(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(7, 3, 2))
    found = linear_opt(points)
    assert found.low == pytest.approx(found.high, abs=1e-12)
    tried = [
        misjudged(points, direction, sharpness)
        for direction in np.linspace(0, 2 * np.pi, 240, endpoint=False)
        for sharpness in (0.01, 0.1, 0.4, 1, 3, 10, 40)
    ]
    assert min(tried) >= found.low - 1e-9
    assert min(tried) <= found.high + 0.1  # 1,680 models come close: of 7 and 14 answers, one more or less


def test_a_wider_bracket_takes_fewer_boxes_and_holds_the_exact_value():
    points = np.random.default_rng(3).normal(size=(30, 4, 2))
    exact, wide = linear_opt(points), linear_opt(points, within=0.1)
    assert exact.low == pytest.approx(exact.high)
    assert wide.low <= exact.low <= wide.high
    assert wide.n_boxes < exact.n_boxes
    stopped = linear_opt(points, max_boxes=1)
    assert stopped.low <= exact.low <= stopped.high


def test_refusals():
    with pytest.raises(RefusedInputError, match="points of shape"):
        linear_opt(np.zeros((3, 1, 2)))
    with pytest.raises(RefusedInputError, match="finite points"):
        linear_opt(np.full((3, 2, 2), np.nan))
    with pytest.raises(RefusedInputError, match="width of 0 or more"):
        linear_opt(np.zeros((3, 2, 2)), within=-1)
