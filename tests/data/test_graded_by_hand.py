"""The answers graded by hand: enough of them, in two halves, none twice, of every kind that graders get wrong."""

from collections import Counter

from hallulab.data.graded_by_hand import PARTS, hand_graded_answers

GRADES = {"correct", "wrong", "abstained", "empty", "ungradable"}


def test_there_are_hundreds_of_every_part_with_every_grade():
    answers = hand_graded_answers()
    for part in PARTS:
        grades = Counter(one.grade for one in answers if one.part == part)
        assert sum(grades.values()) >= 150
        assert set(grades) == GRADES
        assert len({one.kind for one in answers if one.part == part}) >= 12
    assert len({one.id for one in answers}) == len(answers)


def test_no_answer_to_one_question_occurs_twice_and_no_question_in_both_parts():
    answers = hand_graded_answers()
    assert len({(one.question, one.answer) for one in answers}) == len(answers)
    held_out = {one.question for one in answers if one.part == "held_out"}
    assert not held_out & {one.question for one in answers if one.part == "tuned"}


def test_every_question_has_something_right_and_no_reference_on_both_sides():
    for one in hand_graded_answers():
        assert one.correct_answers
        assert not set(one.correct_answers) & set(one.incorrect_answers)
