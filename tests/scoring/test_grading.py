import time

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, GivenAnswer, read_answers
from hallulab.scoring.grading import (
    audit,
    best_own_threshold,
    grade_all,
    labelled_risk_coverage,
    rank_models,
    reading,
    regrade,
    score_curve,
    summarise,
)

TEXTS = {"right": "It is Paris.", "wrong": "Rome.", "idk": "I do not know.", "empty": "", "odd": "Blue."}


def given(kind, confidence=None, *, name="0", model=None, target=None):
    return GivenAnswer(name, "Where?", TEXTS[kind], ("Paris",), ("Rome",), confidence, model, target)


def answers(*kinds_and_confidences, **more):
    return grade_all(
        [given(kind, p, name=str(n), **more) for n, (kind, p) in enumerate(kinds_and_confidences)]
    )


MIXED = (("right", 0.9), ("wrong", 0.6), ("wrong", 0.2), ("idk", None), ("empty", None), ("odd", 0.95))


def test_a_table_by_hand():
    found = regrade(answers(*MIXED), 0.5)
    assert (found.penalty, found.reading) == (1, "drafting")
    assert [row.grade for row in found.rows] == [
        "correct",
        "wrong",
        "wrong",
        "abstained",
        "empty",
        "ungradable",
    ]
    assert [row.score_as_given for row in found.rows] == [1, -1, -1, 0, 0, None]
    # by confidence the answer given with 0.2 is withheld
    assert [row.is_withheld for row in found.rows] == [False, False, True, False, False, False]
    assert [row.score_by_confidence for row in found.rows] == [1, -1, 0, 0, 0, None]
    assert found.as_given.score.mean == pytest.approx(-1 / 5)
    assert found.by_confidence.score.mean == 0
    assert dict(found.by_confidence.n_by_grade) == {
        "correct": 1, "wrong": 1, "abstained": 2, "empty": 1, "ungradable": 1,
    }  # fmt: skip
    assert (found.as_given.answered.value, found.as_given.answered.n) == (3 / 5, 5)
    assert (found.as_given.accuracy.value, found.as_given.accuracy.n) == (pytest.approx(1 / 3), 3)
    assert found.as_given.hallucination_rate.value == 2 / 5


def test_an_answer_with_a_confidence_of_exactly_t_is_withheld():
    assert regrade(answers(("right", 0.75)), 0.75).rows[0].is_withheld
    assert not regrade(answers(("right", 0.7501)), 0.75).rows[0].is_withheld


def test_answers_without_confidence_are_counted_and_left_out_by_confidence():
    found = regrade(answers(("right", None), ("wrong", 0.9), ("idk", None)), 0.5)
    assert found.by_confidence.n_missing == 1
    assert found.by_confidence.score.n == 2
    assert found.rows[0].score_by_confidence is None
    assert regrade(answers(("right", None), ("idk", 0.4)), 0.5).by_confidence is None


def test_ungradable_alone_has_no_points_rather_than_none_of_them():
    found = regrade(answers(("odd", 0.5)), 0.5)
    assert found.as_given.score is None
    assert found.as_given.accuracy.value is None
    assert score_curve(answers(("odd", 0.5))) is None
    assert best_own_threshold(answers(("odd", 0.5)), 0.5) is None


@pytest.mark.parametrize("target", [1.0, -0.5, float("nan")])
def test_other_targets_are_refused(target):
    with pytest.raises(RefusedInputError, match="confidence target"):
        regrade(answers(*MIXED), target)


def test_the_curve_is_regrading_at_every_target():
    graded = grade_all(read_answers(EXAMPLE_ANSWERS).answers[:80])
    targets = (0.0, 0.3, 0.75, 0.9)
    curve = score_curve(graded, targets)
    for place, target in enumerate(targets):
        found = regrade(graded, target)
        assert curve.as_given[place] == pytest.approx(found.as_given.score.mean)
        assert curve.by_confidence[place] == pytest.approx(found.by_confidence.score.mean)
        assert curve.as_given_low[place] <= curve.as_given[place] <= curve.as_given_high[place]
    assert curve.break_even == pytest.approx(regrade(graded, 0).as_given.accuracy.value)
    # at the break-even target the answers as given are worth nothing
    assert score_curve(graded, (curve.break_even,)).as_given[0] == pytest.approx(0, abs=1e-9)


