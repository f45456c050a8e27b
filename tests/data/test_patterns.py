"""Pattern items: the right answers by hand, held-out subjects kept apart."""

import random

import pytest

from hallulab.data.patterns import KINDS, draw_pattern, is_held_out, pattern_answer


@pytest.mark.parametrize(
    ("kind", "subject", "answer"),
    [
        ("spelling", "bako", "It is spelled b-a-k-o."),
        ("letter count", "bako", "It has 4 letters."),
        ("first letter", "bako", "It starts with b."),
        ("sum", "27 + 5", "27 + 5 = 32."),
    ],
)
def test_answers_by_hand(kind: str, subject: str, answer: str):
    assert pattern_answer(kind, subject) == answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held_out", [True, False])
def test_items_come_from_the_side_that_was_asked_for(kind: str, held_out: bool):
    rng = random.Random(1)
    items = [draw_pattern(kind, held_out=held_out, rng=rng) for _ in range(50)]
    assert all(is_held_out(item.subject) == held_out for item in items)
    assert all(item.subject in item.question for item in items)
    assert len({item.subject for item in items}) > 10


def test_about_one_subject_in_eight_is_held_out():
    share = sum(is_held_out(f"{left} + {right}") for left in range(10, 60) for right in range(1, 10)) / 450
    assert 0.08 < share < 0.18
