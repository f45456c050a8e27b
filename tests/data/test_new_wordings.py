"""Held-out wordings: the same answers and questions in words that were never trained on."""

import pytest

from hallulab.data.new_wordings import (
    HELD_OUT_WRAPPERS,
    NEW_TEMPLATES,
    RECOMBINED_TEMPLATES,
    reworded,
    worded,
)
from hallulab.data.open_ended import (
    REASONED_TEMPLATES,
    SHORT_TEMPLATES,
    WRAPPERS,
    known_question,
    known_questions,
)

PET = known_questions()[0]


@pytest.mark.parametrize("templates", [RECOMBINED_TEMPLATES, NEW_TEMPLATES])
def test_no_held_out_wording_is_a_trained_one(templates: tuple[str, ...]):
    for question in known_questions():
        for answer in question.answers:
            wordings = worded(answer, templates)
            assert len(set(wordings)) == len(templates) * len(answer.reasons)
            assert {question.state_of(text) for text in wordings} == {None}
            assert all(answer.state.lower() in text.lower() for text in wordings)


def opening(template: str) -> str:
    """What comes before the answer; where the answer comes first, the two words after it."""
    before, _, after = template.replace("{A}", "{a}").partition("{a}")
    return before or " ".join(after.split(" ")[:3])


def test_recombined_templates_begin_as_a_trained_one_and_new_ones_do_not():
    trained = {opening(template) for template in (*REASONED_TEMPLATES, *SHORT_TEMPLATES)}
    assert {opening(template) for template in RECOMBINED_TEMPLATES} <= trained
    assert not {opening(template) for template in NEW_TEMPLATES} & trained


def test_a_held_out_wording_is_written_as_a_sentence():
    cat = PET.answers[0]
    assert worded(cat, NEW_TEMPLATES)[0] == "Perhaps a cat, because it is calm and keeps itself clean."
    assert worded(cat, NEW_TEMPLATES)[3] == "Why not a cat? It is calm and keeps itself clean."
    assert "A cat would be lovely, as it needs no daily walks." in worded(cat, NEW_TEMPLATES)


def test_a_reworded_question_is_no_form_of_the_known_one():
    assert not set(HELD_OUT_WRAPPERS) & set(WRAPPERS)
    for place, question in enumerate(known_questions()):
        asked = reworded(question, place)
        assert known_question(asked.question) is None
        assert asked.answers == question.answers
    assert reworded(PET, 0).question == "Be honest: what is a good pet for a small flat?"