def test_the_audit_tells_the_over_confident_from_who_keeps_its_word():
    honest = answers(*[("right", 0.96)] * 40, *[("wrong", 0.3)] * 40)
    assert [point.verdict for point in audit(honest, (0.5, 0.9))] == ["keeps its word", "keeps its word"]
    boaster = answers(*[("right", 0.96)] * 40, *[("wrong", 0.96)] * 40)
    assert [point.verdict for point in audit(boaster, (0.3, 0.5, 0.9))] == [
        "keeps its word", "not decided", "over-confident",
    ]  # fmt: skip
    assert audit(answers(("wrong", 0.99)), (0.9,))[0].verdict == "too few answers"


def test_stated_targets_are_audited_by_what_was_answered_under_each():
    rows = [given("right", name=str(n), target=0.5) for n in range(12)]
    rows += [given("wrong", name=str(n), target=0.9) for n in range(12)]
    points = audit(grade_all(rows), policy="as_given")
    assert [(point.target, point.accuracy.value, point.verdict) for point in points] == [
        (0.5, 1.0, "keeps its word"), (0.9, 0.0, "over-confident"),
    ]  # fmt: skip


def test_risk_and_coverage_at_named_targets_by_hand():
    found = labelled_risk_coverage(answers(*MIXED), (0.0, 0.5, 0.75, 0.9))
    # five gradable questions: three answered, then two, then one, then none
    assert (found.n, found.coverage) == (5, (3 / 5, 2 / 5, 1 / 5, 0.0))
    assert found.risk == (pytest.approx(2 / 3), 1 / 2, 0.0, None)
    assert labelled_risk_coverage(answers(("right", None))) is None


def test_binary_grading_ranks_the_guesser_first_and_a_target_the_abstainer():
    # guesser: 6 right, 4 wrong; abstainer: 5 right, 5 IDK. Binary 0.6 against 0.5; at t = 0.75: −0.6 against 0.5
    guesser = [given("right" if n < 6 else "wrong", name=str(n), model="guesser") for n in range(10)]
    abstainer = [given("right" if n < 5 else "idk", name=str(n), model="abstainer") for n in range(10)]
    graded = grade_all(guesser + abstainer)
    assert [(one.model, one.rank) for one in rank_models(graded, 0.0)] == [("guesser", 1), ("abstainer", 2)]
    first, second = rank_models(graded, 0.75)
    assert (first.model, second.model) == ("abstainer", "guesser")
    assert second.below_first.mean == pytest.approx(1.1)
    assert second.below_first.n == 10


def test_equal_points_share_a_rank():
    graded = grade_all([given("right", model="a"), given("right", model="b"), given("idk", model="c")])
    assert [one.rank for one in rank_models(graded, 0.5)] == [1, 1, 3]


@pytest.mark.parametrize(
    ("target", "words"),
    [(0, "binary"), (0.3, "brainstorming"), (0.5, "drafting"), (0.75, "assistive"), (0.89, "assistive"),
     (0.9, "self-serve"), (0.99, "high stakes")],
)  # fmt: skip
def test_a_target_reads_as_the_highest_use_that_it_reaches(target, words):
    assert words in reading(target)


def test_some_hundred_answers_are_regraded_quickly():
    shipped = read_answers(EXAMPLE_ANSWERS).answers
    graded = grade_all(shipped * 2)
    assert len(graded.answers) == 400
    regrade(graded, 0.5)
    spent = []
    for target in np.linspace(0, 0.95, 10):
        begun = time.perf_counter()
        regrade(graded, float(target))
        spent.append(time.perf_counter() - begun)
    assert min(spent) < 0.1  # about 0.03 s where this was written, on a busy machine


def test_withholding_is_what_a_summary_by_confidence_counts():
    graded = answers(*MIXED)
    by_confidence = summarise(graded, 0.75, "by_confidence")
    assert by_confidence.n_by_grade["abstained"] == 3
    assert by_confidence.hallucination_rate.value == 0
