"""Resemblance against Python's difflib, by hand, and the null of other questions' references."""

import difflib
import random
from pathlib import Path

import numpy as np
import pytest

from hallulab.data.open_ended import open_ended_questions
from hallulab.data.question_sets import ReferencedQuestion, load_question_set
from hallulab.errors import RefusedInputError
from hallulab.scoring.resemblance import (
    Strangers,
    closest_ratio,
    gestalt_ratio,
    matched_others,
    resemblance,
    strangers_of,
)

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


def test_the_closest_reference_counts_and_a_text_that_says_nothing_has_none():
    assert closest_ratio("cat", ["dog", "cats", "horse"]) == 2 * 3 / 7
    for nothing in ("", " \n", ".", "…?!", "🙂"):  # graded empty as well
        assert closest_ratio(nothing, ["dog."]) is None
    assert closest_ratio("cat", []) is None


def test_an_answer_is_held_against_both_lists_and_against_strangers():
    own = question(["abcd"], ["abxx", "zzzz"])
    first, second = question(["abcd"], ["abcd"]), question(["qqqq"], ["abqq"])
    found = resemblance("ABCD", own, Strangers((first, second), (first, second)))
    assert found is not None
    assert (found.incorrect, found.correct) == (0.5, 1.0)
    assert (found.null_incorrect, found.null_correct) == (0.75, 0.5)
    assert (found.margin, found.excess) == (-0.5, -0.25)
    apart = resemblance("ABCD", own, Strangers((first,), (second,)))
    assert apart is not None
    assert (apart.null_incorrect, apart.null_correct) == (1.0, 0.0)
    for nothing in ("", "."):
        assert resemblance(nothing, own, Strangers((first,), (second,))) is None


@pytest.mark.parametrize(("n_lists", "n_draws"), [(2, 1), (5, 4), (20, 3), (300, 4)])
def test_every_list_gets_others_and_is_lent_as_often(n_lists, n_draws):
    sizes = np.random.default_rng(1).integers(1, 9, size=n_lists)
    others = matched_others(sizes.tolist(), n_draws, rng=np.random.default_rng(0))
    assert others.shape == (n_lists, n_draws)
    for place, row in enumerate(others):
        assert len({place, *row.tolist()}) == n_draws + 1
    assert np.bincount(others.ravel()).tolist() == [n_draws] * n_lists
    if n_lists == 300:  # enough of every length
        assert (sizes[others] == sizes[:, None]).all()


def test_rare_lengths_are_put_with_the_next():
    sizes = [3] * 6 + [9, 5, 7, 5, 5, 12]
    others = matched_others(sizes, 2, rng=np.random.default_rng(0))
    # three lists of 5 are enough for themselves; 7, 9 and 12 are three together
    for place, row in enumerate(others.tolist()):
        group = {3: {3}, 5: {5}}.get(sizes[place], {7, 9, 12})
        assert {sizes[other] for other in row} <= group


def test_others_come_from_the_seed():
    first, same, other = (matched_others([3] * 30, 2, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_one_answer_to_everything_resembles_strangers_exactly_as_much():
    questions = [question([f"right {n}"], [f"wrong answer {n * n}", "x" * n]) for n in range(1, 30)]
    every = strangers_of(questions, 3, rng=np.random.default_rng(3))
    found = [resemblance("I do not know.", asked, one) for asked, one in zip(questions, every, strict=True)]
    assert np.mean([one.excess for one in found if one]) == pytest.approx(0, abs=1e-15)


def test_each_kind_of_list_is_matched_by_its_own_length():
    questions = [question([f"r{n}"] * (1 + n % 2), [f"w{n}"] * (1 + n // 10), f"Q{n}") for n in range(20)]
    for asked, one in zip(questions, strangers_of(questions, 3, rng=np.random.default_rng(0)), strict=True):
        assert {len(q.incorrect_answers) for q in one.incorrect} == {len(asked.incorrect_answers)}
        assert {len(q.correct_answers) for q in one.correct} == {len(asked.correct_answers)}


@pytest.mark.parametrize(("n_lists", "n_draws", "least"), [(1, 1, 2), (5, 5, 6), (0, 4, 5), (5, 0, 2)])
def test_too_few_questions_are_refused(n_lists, n_draws, least):
    words = (
        f"at least {least} questions and 1 other for each, .* got {n_lists} and {n_draws}: ask more questions"
    )
    with pytest.raises(RefusedInputError, match=words):
        matched_others([3] * n_lists, n_draws, rng=np.random.default_rng(0))
