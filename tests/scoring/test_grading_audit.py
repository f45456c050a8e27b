import numpy as np
import pytest

from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, GivenAnswer, read_answers
from hallulab.scoring.graded_answers import grade_all
from hallulab.scoring.grading import regrade
from hallulab.scoring.grading_audit import (
    audit_as_stated,
    audit_by_confidence,
    best_own_thresholds,
    labelled_risk_coverage,
)
from hallulab.theory.intervals import wilson_interval

TEXTS = {"right": "It is Paris.", "wrong": "Rome.", "idk": "I do not know.", "empty": "", "odd": "Blue."}


def given(kind, confidence=None, *, name="0", model=None, target=None):
    return GivenAnswer(name, "Where?", TEXTS[kind], ("Paris",), ("Rome",), confidence, model, target)


def answers(*kinds_and_confidences, **more):
    return grade_all(
        [given(kind, p, name=str(n), **more) for n, (kind, p) in enumerate(kinds_and_confidences)]
    )


def verdicts(graded, *targets):
    return [point.verdict for point in audit_by_confidence(graded, targets)]


def test_the_over_confident_are_told_from_who_keeps_its_word():
    honest = answers(*[("right", 0.96)] * 60, *[("wrong", 0.3)] * 40)
    assert verdicts(honest, 0.5, 0.9) == ["keeps its word", "keeps its word"]
    boaster = answers(*[("right", 0.96)] * 40, *[("wrong", 0.96)] * 40)
    assert verdicts(boaster, 0.3, 0.5, 0.9) == ["keeps its word", "not decided", "over-confident"]
    assert verdicts(answers(("wrong", 0.99)), 0.9) == ["too few questions"]
    assert verdicts(answers(("right", None)), 0.9) == []


def test_intervals_hold_together_for_all_targets_looked_at():
    graded = answers(*[("right", 0.96)] * 30, *[("wrong", 0.96)] * 10)
    [alone], [first, _] = audit_by_confidence(graded, (0.9,)), audit_by_confidence(graded, (0.9, 0.95))
    assert alone.accuracy.interval.low == pytest.approx(wilson_interval(30, 40).low)
    assert first.accuracy.interval.low == pytest.approx(wilson_interval(30, 40, confidence=0.975).low)


def test_nobody_is_judged_by_the_answers_of_another():
    rows = [given("right", 0.99, name=str(n), model="good") for n in range(40)]
    rows += [given("wrong", 0.99, name=str(n), model="bad") for n in range(40)]
    found = audit_by_confidence(grade_all(rows), (0.75,))
    assert [(point.answerer.model, point.verdict) for point in found] == [
        ("good", "keeps its word"), ("bad", "over-confident"),
    ]  # fmt: skip
    # the file of one model, 25 times over, is judged as 25 times that model
    many = [
        given("right" if n < 28 else "wrong", 0.9, name=str(n), model=str(m))
        for n in range(40)
        for m in range(25)
    ]
    assert {point.verdict for point in audit_by_confidence(grade_all(many), (0.75,))} == {"not decided"}


def test_a_verdict_must_hold_whatever_the_ungradable_answers_are():
    sure = answers(*[("right", 0.9)] * 30)
    assert verdicts(sure, 0.75) == ["keeps its word"]
    unclear = answers(*[("right", 0.9)] * 30, *[("odd", 0.9)] * 10)
    [point] = audit_by_confidence(unclear, (0.75,))
    assert (point.n_ungradable, point.accuracy.value) == (10, 1)
    assert point.verdict == "the ungradable ones decide"
    # those below t would be withheld
    assert verdicts(answers(*[("right", 0.9)] * 30, *[("odd", 0.5)] * 10), 0.75) == ["keeps its word"]
    wrong = answers(*[("wrong", 0.9)] * 20, *[("odd", 0.9)] * 200)
    assert verdicts(wrong, 0.75) == ["the ungradable ones decide"]


def test_stated_targets_are_audited_by_what_was_answered_under_each():
    rows = [given("right", name=str(n), target=0.5, model="m") for n in range(16)]
    rows += [given("wrong", name=str(n), target=0.9, model="m") for n in range(12)]
    rows += [given("wrong", name=str(n), model="m") for n in range(12)]  # told nothing
    points = audit_as_stated(grade_all(rows))
    assert [(point.target, point.accuracy.value, point.verdict) for point in points] == [
        (0.5, 1.0, "keeps its word"), (0.9, 0.0, "over-confident"),
    ]  # fmt: skip
    assert audit_as_stated(answers(("right", 0.9))) == ()


def test_risk_and_coverage_at_named_targets_by_hand():
    mixed = (("right", 0.9), ("wrong", 0.6), ("wrong", 0.2), ("idk", None), ("empty", None), ("odd", 0.95))
    found = labelled_risk_coverage(answers(*mixed), (0.0, 0.5, 0.75, 0.9))
    # five gradable questions: three answered, then two, then one, then none
    assert (found.n, found.coverage) == (5, (3 / 5, 2 / 5, 1 / 5, 0.0))
    assert found.risk == (pytest.approx(2 / 3), 1 / 2, 0.0, None)
    assert labelled_risk_coverage(answers(("right", None))) is None


def test_the_best_threshold_of_each_model_with_its_interval():
    graded = grade_all(read_answers(EXAMPLE_ANSWERS).answers)
    [found] = best_own_thresholds(graded, 0.75, rng=np.random.default_rng(0))
    assert found.answerer.model == "qwen-mini"
    assert found.interval.low <= found.threshold <= found.interval.high

    # answering above it scores what is promised, and no confidence of these answers does better
    def score(threshold):
        shown = graded.scores(0.75)
        shown[graded.is_withheld(threshold)] = 0
        return shown.mean()

    assert found.score == pytest.approx(score(found.threshold))
    assert found.score == pytest.approx(max(map(score, (-1.0, *graded.confidence))))
    assert regrade(graded, 0.75).by_confidence.score.mean <= found.score
    assert best_own_thresholds(answers(("odd", 0.5)), 0.5) == ()
    [plain] = best_own_thresholds(graded, 0.75)
    assert plain.interval is None
