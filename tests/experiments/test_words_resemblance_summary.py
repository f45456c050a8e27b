"""Means, paired differences and lengths of a resemblance run, on hand-made records."""

from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np
import pytest

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_resemblance_run import (
    AnsweringModel,
    LengthAlone,
    QuestionsUsed,
    ResemblanceResult,
    ScoredAnswer,
    WordsResemblanceSettings,
)
from hallulab.experiments.words_resemblance_summary import COMPARED, QUANTITIES, summarise_resemblance
from hallulab.experiments.words_resemblance_twins import LengthTwins
from hallulab.scoring.grades import Grade
from hallulab.scoring.resemblance import Resemblance


def answer(
    checkpoint, question, incorrect, *, seed=0, length=10, correct=0.5, null=0.25, grade: Grade = "ungradable"
):
    found = None if incorrect is None else Resemblance(incorrect, correct, null, null)
    text = "" if incorrect is None else "x" * length
    return ScoredAnswer(checkpoint, seed, question, text, text, len(text) // 2, True, found, grade, "rule")


def result(answers, n_seeds=1, curve=()):
    models = (AnsweringModel("base", "m", "1", True), AnsweringModel("tuned", "m + tuned", "2", False))
    used = QuestionsUsed("here", len({a.question_id for a in answers}), "sha")
    return ResemblanceResult(
        WordsResemblanceSettings(n_seeds=n_seeds), used, models, tuple(answers), tuple(curve)
    )


def by_name(summary):
    return {one.checkpoint: one for one in summary.checkpoints}


def test_means_by_hand():
    curve = (LengthAlone(10, 0.2, 0.3, 3), LengthAlone(20, 0.4, 0.3, 3))
    summary = summarise_resemblance(
        result([answer("base", "a", 0.4), answer("base", "b", 0.8, length=15, correct=0.1)], curve=curve)
    )
    means = by_name(summary)["base"].means
    assert set(means) == set(QUANTITIES)
    expected = {
        "incorrect": 0.6, "correct": 0.3, "margin": 0.3, "null_incorrect": 0.25, "null_correct": 0.25,
        "excess": 0.35, "length_alone": 0.25, "over_length": 0.35, "n_characters": 12.5, "n_tokens": 6.0,
    }  # fmt: skip
    for name, value in expected.items():
        found = means[name]
        assert found is not None
        assert found.mean == pytest.approx(value), name
        assert found.interval.low <= value <= found.interval.high
        assert found.n == 2
    assert summary.length_alone == curve
    nothing = by_name(summary)["tuned"]
    assert (nothing.n_answers, nothing.means["incorrect"], nothing.grades["wrong"].share) == (0, None, None)


def test_length_alone_is_that_of_a_text_as_long_that_knows_nothing():
    asked = tuple(
        ReferencedQuestion(
            name, f"What of {name}?", "", ("right",), ("I would keep a cat, it is calm.", "No"), "here"
        )
        for name in ("a", "b")
    )
    for variant in ("answer_only", "paper_code"):
        settings = WordsResemblanceSettings(variant=variant)
        twins = LengthTwins(settings, asked)
        answers = [answer("base", "a", 0.4, length=31), answer("base", "b", 0.8, length=12)]
        found = replace(result(answers), settings=settings, asked=asked)
        expected = []
        for one, question in zip(answers, asked, strict=True):
            n_own = one.n_characters - (len(question.question) + 1) * (variant == "paper_code")
            text = twins.text(question.id, max(0, n_own))
            assert text.startswith(question.question) == (variant == "paper_code")
            assert len(text) in (one.n_characters, one.n_characters - 1)  # a blank at the cut is no text
            ratios = [
                SequenceMatcher(None, text.lower(), r.lower()).ratio() for r in question.incorrect_answers
            ]
            expected.append(max(ratios))
        means = by_name(summarise_resemblance(found))["base"].means
        measured = [one.mean for name in ("length_alone", "over_length") if (one := means[name])]
        assert measured == pytest.approx([np.mean(expected), 0.6 - np.mean(expected)])


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
    assert set(found) == set(COMPARED)
    difference = found["incorrect"]
    assert difference is not None
    assert (difference.mean, difference.n) == (pytest.approx(0.1), 2)
    assert difference.p_value == 0.5  # of four sign patterns, ++ and −−
    assert found["length_alone"] is None  # no curve was measured
    assert summary.n_compared == 5
    # (0.2 + 0.4)/2, (0.6 + 0.9)/2 and 0.9: questions weigh the same, however often they were answered
    base = by_name(summary)["base"].means["incorrect"]
    assert base is not None
    assert base.mean == pytest.approx((0.3 + 0.75 + 0.9) / 3)
    assert base.n == 3


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
    assert base.grades["empty"].interval is not None
    assert sum(share.n for share in base.grades.values()) == 2
    assert summary["tuned"].against_base["incorrect"] is None  # nothing that both have


def test_without_a_base_nothing_is_compared():
    run = result([answer("tuned", "a", 0.4)])
    alone = ResemblanceResult(run.settings, run.questions, run.models[1:], run.answers, ())
    summary = summarise_resemblance(alone)
    assert (summary.n_compared, by_name(summary)["tuned"].against_base) == (0, {})


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
