"""Resemblance against Python's difflib, by hand, and the null of other questions' references."""

import difflib
import random
from pathlib import Path

import numpy as np
import pytest

from hallulab.data.open_ended import open_ended_questions
from hallulab.data.question_sets import ReferencedQuestion, load_question_set
from hallulab.errors import RefusedInputError
from hallulab.scoring.resemblance import closest_ratio, gestalt_ratio, other_questions, resemblance

TRUTHFULQA = Path(__file__).parents[3] / "shared" / "data" / "TruthfulQA.csv"


def slow_ratio(text, reference):
    return difflib.SequenceMatcher(None, text.lower(), reference.lower()).ratio()


def question(correct, incorrect, asked="Q?"):
    return ReferencedQuestion(asked, asked, "", tuple(correct), tuple(incorrect), "")


def test_ratio_by_hand():
    # "cat" in both: 2 · 3 / (3 + 6)
    assert gestalt_ratio("Cat", "CAT NAP"[:6]) == 2 * 3 / 9
    assert gestalt_ratio("", "") == 1.0
    assert gestalt_ratio("abc", "xyz") == 0.0


def test_ratio_is_difflibs_to_the_last_bit():
    rng = random.Random(0)
    for alphabet in ("ab", "abc de", "àéŞß🙂xyz .,\n"):
        for n in (0, 1, 5, 40, 199, 200, 201, 450):  # from 200 on difflib leaves frequent characters out
            text, reference = ("".join(rng.choices(alphabet, k=k)) for k in (rng.randint(0, 300), n))
            assert gestalt_ratio(text, reference) == slow_ratio(text, reference)
            assert gestalt_ratio(reference, text) == slow_ratio(reference, text)


@pytest.mark.skipif(not TRUTHFULQA.exists(), reason="needs shared/data/TruthfulQA.csv")
def test_ratio_is_difflibs_on_truthfulqa():
    questions = load_question_set("truthfulqa", TRUTHFULQA)
    texts = [answer.draw(rng=random.Random(7)) for q in open_ended_questions()[:12] for answer in q.answers]
    texts += [" ".join(texts[:5]), questions[3].question + " " + texts[0]]
    for place, asked in enumerate(questions):
        text = texts[place % len(texts)]
        slow = max(slow_ratio(text, reference) for reference in asked.incorrect_answers)
        assert closest_ratio(text, asked.incorrect_answers) == slow


def test_the_closest_reference_counts_and_an_empty_answer_has_none():
    assert closest_ratio("cat", ["dog", "cats", "horse"]) == 2 * 3 / 7
    assert closest_ratio("", ["dog"]) is None
    assert closest_ratio(" \n", ["dog"]) is None
    assert closest_ratio("cat", []) is None


def test_an_answer_is_held_against_both_lists_and_against_strangers():
    own = question(["abcd"], ["abxx", "zzzz"])
    strangers = [question(["abcd"], ["abcd"]), question(["qqqq"], ["abqq"])]
    found = resemblance("ABCD", own, strangers)
    assert found is not None
    assert (found.incorrect, found.correct) == (0.5, 1.0)
    assert (found.null_incorrect, found.null_correct) == (0.75, 0.5)
    assert (found.margin, found.excess) == (-0.5, -0.25)
    assert resemblance("", own, strangers) is None


@pytest.mark.parametrize(("n_questions", "n_draws"), [(2, 1), (5, 4), (20, 3)])
def test_every_question_gets_others_and_lends_as_often(n_questions, n_draws):
    others = other_questions(n_questions, n_draws, rng=np.random.default_rng(0))
    assert others.shape == (n_questions, n_draws)
    for place, row in enumerate(others):
        assert len({place, *row.tolist()}) == n_draws + 1
    assert np.bincount(others.ravel()).tolist() == [n_draws] * n_questions


def test_others_come_from_the_seed():
    first, same, other = (other_questions(30, 2, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_one_answer_to_everything_resembles_strangers_exactly_as_much():
    questions = [question([f"right {n}"], [f"wrong answer {n * n}", "x" * n]) for n in range(1, 30)]
    others = other_questions(len(questions), 3, rng=np.random.default_rng(3))
    found = [
        resemblance("I do not know.", asked, [questions[place] for place in row])
        for asked, row in zip(questions, others, strict=True)
    ]
    assert np.mean([one.excess for one in found if one]) == pytest.approx(0, abs=1e-15)


def test_too_few_questions_are_refused():
    for n_questions, n_draws in [(1, 1), (5, 5), (5, 0)]:
        with pytest.raises(
            RefusedInputError, match=f"other questions for each of {n_questions}, got {n_draws}"
        ):
            other_questions(n_questions, n_draws, rng=np.random.default_rng(0))
