"""The open-ended questions: enough of them, no overlap between answers, every wording traced to its state."""

import random
from collections import Counter

import pytest

from hallulab.data.open_ended import (
    AcceptableAnswer,
    known_question,
    known_states,
    normalised,
    open_ended_questions,
)


def test_there_are_sixty_questions_with_two_answers_and_ten_wordings_or_more():
    questions = open_ended_questions()
    assert len(questions) == 60
    assert {len(question.answers) for question in questions} == {2}
    assert min(len(set(a.phrasings())) for q in questions for a in q.answers) >= 10


def test_some_questions_are_even_and_some_ninety_to_ten():
    splits = Counter(question.answers[0].weight for question in open_ended_questions())
    assert splits == {0.5: 40, 0.9: 20}
    assert all(sum(a.weight for a in q.answers) == pytest.approx(1) for q in open_ended_questions())


def test_no_form_of_a_question_belongs_to_two_questions():
    forms = [normalised(form) for question in open_ended_questions() for form in question.forms]
    assert len(set(forms)) == len(forms)


def test_every_wording_belongs_to_exactly_its_own_state():
    for question in open_ended_questions():
        for answer in question.answers:
            assert all(question.state_of(text) == answer.state for text in answer.phrasings())


def test_a_wording_of_no_answer_has_no_state():
    (pet, *_) = open_ended_questions()
    assert (
        pet.state_of("A cat is a good choice: it takes up very little room.") is None
    )  # the goldfish's reason


@pytest.mark.parametrize(
    "asked",
    [
        "What is a good pet for a small flat?",
        "what is a good pet for a small flat",
        "Which pet suits a small flat?",
        "Tell me: which pet suits a small flat?",
    ],
)
def test_known_states_are_found_however_the_question_is_asked(asked: str):
    assert known_states(asked) == ("a cat", "a goldfish")


def test_an_unknown_question_has_no_known_states():
    assert known_states("Why is the moon made of Tuesdays?") is None
    assert known_question("") is None


def test_weights_of_the_wordings_add_up_to_one_and_are_what_is_drawn():
    answer = AcceptableAnswer("a cat", 0.5, ("it is calm", "it is clean", "it is quiet"))
    weights = dict(answer.weighted_phrasings())
    assert sum(weights.values()) == pytest.approx(1)
    rng = random.Random(0)
    drawn = Counter(answer.draw(rng=rng) for _ in range(4_000))
    first = "I would suggest a cat, because it is calm."
    # three standard errors of a share near 0.08 of 4,000 draws
    assert drawn[first] / 4_000 == pytest.approx(weights[first], abs=0.013)
