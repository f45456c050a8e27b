import pytest

from hallulab.data.graded_by_hand import hand_graded_answers
from hallulab.experiments.grade_rules import VERDICTS, check_rules
from hallulab.scoring.grades import GRADES, grade_answer
from hallulab.theory.intervals import wilson_interval


@pytest.mark.parametrize(
    # what docs/grading.md states of each part; a change of the rules that makes one worse must change the docs as well
    ("part", "agreement", "verdicts_right", "verdicts_found"),
    [("held_out", 206 / 258, 139 / 141, 139 / 189), ("tuned", 276 / 335, 180 / 182, 180 / 237)],
)
def test_the_rules_agree_with_a_person_as_often_as_the_docs_state(
    part, agreement, verdicts_right, verdicts_found
):
    found = check_rules(part)
    assert found.agreement.value >= agreement
    assert found.precision(*VERDICTS).value >= verdicts_right
    assert found.recall(*VERDICTS).value >= verdicts_found


def test_the_matrix_is_that_of_a_plain_loop():
    found = check_rules("tuned")
    counts = {}
    for one in hand_graded_answers():
        if one.part == "tuned":
            grade = grade_answer(one.answer, one.correct_answers, one.incorrect_answers).grade
            counts[one.grade, grade] = counts.get((one.grade, grade), 0) + 1
    assert {pair: n for pair, n in found.confusion.items() if n} == counts
    n_wrong = sum(counts.get(("wrong", grade), 0) for grade in GRADES)
    assert found.recall("wrong").value == counts["wrong", "wrong"] / n_wrong
    assert found.recall("wrong").interval == wilson_interval(counts["wrong", "wrong"], n_wrong)
    assert found.precision("wrong").n == sum(counts.get((grade, "wrong"), 0) for grade in GRADES)


def test_misses_are_named():
    found = check_rules("tuned").to_json()
    assert len(found["misses"]) == found["n"] - sum(found["confusion"][grade][grade] for grade in GRADES)
    assert all(miss["grade"] != miss["rules_grade"] for miss in found["misses"])
    assert {miss["part"] for miss in found["misses"]} == {"tuned"}
