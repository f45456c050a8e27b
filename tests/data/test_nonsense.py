"""Questions without an answer: held-out ones stay out of training."""

import random

from hallulab.data import nonsense
from hallulab.data.open_ended import known_states


def test_twelve_questions_with_two_states_each_are_held_out():
    assert len(nonsense.HELD_OUT) == 12
    assert all(len(set(item.states)) == 2 for item in nonsense.HELD_OUT)
    assert all(known_states(item.question) is None for item in nonsense.HELD_OUT)


def test_drawn_questions_vary_and_are_not_the_held_out_ones():
    rng = random.Random(0)
    drawn = {nonsense.draw_nonsense(rng=rng) for _ in range(300)}
    assert len(drawn) > 290
    assert not drawn & {item.question for item in nonsense.HELD_OUT}
    assert not any("{" in question for question in drawn)


def test_a_corrupted_question_keeps_its_beginning_or_all_its_words():
    rng = random.Random(0)
    for _ in range(50):
        text = nonsense.draw_corrupted("What is a good pet for a small flat?", rng=rng)
        words, asked = text.lower().rstrip("?").split(), "what is a good pet for a small flat"
        assert text.startswith("What is") or sorted(words) == sorted(asked.split())
