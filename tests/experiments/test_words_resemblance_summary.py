"""Means, comparisons, shares of grades and lengths of a resemblance run, on hand-made records."""

from dataclasses import replace

import numpy as np
import pytest

from hallulab.experiments.words_comparisons import LEVEL
from hallulab.experiments.words_resemblance_summary import CONTROLS, QUANTITIES, summarise_resemblance
from hallulab.scoring.grades import GRADES
from hallulab.theory.bootstrap import bootstrap_interval
from hallulab.theory.intervals import wilson_interval
from hallulab.theory.multiple_tests import holm
from tests.hand_made_resemblance import answer, listed, question, result, twins


def by_name(summary):
    return {one.checkpoint: one for one in summary.checkpoints}


def test_means_by_hand():
    scored = [answer("base", "a", 0.4), answer("base", "b", 0.8, length=15, correct=0.1)]
    known = [
        twins("a", 10, 0.1, 0.3),
        twins("b", 15, 0.3, 0.3),
    ]  # draws of one length are averaged: 0.2 and 0.3
    summary = summarise_resemblance(result(scored, twins=known))
    means = by_name(summary)["base"].means
    assert set(means) == set(QUANTITIES)
    expected = {
        "incorrect": 0.6, "correct": 0.3, "margin": 0.3, "null_incorrect": 0.25, "null_correct": 0.25,
        "excess": 0.35, "length_alone": 0.25, "over_length": 0.35, "n_characters": 12.5, "n_tokens": 6.0,
        "is_ungradable": 1.0, "is_wrong": 0.0,
    }  # fmt: skip
    for name, value in expected.items():
        found = means[name]
        assert found is not None
        assert found.mean == pytest.approx(value), name
        assert found.interval.low <= value <= found.interval.high
        assert found.n == 2
    nothing = by_name(summary)["tuned"]
    assert (nothing.n_answers, nothing.means["incorrect"]) == (0, None)
    assert (nothing.grades["wrong"].share, nothing.grades["wrong"].interval) == (None, None)


def test_without_twins_what_length_gives_is_missing():
    summary = summarise_resemblance(result([answer("base", "a", 0.4), answer("base", "b", 0.8)]))
    means = by_name(summary)["base"].means
    assert (means["length_alone"], means["over_length"]) == (None, None)
    assert all(one.length_alone is None for one in summary.by_length)


def test_differences_are_paired_by_question_and_seed():
    # the tuned model is 0.1 higher on each question it shares with the base; "c" and seed 1 of "b" are not shared
    answers = [
        answer("base", "a", 0.2), answer("base", "a", 0.4, seed=1), answer("base", "b", 0.6),
        answer("base", "b", 0.9, seed=1), answer("base", "c", 0.9),
        answer("tuned", "a", 0.3), answer("tuned", "a", 0.5, seed=1), answer("tuned", "b", 0.7),
    ]  # fmt: skip
    summary = summarise_resemblance(result(answers, n_seeds=2))
    assert by_name(summary)["base"].against_base == {}
    found = by_name(summary)["tuned"].against_base
    assert set(found) == set(QUANTITIES)
    difference = found["incorrect"]
    assert difference is not None
    assert (difference.mean, difference.n) == (pytest.approx(0.1), 2)
    assert difference.p_value == 0.5  # of four sign patterns, ++ and −−
    assert found["length_alone"] is None  # no twins were measured
    # (0.2 + 0.4)/2, (0.6 + 0.9)/2 and 0.9: questions weigh the same, however often they were answered
    base = by_name(summary)["base"].means["incorrect"]
    assert base is not None
    assert base.mean == pytest.approx((0.3 + 0.75 + 0.9) / 3)
    assert base.n == 3


