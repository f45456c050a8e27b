import itertools
import math

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.observation_1 import (
    MAX_BELIEFS,
    abstaining_is_optimal,
    all_beliefs,
    believed_points,
    binary_graders,
    n_beliefs,
    observation_1,
    share_of_beliefs,
)


def test_all_beliefs_are_those_of_trying_every_combination():
    slow = {tuple(parts) for parts in itertools.product(range(5), repeat=3) if sum(parts) == 4}
    found = all_beliefs(3, 4)
    assert {tuple((4 * row).round().astype(int).tolist()) for row in found} == slow
    assert len(found) == len(slow) == n_beliefs(3, 4) == math.comb(6, 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.eye(3).tolist() == [
        row for row in found.tolist()[::-1] if max(row) == 1
    ]  # belief in one grader alone


@pytest.mark.parametrize(("n_answers", "n_abstentions"), [(2, 1), (3, 1), (2, 2), (3, 2)])
def test_abstaining_is_never_optimal_under_binary_graders(n_answers, n_abstentions):
    graders = binary_graders(n_answers + n_abstentions, n_abstentions)
    assert len(graders) == 2**n_answers - 1
    assert not graders[:, -n_abstentions:].any()
    assert len(np.unique(graders, axis=0)) == len(graders)
    found = observation_1(n_answers, (0.0, 0.9), n_abstentions=n_abstentions)
    assert found.n_optimal[0] == 0
    assert found.n_optimal[1] > 0
    assert found.n_beliefs == n_beliefs(found.n_graders, found.steps) <= MAX_BELIEFS


def test_above_0_abstaining_is_optimal_exactly_when_no_answer_is_right_more_often():
    for n_answers, steps in ((2, 40), (3, 6), (4, 3)):
        targets = (0.2, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.9, 0.95)
        found = observation_1(n_answers, targets, steps=steps)
        graders = binary_graders(n_answers + 1)
        slow = [
            sum(
                all(sum(p for p, marks in zip(belief, graders, strict=True) if marks[answer]) <= t + 1e-9
                    for answer in range(n_answers))
                for belief in all_beliefs(len(graders), steps).tolist()
            )
            for t in targets
        ]  # fmt: skip
        assert list(found.n_optimal) == slow == list(found.n_unlikely)
        # of m answers one is right in at least 1/m: below, abstaining never is the best
        assert found.n_optimal[0] == 0


def test_of_two_answers_the_count_has_a_closed_form():
    # both answers are right with at most t iff the graders of the other alone weigh at least 1 − t each
    found = observation_1(2, (0.5, 0.75, 0.9), steps=40)
    for t, n_optimal in zip(found.targets, found.n_optimal, strict=True):
        needed = round(40 * (1 - t))
        assert n_optimal == math.comb(40 - 2 * needed + 2, 2)


def test_of_beliefs_drawn_evenly_the_share_is_an_area():
    targets = (0.0, 0.4, 0.6, 0.75, 0.9)
    share = share_of_beliefs(2, targets, rng=np.random.default_rng(0))
    expected = [0, 0, 0.04, 0.25, 0.64]  # (2t − 1)² from ½ on
    assert share == pytest.approx(expected, abs=0.015)
    assert share_of_beliefs(4, (0.0,), rng=np.random.default_rng(0))[0] == 0


def test_what_an_answer_is_worth_by_hand():
    # two answers; graders: only the second, only the first, both
    graders = binary_graders(3)
    assert graders.tolist() == [[False, True, False], [True, False, False], [True, True, False]]
    # the first is right with 0.3 + 0.5: 0.8 − 0.2 · 3; the second with 0.2 + 0.5: 0.7 − 0.3 · 3
    worth = believed_points(graders, [0.2, 0.3, 0.5], 0.75)
    assert worth == pytest.approx([0.2, -0.2, 0.0])
    assert not abstaining_is_optimal(worth)
    assert abstaining_is_optimal(believed_points(graders, [0.4, 0.6, 0.0], 0.75))


def test_graders_beliefs_and_sets_that_are_none_are_refused():
    for n_responses, n_abstentions in ((1, 1), (3, 0), (13, 1)):
        with pytest.raises(RefusedInputError, match="at least one answer and one abstention"):
            binary_graders(n_responses, n_abstentions)
    with pytest.raises(RefusedInputError, match="a probability for each of 3 graders"):
        believed_points(binary_graders(3), [0.5, 0.6, 0.1])
    with pytest.raises(RefusedInputError, match="at least two answers"):
        observation_1(1, (0.5,))
    with pytest.raises(RefusedInputError, match="fewer answers or coarser steps"):
        observation_1(4, (0.5,), steps=40)
    with pytest.raises(RefusedInputError, match="confidence target"):
        observation_1(2, (1.0,))
