"""The tables of a run of text verdicts, against hand calculations."""

import json

import pytest

from hallulab.experiments.words_verdicts_summary import summarise_verdicts
from hallulab.records import as_plain
from hallulab.theory.regions import conformal_threshold, percentile_threshold
from tests.hand_made_verdicts import frame, judged, result

UNHINTED = [("x", 0, 0, -k) for k in range(1, 11)]
"""ten genuine answers without a hint, of −1 to −10 nats"""


def summary_of(frames, answers, checkpoints=(), rule="percentile", **changed):
    return summarise_verdicts(result(frames, answers, checkpoints, **changed), rule=rule)


# at 90 % of −1 … −100 the percentile threshold is −90.1: the 10th smallest value, −91, is out
IN, OUT = -90, -91


def test_the_hand_calculated_threshold_is_the_rule_s():
    sample = [-float(k) for k in range(1, 101)]
    assert percentile_threshold(sample, 0.9) == pytest.approx(-90.1)
    assert conformal_threshold(sample, 0.9) == -91  # ⌊0.1 · 101⌋ = 10th smallest


def test_a_checkpoint_s_rate_counts_answers_outside_every_region():
    answers = [
        judged(
            "q1", "base", ("x", IN, OUT, -1), ("y", OUT, IN, -1), (None, OUT, OUT, -1), ("x", IN, OUT, -1)
        ),
        judged("q1", "tuned", (None, OUT, OUT, -1), ("y", OUT, OUT, -1), (None, IN, OUT, -1)),
    ]
    frames = [
        frame("q1"),
        frame("q2", reason="no verdict"),
        frame("q3", group="reworded", reason="no verdict"),
    ]
    base, tuned = summary_of(frames, answers, [("base", None), ("tuned", 0.4)]).checkpoints
    assert (base.hallucination_rate.n_true, base.hallucination_rate.n) == (1, 4)
    assert (base.n_questions, base.n_withheld) == (1, 1)
    assert base.more_than_base is None
    assert (base.wrong.n_true, base.wrong.n) == (1, 4)
    assert base.auroc.value == 1.0
    assert tuned.training_loss == 0.4
    assert tuned.hallucination_rate.value == pytest.approx(2 / 3)
    # of two wrong answers one is found; the only right one is called a hallucination
    assert (tuned.outside_of_wrong.n_true, tuned.outside_of_wrong.n) == (1, 2)
    assert (tuned.outside_of_right.n_true, tuned.outside_of_right.n) == (1, 1)
    assert tuned.more_than_base.mean == pytest.approx(2 / 3 - 1 / 4)
    low, high = tuned.hallucination_rate.interval.low, tuned.hallucination_rate.interval.high
    assert low < 2 / 3 < high


def test_empty_answers_are_counted_apart_and_not_judged():
    answers = [
        judged("q1", "base", ("x", IN, IN, -1), n_drawn=3, n_empty=2),
        judged("q2", "base", n_drawn=2, n_empty=2),
    ]
    (base,) = summary_of([frame("q1"), frame("q2")], answers, [("base", None)]).checkpoints
    assert (base.n_empty, base.hallucination_rate.n, base.n_questions) == (4, 1, 1)


def test_a_checkpoint_without_answers_has_no_rate_and_no_interval():
    (base,) = summary_of([frame("q1", reason="no verdict")], [], [("base", None)]).checkpoints
    assert base.hallucination_rate.value is None
    assert base.hallucination_rate.interval is None


def test_more_than_base_pairs_questions():
    rows_base = [("x", IN, IN, -1), ("x", OUT, OUT, -1)]
    answers = [
        judged("q1", "base", *rows_base),
        judged("q2", "base", *rows_base),
        judged("q1", "tuned", ("x", OUT, OUT, -1)),
        judged("q2", "tuned", ("x", OUT, OUT, -1)),
        judged("q3", "tuned", ("x", OUT, OUT, -1)),
    ]
    checkpoints = [("base", None), ("tuned", 0.1)]
    _, tuned = summary_of([frame("q1"), frame("q2"), frame("q3")], answers, checkpoints).checkpoints
    assert (tuned.more_than_base.mean, tuned.more_than_base.n) == (0.5, 2)


def test_coverage_is_of_the_own_region_by_rule_and_number_of_samples():
    fresh = judged("q", "fresh genuine", ("x", IN, OUT, -1), ("x", OUT, IN, -1), ("y", OUT, OUT, -1))
    rows = {(r.rule, r.n_behind): r for r in summary_of([frame("q")], [fresh]).coverage}
    assert {n for _, n in rows} == {32, 64, 100}
    row = rows["percentile", 100]
    assert (row.questions, row.answers) == ("known", "fresh genuine")
    assert (row.own_region.n_true, row.own_region.n) == (1, 3)
    assert (row.any_region.n_true, row.any_region.n) == (2, 3)
    # with the first 32 samples, −1 … −32, everything here is outside
    assert rows["percentile", 32].any_region.n_true == 0


