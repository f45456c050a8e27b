"""What an answer to a listed question is like: the null by list length, and how often unrelated text is accused."""

import random

import numpy as np
import pytest

from hallulab.data.open_ended import open_ended_questions
from hallulab.data.question_sets import ReferencedQuestion, load_question_set
from hallulab.scoring import words_references
from hallulab.scoring.grades import grade_answer
from hallulab.scoring.resemblance import closest_ratio
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_references import SIDES, UNUSUAL, ReferencedAnswer, likeness, null_questions


def listed(name: str, n_wrong: int, n_right: int = 1) -> ReferencedQuestion:
    wrong, right = (
        tuple(f"{name} {side} {k}" for k in range(n)) for side, n in (("no", n_wrong), ("yes", n_right))
    )
    return ReferencedQuestion(name, f"What of {name}?", "", right, wrong, "here")


def referenced(answer: str, question: ReferencedQuestion, questions) -> ReferencedAnswer:
    return ReferencedAnswer(
        question, AskSettings(question.question), "base", "m", answer, (),
        grade_answer(answer, question.correct_answers, question.incorrect_answers),
        likeness(answer, question, questions, ("incorrect_answers",)),
        likeness(answer, question, questions, ("correct_answers",)),
        likeness(answer, question, questions, SIDES),
    )  # fmt: skip


def test_the_null_has_lists_of_the_same_length_where_there_are_enough(monkeypatch):
    monkeypatch.setattr(words_references, "LEAST_NULL", 3)
    questions = [listed(f"q{n}", n_wrong) for n, n_wrong in enumerate((2, 2, 2, 2, 5, 6, 9))]
    same = null_questions(questions[0], questions, ("incorrect_answers",))
    assert [other.id for other in same] == ["q1", "q2", "q3"]
    # none has 9: the nearest have 6 and 5, and all with 2 are as near as the third
    far = null_questions(questions[6], questions, ("incorrect_answers",))
    assert [other.id for other in far] == ["q0", "q1", "q2", "q3", "q4", "q5"]
    monkeypatch.setattr(words_references, "LEAST_NULL", 2)
    far = null_questions(questions[6], questions, ("incorrect_answers",))
    assert [other.id for other in far] == ["q4", "q5"]


def test_either_list_is_both_taken_as_one():
    questions = load_question_set("misconceptions")
    text = "A full circle, I think."
    found = referenced(text, questions[4], questions)
    assert found.incorrect is not None
    assert found.correct is not None
    assert found.either is not None
    assert found.either.ratio == max(found.incorrect.ratio, found.correct.ratio)
    expected = [
        max(closest_ratio(text, q.incorrect_answers), closest_ratio(text, q.correct_answers))
        for q in questions
        if q.id != questions[4].id
    ]
    assert found.either.null.tolist() == expected
    assert found.to_json()["either"]["n_null"] == 74


def test_a_text_that_says_nothing_is_like_nothing():
    questions = load_question_set("misconceptions")
    found = referenced(".", questions[0], questions)
    assert (found.finding, found.incorrect, found.correct, found.either) == ("empty", None, None, None)


def test_unrelated_sentences_are_rarely_called_like_a_listed_answer():
    questions = load_question_set("misconceptions")
    rng = random.Random(0)
    texts = [rng.choice(q.answers).phrasings()[0] for q in rng.sample(open_ended_questions(), 4)]
    found = [referenced(text, q, questions).finding != "chance" for text in texts for q in questions]
    # each text alone is like the list of at most one question in twenty, whatever it is
    assert np.mean(found) <= UNUSUAL


@pytest.mark.parametrize("side", ["incorrect", "correct"])
def test_a_listed_answer_is_found_on_its_side(side):
    questions = load_question_set("misconceptions")
    found = [
        referenced(getattr(q, f"{side}_answers")[0], q, questions).finding == side for q in questions[::5]
    ]
    assert np.mean(found) > 0.9
