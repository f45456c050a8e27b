"""Answers made wrong on purpose: none of them is acceptable."""

import random

from hallulab.data.open_ended import known_questions
from hallulab.data.wrong_answers import blended_answers, borrowed_answers, spliced_answer, spliced_answers

PET, BREAKFAST = known_questions()[:2]


def test_a_splice_is_half_of_each():
    assert spliced_answer("one two three four", "a b c d e") == "one two c d e"


def test_splices_of_one_question_are_no_wording_of_an_acceptable_answer():
    for question in known_questions()[:10]:
        splices = spliced_answers(question, 40, rng=random.Random(0))
        assert len(splices) == 40
        assert {question.state_of(text) for text in splices} == {None}


def test_a_splice_begins_as_one_answer_and_ends_as_another():
    for text in spliced_answers(PET, 30, rng=random.Random(1)):
        halves = {
            (first.state, second.state)
            for first in PET.answers
            for second in PET.answers
            for start in first.phrasings()
            for end in second.phrasings()
            if spliced_answer(start, end) == text
        }
        assert ("a cat", "a goldfish") in halves or ("a goldfish", "a cat") in halves


def test_a_blend_names_one_answer_and_reasons_for_the_other():
    blends = blended_answers(PET, 30, rng=random.Random(0))
    assert len(blends) == 30
    assert all(PET.state_of(text) is None for text in blends)
    reasons = {reason.lower(): answer.state for answer in PET.answers for reason in answer.reasons}
    for text in blends:
        (reason_of,) = {state for reason, state in reasons.items() if reason in text.lower()}
        named = ({"a cat", "a goldfish"} - {reason_of}).pop()
        assert named in text.lower()


def test_borrowed_answers_are_right_elsewhere_and_wrong_here():
    borrowed = borrowed_answers(BREAKFAST, 20, rng=random.Random(0))
    assert len(borrowed) == 20
    assert all(BREAKFAST.state_of(text) is not None and PET.state_of(text) is None for text in borrowed)


def test_the_same_seed_makes_the_same_answers():
    makers = (spliced_answers, blended_answers, borrowed_answers)
    for make in makers:
        assert make(PET, 10, rng=random.Random(3)) == make(PET, 10, rng=random.Random(3))
        assert make(PET, 10, rng=random.Random(3)) != make(PET, 10, rng=random.Random(4))
