"""Candidate answers: every set is a world of Theorem 1, and errors are errors."""

import pytest

from hallulab.data.candidate_answers import CANDIDATE_SETS, candidate_questions
from hallulab.data.open_ended import known_question, normalised
from hallulab.errors import RefusedInputError

SHIPPED = [name for name in CANDIDATE_SETS if name != "truthfulqa"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_question_has_valid_answers_with_all_the_probability_and_errors(name):
    for question in candidate_questions(name, 20):
        valid = [one for one in question.candidates if one.is_valid]
        errors = [one for one in question.candidates if not one.is_valid]
        assert valid
        assert errors
        assert sum(one.data_probability for one in valid) == pytest.approx(1)
        assert not any(one.data_probability for one in errors)
        texts = [text for one in question.candidates for text in one.wordings]
        assert len(set(texts)) == len(texts)


def test_birthdays_are_the_arbitrary_facts_of_the_paper():
    questions = candidate_questions("birthdays")
    assert len(questions) == 800
    for question in questions[::50]:
        assert sum(not one.is_valid for one in question.candidates) == 364
        assert sum(one.is_valid for one in question.candidates) == 2  # the date, and IDK
    gives_idk = [q for q in questions if q.candidates[-1].data_probability == 1]
    assert 0 < len(gives_idk) < 0.2 * len(questions)


def test_known_answers_blend_names_with_others_reasons():
    for question in candidate_questions("known_answers", 10):
        listed = known_question(question.question)
        assert listed is not None
        for one in question.candidates:
            assert (listed.state_of(one.wordings[0]) is not None) == one.is_valid
        assert (
            sum(not one.is_valid for one in question.candidates) == 72
        )  # 12 templates, 3 reasons, 2 answers


def test_open_ended_errors_are_answers_to_other_questions():
    questions = candidate_questions("open_ended")
    assert len(questions) == 300
    assert {q.category for q in questions} == {"known to the small model", "new to the small model"}
    for question in questions:
        own = {normalised(one.wordings[0]) for one in question.candidates if one.is_valid}
        errors = [one.wordings[0] for one in question.candidates if not one.is_valid]
        assert len(errors) == 10
        assert not own & {normalised(text) for text in errors}
    assert candidate_questions("open_ended", 5, seed=1) != candidate_questions("open_ended", 5, seed=0)
    assert candidate_questions("open_ended", 5, seed=1) == candidate_questions("open_ended", 5, seed=1)


def test_what_is_listed_on_both_sides_is_left_out(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text(
        '{"question": "Why?", "category": "x", "correct_answers": ["Unknown.", "So"], '
        '"incorrect_answers": ["unknown", "Because"]}\n'
    )
    [question] = candidate_questions("misconceptions", path=path)
    assert [(one.wordings[0], one.is_valid) for one in question.candidates] == [
        ("So", True),
        ("Because", False),
    ]
    path.write_text(
        '{"question": "Why?", "category": "x", "correct_answers": ["So"], "incorrect_answers": ["so."]}\n'
    )
    with pytest.raises(RefusedInputError, match="that differ for 'Why\\?'"):
        candidate_questions("misconceptions", path=path)


def test_refusals():
    with pytest.raises(RefusedInputError, match="unknown question set 'trivia'"):
        candidate_questions("trivia")
    with pytest.raises(RefusedInputError, match="at least one question"):
        candidate_questions("birthdays", 0)