def test_coverage_of_reworded_questions_and_of_held_out_wordings_is_apart():
    answers = [
        judged("q", "fresh genuine", ("x", IN, OUT, -1)),
        judged("r", "fresh genuine", ("x", OUT, OUT, -1)),
        judged("q", "new wording", (None, OUT, OUT, -1), (None, IN, IN, -1), meant=("x", "y")),
    ]
    rows = summary_of([frame("q"), frame("r", group="reworded")], answers).coverage
    found = {
        (r.questions, r.answers): r.own_region.value
        for r in rows
        if (r.rule, r.n_behind) == ("percentile", 100)
    }
    assert found == {
        ("known", "fresh genuine"): 1.0,
        ("reworded", "fresh genuine"): 0.0,
        ("known", "new wording"): 0.5,
    }


def test_detection_leaves_out_what_is_acceptable_by_chance():
    answers = [
        judged("q", "fresh genuine", ("x", -1, OUT, -1), ("y", OUT, -50, -2)),
        judged("q", "unhinted genuine", *UNHINTED),
        judged("q", "new wording", (None, -95, -95, -5), meant=("x",)),
        judged("q", "high temperature", (None, -60, OUT, -3), (None, -97, -97, -9), ("x", -1, OUT, -1)),
    ]
    rows = {row.source: row for row in summary_of([frame("q")], answers).detection}
    wild = rows["high temperature"]
    assert (wild.n_acceptable, wild.outside.n_true, wild.outside.n) == (1, 1, 2)
    # margins 89.1 and 40.1 against 30.1 and −6.9; held out −4.9 beats only the second
    assert wild.auroc.value == 1.0
    assert wild.auroc_held_out["new wording"].value == 0.5
    assert wild.auroc_held_out["recombined wording"] is None
    assert wild.auroc_plain.value == 1.0
    assert rows["spliced"].auroc is None
    assert rows["spliced"].outside.value is None


def test_hints_pay_where_plain_likelihood_misses_the_rare_cause():
    # plain: 90 % of −1 … −10 lies above −9.1, so an answer of −20 nats is out however likely its hint makes it
    answers = [
        judged("even", "fresh genuine", ("x", -1, OUT, -1), ("y", OUT, -1, -2)),
        judged("even", "unhinted genuine", *UNHINTED),
        judged("even", "spliced", (None, OUT, OUT, -30)),
        judged("uneven", "fresh genuine", ("x", -1, OUT, -1), ("y", OUT, -1, -20)),
        judged("uneven", "unhinted genuine", *UNHINTED),
        judged("uneven", "spliced", (None, OUT, OUT, -15)),
    ]
    rows = summary_of([frame("even"), frame("uneven", weights=(0.1, 0.9))], answers).hints
    table = {(r.causes, r.answers): r for r in rows}
    assert list(table) == [("50/50", "every"), ("90/10", "every"), ("90/10", "frequent"), ("90/10", "rare")]
    assert table["50/50", "every"].inside_plain.value == 1
    # y has weight 0.9 here: x, of −1 nats without a hint, is the rare one
    assert table["90/10", "frequent"].inside_hinted.value == 1
    assert table["90/10", "frequent"].inside_plain.value == 0
    assert table["90/10", "frequent"].gain.mean == 1
    assert table["90/10", "frequent"].auroc_plain.value == 0
    assert table["90/10", "frequent"].auroc_hinted.value == 1
    assert table["90/10", "rare"].inside_plain.value == 1
    assert table["90/10", "every"].inside_plain.value == 0.5


def test_slack_lets_answers_in_that_are_that_far_below():
    answers = [
        judged("q", "fresh genuine", ("x", -91, OUT, -1)),
        judged("q", "unhinted genuine", *UNHINTED),
        judged("q", "spliced", (None, -93, -99, -1)),
    ]
    rows = {row.slack_nats: row for row in summary_of([frame("q")], answers).slack}
    # 0.9 and 2.9 nats below the threshold of −90.1
    assert [rows[s].fresh_inside.value for s in (0.0, 1.0)] == [0, 1]
    assert [rows[s].wrong_inside["spliced"].value for s in (0.0, 2.0, 3.0)] == [0, 0, 1]


def test_verdicts_on_unknown_questions_are_counted_and_checked():
    frames = [
        frame("known"),
        frame("known, refused", reason="no verdict"),
        frame("refused", group="unknown", reason="no verdict"),
        frame("given", group="unknown"),
    ]
    answers = [
        judged("given", "acceptable", ("x", IN, OUT, -1), ("y", OUT, OUT, -1)),
        judged("given", "another question's", (None, IN, OUT, -1), (None, OUT, OUT, -1)),
        judged("known", "spliced", (None, IN, IN, -1)),
    ]
    known, _, unknown = summary_of(frames, answers).questions
    assert (known.withheld.n_true, known.withheld.n, known.wrong_verdicts.n) == (1, 2, 0)
    assert (unknown.withheld.n_true, unknown.withheld.n) == (1, 2)
    # one acceptable answer called a hallucination, one foreign answer let in, of four
    assert (unknown.wrong_verdicts.n_true, unknown.wrong_verdicts.n) == (2, 4)


def test_the_summary_is_json():
    summary = summary_of([frame("q")], [judged("q", "base", ("x", IN, OUT, -1))], [("base", None)])
    record = json.loads(json.dumps(as_plain(summary.to_json())))
    assert record["checkpoints"][0]["hallucination_rate"] == {
        "n_true": 0, "n": 1, "value": 0.0, "interval": record["checkpoints"][0]["hallucination_rate"]["interval"],
    }  # fmt: skip
    assert record["hints"] == []
