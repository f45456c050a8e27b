import pytest

from hallulab.errors import RefusedInputError
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, GivenAnswer, read_answers
from hallulab.scoring.graded_answers import grade_all
from hallulab.scoring.grading import MIN_JUDGED, reading, regrade, score_curve, summarise
from hallulab.theory.intervals import wilson_interval

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
    assert found.as_given.worth == "nothing to grade"


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


@pytest.mark.parametrize(
    ("target", "words"),
    [(0, "binary"), (0.3, "brainstorming"), (0.5, "drafting"), (0.75, "assistive"), (0.89, "assistive"),
     (0.9, "self-serve"), (0.99, "high stakes")],
)  # fmt: skip
def test_a_target_reads_as_the_highest_use_that_it_reaches(target, words):
    assert words in reading(target)


def test_withholding_is_what_a_summary_by_confidence_counts():
    graded = answers(*MIXED)
    by_confidence = summarise(graded, 0.75, "by_confidence")
    assert by_confidence.n_by_grade["abstained"] == 3
    assert by_confidence.hallucination_rate.value == 0


def test_both_policies_are_compared_on_the_same_answers():
    # 20 wrong answers say nothing of how sure they are, 5 right ones are given with 0.99: nothing is withheld
    graded = answers(*[("wrong", None)] * 20, *[("right", 0.99)] * 5)
    found = regrade(graded, 0.5)
    assert found.as_given.score.mean == pytest.approx((5 - 20) / 25)
    assert found.by_confidence.n_missing == 20
    assert found.withholding.as_given.score.mean == found.withholding.by_confidence.score.mean == 1
    assert (found.withholding.gain.mean, found.withholding.n_withheld) == (0, 0)


def test_what_withholding_gains_is_what_the_withheld_answers_would_have_cost():
    # at t = 0.75: withheld are one right answer (−1) and two wrong ones (+3 each), of five
    graded = answers(("right", 0.5), ("wrong", 0.2), ("wrong", 0.7), ("right", 0.9), ("idk", None))
    found = regrade(graded, 0.75).withholding
    assert found.gain.mean == pytest.approx((3 + 3 - 1) / 5)
    assert found.by_confidence.score.mean - found.as_given.score.mean == pytest.approx(found.gain.mean)
    assert found.gain.interval.low < found.gain.mean < found.gain.interval.high


def test_ungradable_answers_give_a_range():
    graded = answers(*[("right", 0.9)] * 5, *[("odd", 0.9)] * 3, *[("odd", 0.2)] * 2)
    found = regrade(graded, 0.5)
    as_given, by_confidence = found.as_given.ungradable, found.by_confidence.ungradable
    assert (as_given.n, as_given.score_if_wrong.mean) == (5, 0)
    assert (as_given.score_if_abstained.mean, as_given.score_if_right.mean) == (0.5, 1)
    assert (as_given.hallucination_rate_if_wrong, as_given.hallucination_rate_otherwise) == (0.5, 0)
    # two of them would be withheld at t = 0.5, whatever they are
    assert (by_confidence.n, by_confidence.score_if_wrong.mean) == (3, pytest.approx((5 - 3) / 10))
    assert by_confidence.score_if_right.mean == pytest.approx(0.8)
    assert regrade(answers(("right", 0.9)), 0.5).as_given.ungradable is None


def test_answers_that_cannot_be_wrong_are_counted_and_give_no_verdict():
    # 5 times Paris, else London, nothing listed as wrong: most could be wrong, and no verdict must say otherwise
    graded = grade_all(
        [
            GivenAnswer(str(n), "?", "Paris" if n < 5 else "London", ("Paris",), ())
            for n in range(2 * MIN_JUDGED)
        ]
    )
    found = summarise(graded, 0.75)
    assert found.n_never_wrong == 20
    assert found.worth == "too few questions"  # 5 graded ones
    closed = grade_all([one.given for one in graded.answers], others_are_wrong=True)
    assert summarise(closed, 0.75).n_never_wrong == 0
    assert summarise(closed, 0.75).worth == "worse than saying nothing"
    many = grade_all(
        [GivenAnswer(str(n), "?", "Paris" if n < 40 else "London", ("Paris",), ()) for n in range(80)]
    )
    assert summarise(many, 0.75).accuracy.value == 1
    assert summarise(many, 0.75).worth == "the ungradable ones decide"


def test_a_verdict_needs_questions_and_an_interval_that_does_not_collapse():
    assert summarise(answers(("right", 0.9)), 0.95).worth == "too few questions"
    assert summarise(answers(*[("right", 0.9)] * 20), 0.95).worth == "not told from saying nothing"
    assert summarise(answers(*[("right", 0.9)] * 20), 0.0).worth == "better than saying nothing"
    assert summarise(answers(*[("wrong", 0.9)] * 20), 0.5).worth == "worse than saying nothing"
    assert summarise(answers(*[("wrong", 0.9)] * 20), 0.5).score.interval.high < 0


def test_many_models_of_one_file_say_no_more_than_its_questions():
    kinds = ["right"] * 12 + ["wrong"] * 12 + ["idk"] * 16
    one = [given(kind, 0.9, name=str(n), model="0") for n, kind in enumerate(kinds)]
    many = [given(kind, 0.9, name=str(n), model=str(m)) for n, kind in enumerate(kinds) for m in range(25)]
    alone, pooled = summarise(grade_all(one), 0.5), summarise(grade_all(many), 0.5)
    assert (alone.n_questions, pooled.n_questions) == (40, 40)
    assert sum(pooled.n_by_grade.values()) == 1_000
    for name in ("score", "answered", "accuracy", "hallucination_rate"):
        ours, theirs = getattr(alone, name).interval, getattr(pooled, name).interval
        assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert alone.accuracy.interval.low == pytest.approx(wilson_interval(12, 24).low)
