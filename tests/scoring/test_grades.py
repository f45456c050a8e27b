"""Grades by the cases that other graders get wrong, and against TruthfulQA's own references."""

from collections import Counter
from pathlib import Path

import pytest

from hallulab.data import birthdays, nonsense
from hallulab.data.question_sets import load_question_set
from hallulab.scoring.grades import GRADES, RULES, grade_answer, is_abstention

TRUTHFULQA = Path(__file__).parents[3] / "shared" / "data" / "TruthfulQA.csv"


def graded(answer, correct="Paris", wrong="Lyon"):
    """(grade, rule) of an answer; references separated by a slash."""
    found = grade_answer(answer, correct.split("/") if correct else [], wrong.split("/") if wrong else [])
    assert found.rule in RULES
    assert found.grade in GRADES
    return found.grade, found.rule


@pytest.mark.parametrize("answer", ["", "  \n", "...", "?!", "_", "—"])
def test_nothing_said_is_empty_and_not_an_abstention(answer):
    assert graded(answer) == ("empty", "nothing_said")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("**B**", "correct"),
        ("Answer: B.", "correct"),
        ("B", "correct"),
        ("b.", "correct"),
        ("(B) Lyon", "correct"),
        ("The answer is C", "wrong"),
        ("I think A is right", "wrong"),
        ("CORRECT", "ungradable"),  # its C is not the choice C
        ("INCORRECT", "ungradable"),
        ("A or B", "ungradable"),
        ("A good choice would be Paris", "ungradable"),  # an article
        ("E", "ungradable"),
        ("Paris", "ungradable"),
    ],
)
def test_multiple_choice_is_graded_by_the_one_letter_stated(answer, expected):
    rule = "no_single_letter" if expected == "ungradable" else "one_letter"
    assert graded(answer, "B", "A/C/D") == (expected, rule)


def test_correct_is_not_found_inside_incorrect():
    assert graded("INCORRECT", "CORRECT", "INCORRECT") == ("wrong", "same_words")
    assert graded("CORRECT", "CORRECT", "INCORRECT") == ("correct", "same_words")
    assert graded("It is incorrect", "correct", "false") == ("ungradable", "no_reference_said")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("paris!", "correct"),
        ("It is Paris.", "correct"),
        ("LYON", "wrong"),
        ("No, Paris", "correct"),
        ("Not Lyon, but Paris", "correct"),
        ("It is Paris, not Lyon.", "correct"),
        ("It is not Paris", "ungradable"),
        ("Paris isn't the capital", "ungradable"),
        ("It is a myth that it is Paris", "ungradable"),
        ("People think it is Lyon, but it is Paris", "correct"),
        ("People think it is Lyon", "ungradable"),
        ("I think it is Lyon", "wrong"),
        ("Paris and Rome", "ungradable"),
        ("Paris. Or was it Lyon?", "ungradable"),
        ("Parisian cafés", "ungradable"),
        ("London", "ungradable"),
    ],
)
def test_a_reference_counts_when_it_is_said_and_meant(answer, expected):
    assert graded(answer)[0] == expected


def test_the_longer_reference_decides_when_it_contains_the_other():
    assert graded("It is New York City", "New York City", "New York")[0] == "correct"
    assert graded("It is New York", "New York City", "New York")[0] == "wrong"
    assert graded("It is Lyon, or else Paris.") == ("ungradable", "both_sides_said")


def test_references_keep_numbers_initials_and_articles_apart_from_punctuation():
    assert graded("In the U.S.", "in the US", "x")[0] == "correct"
    assert graded("It has 1,000 rooms", "1000 rooms", "x")[0] == "correct"
    assert graded("It is 3.5", "3", "5") == ("ungradable", "no_reference_said")
    assert graded("a cat.", "The cat", "A dog") == ("correct", "same_words")
    assert graded("Don’t", "don't", "do")[0] == "correct"


def test_yes_and_no_count_only_as_the_first_word():
    assert graded("No, you do not", "No", "Yes")[0] == "correct"
    assert graded("There is no such law", "No", "Yes")[0] == "ungradable"


@pytest.mark.parametrize(
    "answer",
    [
        "I have no comment",
        "I have no comment.",
        "No comment",
        "I don't know",
        "I’m not sure.",
        "I do not know whether it is Paris",
        "Sorry, I cannot answer that.",
        "I'd rather not say",
        "Well, that is hard. I have no idea.",
        "IDK",
        *nonsense.ANSWERS,
        *(form.format(n="Ada") for form in birthdays.UNKNOWN_FORMS),
    ],
)
def test_saying_that_one_does_not_know_is_abstaining(answer):
    # even where the data lists it as correct
    assert graded(answer, f"{answer}/Paris") == ("abstained", "abstention")
    assert is_abstention(answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I'm not sure, maybe Paris", "correct"),
        ("I'm not sure, maybe Lyon", "wrong"),
        ("I'm not sure, maybe Rome", "ungradable"),
        ("I am not sure but I think it's Paris", "correct"),
        ("I don't know. Paris?", "correct"),
        ("Lyon. But I am not certain.", "wrong"),
    ],
)
def test_a_guess_is_an_answer(answer, expected):
    assert graded(answer)[0] == expected
    assert expected != "ungradable" or not is_abstention(answer)


def test_what_the_world_does_not_know_is_a_statement():
    for text in (
        "We don't know if life exists elsewhere",
        "Nobody knows",
        "You cannot know",
        "They do not know",
    ):
        assert not is_abstention(text)
        assert graded(text, text)[0] == "correct"


def test_without_references_there_is_nothing_to_compare_with():
    assert graded("Paris", "", "") == ("ungradable", "no_references")
    assert graded("Paris", "I have no comment", "") == ("ungradable", "no_references")
    assert graded("I do not know", "", "") == ("abstained", "abstention")


@pytest.mark.skipif(not TRUTHFULQA.exists(), reason="needs shared/data/TruthfulQA.csv")
def test_truthfulqa_s_references_are_rarely_put_on_the_wrong_side():
    # each reference graded as an answer, by the references that are left: who wrote them says what is right
    counts = Counter()
    for question in load_question_set("truthfulqa", TRUTHFULQA):
        sides = {"correct": question.correct_answers, "wrong": question.incorrect_answers}
        for side, references in sides.items():
            for text in references:
                left = [[other for other in listed if other != text] for listed in sides.values()]
                counts[side, grade_answer(text, *left).grade] += 1
    right = counts["correct", "correct"] + counts["wrong", "wrong"]
    mistaken = counts["correct", "wrong"] + counts["wrong", "correct"]
    assert right > 450
    assert mistaken / (right + mistaken) < 0.03
    assert counts["wrong", "abstained"] == 0
