"""The circle: its points, two families, and Theorem 3 from the bracket around opt(G)."""

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.circle_separator import CircleSettings, circle_families, circle_points
from hallulab.theory.poor_ngrams import choice_bound


def test_the_circle():
    settings = CircleSettings(n_prompts=40, n_directions=16, n_sharpnesses=7)
    points = circle_points(settings)
    distance = np.linalg.norm(points, axis=-1)
    assert (distance[:, 0] <= 1).all()
    assert (distance[:, 1:] >= 1.2).all()
    linear, richer = circle_families(settings)
    assert (linear.n_models, richer.n_models) == (1 + 6 * 16, (1 + 6 * 16) * 7)
    assert linear.is_exact
    assert linear.opt_low > 0.25
    assert linear.least_err >= linear.bound == choice_bound(linear.opt_low, 4) > 0.4
    assert (richer.opt_low, richer.bound) == (0, 0)
    assert richer.opt_high == pytest.approx(0, abs=0.02)
    assert richer.least_err < 0.1
    assert min(linear.least_slack, richer.least_slack) > -1e-9


def test_a_search_that_ends_early_says_so():
    linear, _ = circle_families(CircleSettings(n_prompts=40, n_directions=4, n_sharpnesses=3, opt_within=0.1))
    assert not linear.is_exact
    assert 0 < linear.opt_low < linear.opt_high <= linear.opt_low + 0.1


def test_refusals():
    with pytest.raises(RefusedInputError, match="radius"):
        CircleSettings(radius=3.0)
    with pytest.raises(RefusedInputError, match="2 choices"):
        CircleSettings(n_choices=1)