def test_every_comparison_of_a_run_is_corrected_for_all_of_them():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.001, size=(2, 40))
    answers = [
        answer(name, f"q{n}", 0.3 + rise + noise[row % 2, n], correct=0.5 - rise + noise[row // 2, n])
        for row, (name, rise) in enumerate((("base", 0.0), ("tuned", 0.1), ("other", 0.0)))
        for n in range(40)
    ]
    summary = summarise_resemblance(result(answers, names=("base", "tuned", "other")))
    every = [one for row in summary.checkpoints for one in row.against_base.values() if one]
    assert summary.n_compared == len(every) == 2 * (len(QUANTITIES) - 2)  # no twins, so no control of length
    assert [one.p_holm for one in every] == pytest.approx(holm([one.p_value for one in every]).tolist())
    tuned = by_name(summary)["tuned"].against_base
    assert tuned["incorrect"] is not None
    assert tuned["correct"] is not None
    assert tuned["incorrect"].p_holm < LEVEL
    assert tuned["incorrect"].is_rise
    assert tuned["correct"].is_fall
    # no letter of the texts changed
    length = tuned["n_characters"]
    assert length is not None
    assert (length.is_rise, length.is_fall, length.p_holm) == (False, False, 1.0)


def test_grades_are_shares_of_questions_and_compared_with_the_base():
    # each question is answered four times, always in the same way: 20 things, not 80
    answers = [
        answer(name, f"q{n}", 0.5, seed=seed, grade="empty" if n < n_empty else "abstained")
        for name, n_empty in (("base", 6), ("tuned", 14))
        for n in range(20)
        for seed in range(4)
    ]
    summary = summarise_resemblance(result(answers, n_seeds=4))
    base, tuned = summary.checkpoints
    share = base.grades["empty"]
    assert (share.n, share.n_answers, share.share) == (24, 80, 0.3)
    over_questions = bootstrap_interval(np.repeat([1.0, 0.0], [6, 14]), rng=np.random.default_rng(0))
    assert over_questions is not None
    assert share.interval == over_questions.interval
    pooled = wilson_interval(24, 80)
    assert share.interval.high - share.interval.low > 1.7 * (pooled.high - pooled.low)
    # always or never given: a bootstrap would have no width, Wilson's over the 20 questions has
    never, of_20 = base.grades["wrong"].interval, wilson_interval(0, 20)
    assert never is not None
    assert (never.low, never.high) == pytest.approx((of_20.low, of_20.high))
    assert sum(base.grades[grade].n for grade in GRADES) == 80
    more = tuned.against_base["is_empty"]
    assert more is not None
    assert (more.mean, more.n) == (pytest.approx(8 / 20), 20)
    assert more.p_value == pytest.approx(2 / 2**8, rel=0.3)  # eight questions changed, all the same way


def test_an_empty_answer_is_missing_and_counted():
    answers = [answer("base", "a", 0.4), answer("base", "b", None, grade="empty"), answer("tuned", "b", 0.6)]
    summary = by_name(summarise_resemblance(result(answers)))
    base = summary["base"]
    assert (base.n_questions, base.n_answers, base.n_unscored) == (2, 2, 1)
    assert base.means["incorrect"] is not None
    assert (base.means["incorrect"].mean, base.means["incorrect"].n) == (0.4, 1)
    assert base.means["n_characters"] is not None
    assert base.means["n_characters"].mean == 5  # of 10 and 0
    assert base.grades["empty"].share == 0.5
    assert sum(share.n for share in base.grades.values()) == 2
    assert summary["tuned"].against_base["incorrect"] is None  # nothing that both have


def test_without_a_base_nothing_is_compared():
    run = result([answer("tuned", "a", 0.4)])
    alone = summarise_resemblance(replace(run, models=run.models[1:]))
    assert (alone.n_compared, alone.slopes, alone.powers) == (0, {}, ())
    assert by_name(alone)["tuned"].against_base == {}


@pytest.mark.parametrize("variant", ["answer_only", "paper_code"])
def test_the_score_and_what_is_left_of_it_are_followed_over_the_epochs(variant):
    # +0.02 per epoch in the score; the null and what length gives rise by half of it
    answers = [
        answer(name, f"q{n}", 0.3 + 0.02 * epoch + 0.01 * n, null=0.2 + 0.01 * epoch, length=10 + epoch)
        for name, epoch in (("base", 0), ("seed1-epoch2", 2), ("seed1-epoch4", 4))
        for n in range(8)
    ]
    known = [twins(f"q{n}", 10 + epoch, 0.1 + 0.01 * epoch) for n in range(8) for epoch in (0, 2, 4)]
    run = result(answers, names=("base", "seed1-epoch2", "seed1-epoch4"), twins=known, variant=variant)
    slopes = summarise_resemblance(run).slopes
    assert list(slopes) == ["incorrect", CONTROLS[variant]]
    for found, expected in zip(slopes.values(), (0.02, 0.01), strict=True):
        assert found.slope.mean == pytest.approx(expected)
        assert (found.n_trainings, found.slope.n_columns, found.slope.n_rows) == (1, 1, 8)


def test_the_positive_control_needs_every_question_s_listed_answers():
    answers = [answer(name, f"q{n}", 0.3 + 0.01 * n) for name in ("base", "tuned") for n in range(6)]
    asked = [question(f"q{n}") for n in range(6)]
    every = [listed(f"q{n}", "wrong", 1.0) for n in range(6)]
    powers = summarise_resemblance(result(answers, asked=asked, listed=every)).powers
    assert [power.quantity for power in powers] == ["incorrect", "margin", "excess"]
    assert powers[0].change_if_all == pytest.approx(1.0 - 0.325)
    assert (
        powers[0].powers[0] == 0.0
    )  # base and tuned are alike, so nothing is found where nothing is swapped
    assert summarise_resemblance(result(answers, asked=asked, listed=every[1:])).powers == ()


def test_bins_of_length_hold_every_answer_once():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 300, size=200)
    answers = [
        answer(("base", "tuned")[n % 2], f"q{n // 2}", 30 / (30 + length), length=length, null=0.1)
        for n, length in enumerate(lengths.tolist())
    ]
    bins = summarise_resemblance(result(answers)).by_length
    for name in ("base", "tuned"):
        own = [one for one in bins if one.checkpoint == name]
        assert sum(one.incorrect.n for one in own) == 100
        assert all(one.low <= one.mean_characters <= one.high for one in own)
        means = [one.incorrect.mean for one in own]
        assert means == sorted(means, reverse=True)  # a ratio that falls with length
        assert all(one.null_incorrect.mean == pytest.approx(0.1) for one in own)
    assert [one.low for one in own[1:]] == [one.high for one in own[:-1]]


def test_answers_of_one_length_make_one_bin():
    answers = [answer("base", f"q{n}", 0.5) for n in range(5)]
    (only,) = summarise_resemblance(result(answers)).by_length
    assert (only.low, only.incorrect.n, only.mean_characters) == (10, 5, 10)
    assert summarise_resemblance(result([])).by_length == ()


def test_same_records_same_numbers():
    answers = [answer(c, f"q{n}", n / 40, length=n + 1) for c in ("base", "tuned") for n in range(30)]
    assert summarise_resemblance(result(answers)) == summarise_resemblance(result(answers[::-1]))
