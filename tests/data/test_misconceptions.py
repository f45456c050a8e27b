"""The misconceptions: enough of them, each with several right and wrong answers, none of them TruthfulQA's."""

from collections import Counter

from hallulab.data.open_ended import normalised
from hallulab.data.question_sets import load_question_set
from tests.data.similarity import near_copies
from tests.data.truthfulqa import truthfulqa_rows


def test_there_are_sixty_or_more_with_three_right_and_three_wrong_answers_each():
    questions = load_question_set("misconceptions")
    assert len(questions) >= 60
    assert min(len(question.correct_answers) for question in questions) >= 3
    assert min(len(question.incorrect_answers) for question in questions) >= 3
    assert min(Counter(question.category for question in questions).values()) >= 5


def test_no_question_and_no_answer_to_one_question_occurs_twice():
    questions = load_question_set("misconceptions")
    assert len({normalised(question.question) for question in questions}) == len(questions)
    assert len({question.id for question in questions}) == len(questions)
    for question in questions:
        answers = [normalised(a) for a in question.correct_answers + question.incorrect_answers]
        assert len(set(answers)) == len(answers)


def test_questions_and_answers_are_not_truthfulqas():
    ours = load_question_set("misconceptions")
    asked = [row["Question"] for row in truthfulqa_rows()]
    assert near_copies([question.question for question in ours], asked, at_least=0.8) == []
    columns = ("Correct Answers", "Incorrect Answers")
    answered = [text for row in truthfulqa_rows() for column in columns for text in row[column].split(";")]
    answers = [
        answer for question in ours for answer in question.correct_answers + question.incorrect_answers
    ]
    # an answer of a few words has hardly another wording: "Male and female"
    sentences = [answer for answer in answers if len(answer.split()) >= 6]
    assert len(sentences) >= 200
    assert near_copies(sentences, answered, at_least=0.85) == []
