import numpy as np
import pytest

from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, GivenAnswer, read_answers
from hallulab.scoring.graded_answers import Answerer, grade_all
from hallulab.scoring.grading_rank import SILENT, Way, models_as_given, rank_ways, usual_ways
from hallulab.theory.bootstrap import paired_difference

TEXTS = {"right": "It is Paris.", "wrong": "Rome.", "idk": "I do not know.", "odd": "Blue."}


def given(kind, name, model=None, confidence=None):
    return GivenAnswer(str(name), "Where?", TEXTS[kind], ("Paris",), ("Rome",), confidence, model)


def of(model, *kinds, start=0):
    return [given(kind, start + n, model) for n, kind in enumerate(kinds)]


def ranks(graded, target):
    return {
        one.way.name: one.at_target.rank for one in rank_ways(graded, models_as_given(graded), target).ways
    }


def test_binary_grading_ranks_the_guesser_first_and_a_target_the_abstainer():
    # guesser: 6 right, 4 wrong; abstainer: 5 right, 5 IDK. Binary 0.6 against 0.5; at t = 0.75: −0.6 against 0.5
    graded = grade_all(
        of("guesser", *["right"] * 6, *["wrong"] * 4) + of("abstainer", *["right"] * 5, *["idk"] * 5)
    )
    found = rank_ways(graded, models_as_given(graded), 0.75)
    assert found.first_binary == ("guesser",)
    assert found.first == ("abstainer",)
    first, second = found.ways
    assert (first.way.name, first.at_target.points, first.binary.points) == ("abstainer", 0.5, 0.5)
    assert second.at_target.below_first.mean == pytest.approx(1.1)
    assert (found.n_questions, second.at_target.below_first.n) == (10, 10)
    assert first.binary.below_first.mean == pytest.approx(0.1)
    # one pair: nothing to correct
    assert second.at_target.p_holm == second.at_target.below_first.p_value


def test_nobody_is_ranked_on_questions_that_others_never_had():
    # alone on easy questions "lucky" looks better; on the questions in common it is not
    graded = grade_all(of("lucky", *["wrong"] * 5, *["right"] * 20) + of("steady", *["right"] * 4, "wrong"))
    assert ranks(graded, 0.5) == {"steady": 1, "lucky": 2}
    assert rank_ways(graded, models_as_given(graded), 0.5).n_questions == 5
    apart = grade_all(of("a", "right", "right") + of("b", "wrong", start=10))
    found = rank_ways(apart, models_as_given(apart), 0.5)
    assert found.n_questions == 0
    assert [one.at_target.rank for one in found.ways] == [None, None]
    assert found.first == ()


def test_whoever_has_no_score_is_listed_last_and_takes_nobody_s_questions():
    graded = grade_all(of("a", "right", "wrong") + of("b", "idk", "idk") + of(None, "odd", "odd"))
    found = rank_ways(graded, models_as_given(graded), 0.5)
    assert [(one.way.name, one.at_target.rank, one.n_ungradable) for one in found.ways] == [
        ("a", 1, 0), ("b", 1, 0), ("(no name)", None, 2),
    ]  # fmt: skip
    assert found.n_questions == 2


def test_equal_points_share_a_rank():
    graded = grade_all(of("a", "right") + of("b", "right") + of("c", "idk"))
    assert ranks(graded, 0.5) == {"a": 1, "b": 1, "c": 3}


def test_a_way_that_withholds_is_scored_by_its_own_threshold():
    graded = grade_all(read_answers(EXAMPLE_ANSWERS).answers)
    found = rank_ways(graded, usual_ways(graded, 0.9), 0.9)
    by_name = {one.way.name: one for one in found.ways}
    withheld = by_name["Answers only when over 90 % sure"]
    assert withheld.at_target.points == pytest.approx(np.nanmean(graded.scores(0.9, "by_confidence")))
    always, silent = by_name["Answers whatever it has"], by_name[SILENT]
    assert always.at_target.points == pytest.approx(graded.scores(0.9).mean())
    assert always.binary.rank < withheld.binary.rank < silent.binary.rank
    assert withheld.at_target.rank < silent.at_target.rank < always.at_target.rank
    assert silent.at_target.points == 0


def test_differences_are_paired_and_corrected_for_all_pairs():
    rng = np.random.default_rng(0)
    kinds = np.array(["right", "wrong", "idk"])
    rows = [given(str(kinds[rng.integers(3)]), n, model) for model in "abcd" for n in range(60)]
    graded = grade_all(rows)
    found = rank_ways(graded, models_as_given(graded), 0.5)
    first = found.ways[0]
    for one in found.ways[1:]:
        plain = paired_difference(
            graded.of(first.way.answerer).scores(0.5), graded.of(one.way.answerer).scores(0.5),
            rng=np.random.default_rng(0),
        )  # fmt: skip
        assert one.at_target.below_first == plain
        # four models are six pairs
        assert plain.p_value <= one.at_target.p_holm <= min(1.0, 6 * plain.p_value) + 1e-12
    smallest = min((one.at_target for one in found.ways[1:]), key=lambda standing: standing.p_holm)
    assert smallest.p_holm == pytest.approx(min(1.0, 6 * smallest.below_first.p_value))


def test_models_of_one_name_stay_apart():
    graded = grade_all([*of("(no name)", "right"), *of(None, "wrong")])
    found = rank_ways(graded, models_as_given(graded), 0.5)
    assert [(one.way.answerer, one.at_target.rank) for one in found.ways] == [
        (Answerer("(no name)", None), 1), (Answerer(None, None), 2),
    ]  # fmt: skip


def test_several_are_compared_as_given_and_above_t():
    graded = grade_all(
        [given("wrong", n, "bold", 0.4) for n in range(3)] + [given("idk", n, "shy", 0.4) for n in range(3)]
    )
    assert [way.name for way in usual_ways(graded, 0.5)] == [
        "bold",
        "bold, answers only when over 50 % sure",
        "shy",
        SILENT,
    ]
    found = rank_ways(graded, usual_ways(graded, 0.5), 0.5)
    # bold: −1 as given, 0 when it answers only above its own 0.4
    assert [(one.way.name, one.at_target.rank) for one in found.ways][-1] == ("bold", 4)
    assert Way(SILENT, None) in [one.way for one in found.ways]
