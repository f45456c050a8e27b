"""The answers that test verdicts: which sources a question has, and what counts as an acceptable answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hallulab.experiments.words_verdicts import chosen_questions
from hallulab.experiments.words_verdicts_answers import (
    TESTS_OF_KNOWN,
    TESTS_OF_UNKNOWN,
    ChosenQuestion,
    judged_test_answers,
)
from hallulab.experiments.words_verdicts_run import JudgedAnswers, WordsVerdictsSettings
from hallulab.models.qwen import LoadedQwen, load_qwen

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "qwen-mini"
QUICK = WordsVerdictsSettings(n_known=1, n_reworded=0, n_unknown=1, n_genuine=20, n_tested=5)


@pytest.fixture(scope="module")
def scorer() -> LoadedQwen:
    return load_qwen(SHIPPED, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
def chosen() -> tuple[ChosenQuestion, ChosenQuestion]:
    known, unknown = chosen_questions(QUICK)
    return known, unknown


def by_source(scorer: LoadedQwen, item: ChosenQuestion) -> dict[str, JudgedAnswers]:
    return {answers.source: answers for answers in judged_test_answers(scorer, item, QUICK)}


def test_a_known_question_is_tested_with_every_kind_of_wrong_answer(scorer: LoadedQwen, chosen):
    known, _ = chosen
    tests = by_source(scorer, known)
    assert sorted(tests) == sorted(TESTS_OF_KNOWN)
    for source in ("spliced", "blended", "another question's"):
        assert len(tests[source].texts) == 10
        assert not tests[source].is_right.any()
    assert tests["fresh genuine"].states_written == tests["fresh genuine"].states_meant
    assert tests["unhinted genuine"].is_right.all()
    assert tests["unhinted genuine"].n_drawn == 40
    # right, but the small world's truth is its own wordings
    assert set(tests["new wording"].states_meant) == set(known.question.states)
    for answers in tests.values():
        assert answers.densities.shape == (len(answers.texts), 2)
        assert np.isfinite(answers.unhinted).all()


def test_an_unknown_question_is_tested_with_what_is_written_about_it(scorer: LoadedQwen, chosen):
    _, unknown = chosen
    tests = by_source(scorer, unknown)
    assert sorted(tests) == sorted(TESTS_OF_UNKNOWN)
    assert tests["acceptable"].texts == tuple(answer.written for answer in unknown.question.answers)
    assert tests["acceptable"].states_written == unknown.question.states
    for source in ("spliced", "another question's"):
        assert 0 < len(tests[source].texts) <= 2
        assert not tests[source].is_right.any()


def test_a_model_with_words_of_its_own_is_judged_by_the_words_of_its_hints(scorer: LoadedQwen, chosen):
    known, _ = chosen
    strict, free = by_source(scorer, known), by_source(replace(scorer, name="another"), known)
    # the same drawn texts; by the looser rule at least as many of them are genuine
    for source in ("fresh genuine", "unhinted genuine"):
        assert set(strict[source].texts) <= set(free[source].texts)
    wild = free["high temperature"]
    assert wild.texts == strict["high temperature"].texts
    named = [any(s.split()[-1] in text.lower() for s in known.question.states) for text in wild.texts]
    assert all(is_named for is_named, is_right in zip(named, wild.is_right, strict=True) if is_right)
