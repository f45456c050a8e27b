from hallulab.reports.grading_words import (
    break_even_sentence,
    cost_sentence,
    never_wrong_sentence,
    p_value,
    range_cell,
    rank_row,
    rank_sentence,
    rate,
    signed,
    ungradable_sentence,
    verdict_sentence,
    withholding_sentence,
)
from hallulab.scoring.answer_file import GivenAnswer
from hallulab.scoring.graded_answers import grade_all
from hallulab.scoring.grading import regrade, score_curve
from hallulab.scoring.grading_rank import models_as_given, rank_ways

TEXTS = {"right": "Paris", "wrong": "Rome", "idk": "I do not know", "odd": "Blue"}


def graded(*kinds_and_confidences, wrong=("Rome",), model=None):
    return grade_all(
        [
            GivenAnswer(str(n), "?", TEXTS[kind], ("Paris",), wrong, confidence, model)
            for n, (kind, confidence) in enumerate(kinds_and_confidences)
        ]
    )


SOME = graded(*[("right", 0.9)] * 12, *[("wrong", 0.4)] * 6, ("odd", 0.9), ("right", None))


def test_costs_and_verdicts():
    found = regrade(SOME, 0.75)
    assert cost_sentence(found) == "At t = 0.75 (assistive) a wrong answer costs 3 points."
    assert cost_sentence(regrade(SOME, 0)) == "At t = 0 (binary grading) a wrong answer costs nothing."
    # 13 right, 6 wrong: (13 − 18) / 19
    assert verdict_sentence(found.as_given).startswith("As given: −0.263 [")
    assert verdict_sentence(found.as_given).endswith("n = 19: not told from saying nothing.")
    assert "so there are no points to show" in verdict_sentence(regrade(graded(("odd", 0.5)), 0.5).as_given)
    assert break_even_sentence(score_curve(SOME)).startswith("As given, above t = 0.684 ")
    assert break_even_sentence(score_curve(graded(("right", 0.5)))) == ""


def test_what_withholding_changes_is_said_of_the_same_answers():
    assert withholding_sentence(regrade(SOME, 0.75)).startswith(
        "Withholding the 6 answers with confidence of 0.75 or less takes the same 18 from −0.333 to +0.667, by +1.000 ["
    )
    assert withholding_sentence(regrade(SOME, 0.75)).endswith(
        "1 answer without a confidence is left out of this comparison."
    )
    assert "No answer says how sure it is" in withholding_sentence(regrade(graded(("right", None)), 0.5))


def test_what_is_left_out_is_said():
    summary = regrade(SOME, 0.75).as_given
    assert ungradable_sentence(summary) == (
        "1 answer could not be graded and is left out: were all wrong, it would be −0.400 points; abstentions, −0.250; "
        "right, −0.200. Hallucinations: 30.0 % to 35.0 %."
    )
    assert range_cell(summary) == "−0.400 … −0.250 … −0.200"
    assert ungradable_sentence(regrade(graded(("right", 0.5)), 0.5).as_given) == ""
    careful = never_wrong_sentence(regrade(graded(("right", 0.5), wrong=()), 0.5).as_given, "do this")
    assert careful.startswith("Careful: 1 of 1 answers are to questions that list no incorrect_answers")
    assert careful.endswith("If all correct answers are listed, do this.")
    assert never_wrong_sentence(summary, "do this") == ""


def test_ranks():
    bold = graded(*[("right", None)] * 6, *[("wrong", None)] * 4, model="bold")
    shy = graded(*[("right", None)] * 5, *[("idk", None)] * 5, model="shy")
    both = grade_all([one.given for one in (*bold.answers, *shy.answers)])
    found = rank_ways(both, models_as_given(both), 0.75)
    said = rank_sentence(found)
    assert said.startswith("Binary grading puts “bold” first; at t = 0.75 it is “shy”, ahead of it by 1.10 [")
    assert rank_row(found.ways[0])[:2] == ("shy", "2")
    assert rank_row(found.ways[0])[5:] == ("1", "+0.500", "–", "–", "0")
    assert "This is binary grading itself: “bold” leads" in rank_sentence(
        rank_ways(both, models_as_given(both), 0)
    )
    apart = grade_all([GivenAnswer(str(n), "?", "Paris", ("Paris",), (), None, str(n)) for n in range(2)])
    assert "nobody is ranked" in rank_sentence(rank_ways(apart, models_as_given(apart), 0.5))


def test_numbers():
    assert [signed(value) for value in (-1.5, 0.0, -0.0001, 2)] == ["−1.500", "0.000", "0.000", "+2.000"]
    assert [p_value(p) for p in (None, 0.00001, 0.0123, 1)] == ["–", "< 0.001", "0.012", "1"]
    assert rate(regrade(SOME, 0.75).as_given.accuracy, 0) == "68 % [46, 85] of 19"
