"""The open-ended questions: enough of them, no overlap between answers, every wording traced to its state."""

import random
from collections import Counter

import pytest

from hallulab.data.open_ended import (
    AcceptableAnswer,
    known_question,
    known_questions,
    known_states,
    listed_question,
    normalised,
    open_ended_questions,
)
from tests.data.similarity import near_copies
from tests.data.truthfulqa import truthfulqa_rows


def test_there_are_three_hundred_questions_with_two_answers_on_twelve_topics_or_more():
    questions = open_ended_questions()
    assert len(questions) == 300
    assert {len(question.answers) for question in questions} == {2}
    topics = Counter(question.topic for question in questions)
    assert len(topics) >= 12
    assert "" not in topics
    assert min(topics.values()) >= 10


def test_sixty_of_them_are_known_to_the_base_and_come_first_with_ten_wordings_or_more():
    questions = known_questions()
    assert len(questions) == 60
    assert open_ended_questions()[:60] == questions
    assert min(len(set(a.phrasings())) for q in questions for a in q.answers) >= 10
    assert all(len(question.also_asked) == 2 for question in questions)


def test_some_known_questions_are_even_and_some_ninety_to_ten():
    splits = Counter(question.answers[0].weight for question in known_questions())
    assert splits == {0.5: 40, 0.9: 20}
    assert all(sum(a.weight for a in q.answers) == pytest.approx(1) for q in open_ended_questions())


def test_every_answer_is_one_short_text_of_full_sentences_that_names_its_state():
    for question in open_ended_questions():
        for answer in question.answers:
            assert f" {normalised(answer.state)} " in f" {normalised(answer.text)} "
            assert answer.text[0].isupper()
            assert answer.text.endswith(".")
            assert len(answer.text.split()) <= 25


def test_the_text_of_a_templated_answer_is_its_commonest_wording():
    cat = known_questions()[0].answers[0]
    assert cat.written == ""
    assert cat.text == "I would suggest a cat, because it is calm and keeps itself clean."
    assert max(cat.weighted_phrasings(), key=lambda pair: pair[1])[0] == cat.text


def test_an_answer_written_as_a_sentence_has_no_other_wording():
    rice = next(q for q in open_ended_questions() if q.question == "What should I add to plain rice?")
    butter = rice.answers[0]
    assert butter.phrasings() == (butter.text,)
    assert rice.state_of("a spoon of butter makes plain rice soft and rich") == "a spoon of butter"
    assert rice.state_of("A spoon of butter.") is None


def test_no_form_of_a_question_and_no_answer_occurs_twice():
    forms = [normalised(form) for question in open_ended_questions() for form in question.forms]
    assert len(set(forms)) == len(forms)
    texts = [normalised(a.text) for question in open_ended_questions() for a in question.answers]
    assert len(texts) == len(set(texts)) == 600


def test_no_two_questions_are_nearly_the_same():
    questions = [question.question for question in open_ended_questions()]
    assert near_copies(questions, questions, at_least=0.93) == [
        (question, question) for question in questions
    ]


def test_no_question_and_no_answer_is_truthfulqas():
    asked = [row["Question"] for row in truthfulqa_rows()]
    questions = open_ended_questions()
    assert near_copies([question.question for question in questions], asked, at_least=0.8) == []
    columns = ("Correct Answers", "Incorrect Answers")
    answered = [text for row in truthfulqa_rows() for column in columns for text in row[column].split(";")]
    answers = [answer.text for question in questions for answer in question.answers]
    assert near_copies(answers, answered, at_least=0.8) == []


def test_near_copies_are_found():
    found = near_copies(
        ["What is a good pet?"], ["Why?", "what is a good  pet", "What is a good bet?"], at_least=0.9
    )
    assert [other for _, other in found] == ["what is a good  pet", "What is a good bet?"]


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


def test_a_listed_question_has_states_though_the_base_does_not_know_it():
    asked = "I wonder: what should I add to plain rice"
    assert known_states(asked) == ("a spoon of butter", "fried onions")
    assert listed_question(asked) is not None
    assert known_question(asked) is None


def test_a_question_that_is_not_listed_has_no_states():
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
