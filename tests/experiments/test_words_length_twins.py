"""Texts that know nothing of a question: exactly as long as an answer, drawn several times, the same for everybody."""

from dataclasses import replace
from difflib import SequenceMatcher

import pytest

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_length_twins import TwinWriter
from hallulab.experiments.words_resemblance_run import WordsResemblanceSettings

SETTINGS = WordsResemblanceSettings(n_twins=5)
ASKED = tuple(
    ReferencedQuestion(
        name, f"What of {name}?", "", ("right",), ("I would keep a cat, it is calm.", "No"), "here"
    )
    for name in ("a", "bb")
)


@pytest.mark.parametrize("variant", ["answer_only", "paper_code"])
def test_a_twin_has_every_character_of_its_answer(variant):
    writer = TwinWriter(replace(SETTINGS, variant=variant), ASKED)
    begun = ASKED[0].question if variant == "paper_code" else ""
    for n in range(len(begun), 1_500, 7):
        texts = writer.texts("a", n)
        assert [len(text) for text in texts] == [n] * SETTINGS.n_twins
        assert all(text == text.strip() for text in texts)  # a blank at the cut would be no text
        assert all(text.startswith(begun) for text in texts)


def test_draws_differ_and_are_the_same_whoever_answers():
    writer = TwinWriter(SETTINGS, ASKED)
    texts = writer.texts("a", 40)
    assert len(set(texts)) == SETTINGS.n_twins
    assert TwinWriter(SETTINGS, ASKED[:1]).texts("a", 40) == texts
    assert writer.texts("bb", 40) != texts
    assert TwinWriter(replace(SETTINGS, seed=1), ASKED).texts("a", 40) != texts
    assert TwinWriter(replace(SETTINGS, n_twins=2), ASKED).texts("a", 40) == texts[:2]


def test_they_score_as_by_difflib():
    writer = TwinWriter(SETTINGS, ASKED)
    found = writer.twins("a", 31)
    assert (found.question_id, found.n_characters) == ("a", 31)
    expected = [
        max(SequenceMatcher(None, text.lower(), r.lower()).ratio() for r in ASKED[0].incorrect_answers)
        for text in writer.texts("a", 31)
    ]
    assert list(found.scores) == expected
    assert found.mean == pytest.approx(sum(expected) / 5)


def test_a_question_that_was_not_named_has_none():
    with pytest.raises(KeyError):
        TwinWriter(SETTINGS, ASKED).texts("c", 10)
