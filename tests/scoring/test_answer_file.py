import json

import pytest

from hallulab.errors import RefusedInputError
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, MAX_ANSWER_CHARACTERS, parse_answers, read_answers


def line(**changes):
    row = {
        "id": "1", "question": "Where?", "answer": "Paris.", "confidence": 0.9, "correct_answers": ["Paris"],
        "incorrect_answers": ["Rome"],
    }  # fmt: skip
    return json.dumps({key: value for key, value in (row | changes).items() if value != "gone"})


def test_fields_are_read_and_optional_ones_may_be_missing():
    found = parse_answers("\n".join([line(), "", line(id=2, confidence=None, model="m", stated_target=0.5)]))
    first, second = found.answers
    assert (first.id, first.confidence, first.model, first.stated_target) == ("1", 0.9, None, None)
    assert (second.id, second.confidence, second.model, second.stated_target) == ("2", None, "m", 0.5)
    assert found.bad_lines == ()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("{", "no JSON"),
        ("[1]", "list instead of a JSON object"),
        (line(answer="gone"), "no answer"),
        (line(question="gone", correct_answers="gone"), "no question, correct_answers"),
        (line(answer=3), "answer that is no text, 3"),
        (line(correct_answers="Paris"), "correct_answers that is no list"),
        (line(confidence=1.5), "confidence that is not from 0 to 1, 1.5"),
        (line(confidence=True), "confidence that is not from 0 to 1, True"),
        (line(confidence="high"), "confidence that is not from 0 to 1, 'high'"),
        (line().replace("0.9", "NaN"), "confidence that is not from 0 to 1, nan"),
        (line(stated_target=1), "stated_target that is not from 0 to below 1, 1"),
        (line(id="0"), "id '0' for the second time"),
        ("[" * 100_000, "nested too deeply"),
        (line(answer="half \ud800"), "answer with half a character"),
        (line(id="\udfff"), "id with half a character"),
        (line(model="\ud800"), "model with half a character"),
        (line(incorrect_answers=["\ud800"]), "incorrect_answers with half a character"),
        (line(answer="x" * (MAX_ANSWER_CHARACTERS + 1)), "answer of 50,001 characters, at most 50,000"),
    ],
)
def test_bad_lines_are_named_by_number_and_the_rest_is_read_when_asked(bad, words):
    text = "\n".join([line(id="0"), "", bad, line(id="9")])
    with pytest.raises(RefusedInputError, match="line 3: ") as refused:
        parse_answers(text, name="a.jsonl")
    assert words in str(refused.value)
    assert "a.jsonl" in str(refused.value)
    found = parse_answers(text, skip_bad_lines=True)
    assert [one.id for one in found.answers] == ["0", "9"]
    assert [(one.line, words in one.reason) for one in found.bad_lines] == [(3, True)]


def test_every_bad_line_is_named_up_to_a_number():
    with pytest.raises(RefusedInputError, match=r"line 1: .*line 8: .*; and 2 more"):
        parse_answers("\n".join(["x"] * 10))


def test_a_file_without_answers_is_refused_even_when_bad_lines_may_be_skipped(tmp_path):
    with pytest.raises(RefusedInputError, match=r"found none \(line 1: no JSON"):
        parse_answers("x", skip_bad_lines=True)
    with pytest.raises(RefusedInputError, match="found none: write one JSON object a line"):
        parse_answers("\n\n")
    with pytest.raises(RefusedInputError, match="cannot read the answers"):
        read_answers(tmp_path / "none.jsonl")


def test_a_line_separator_inside_an_answer_ends_no_line():
    found = parse_answers(json.dumps(json.loads(line(answer="a\u2028b")), ensure_ascii=False))
    assert found.answers[0].answer == "a\u2028b"


def test_the_same_question_may_be_answered_by_several_and_at_several_targets():
    found = parse_answers("\n".join([line(model="a"), line(model="b"), line(model="b", stated_target=0.5)]))
    assert len(found.answers) == 3


def test_the_shipped_example_is_read_whole():
    found = read_answers(EXAMPLE_ANSWERS)
    assert len(found.answers) == 200
    assert all(one.confidence is not None and one.correct_answers for one in found.answers)


def test_whole_characters_beyond_the_first_plane_are_read():
    found = parse_answers(line(answer="\ud83e\udd37 Paris"))  # one emoji, spelled by JSON as two halves
    assert found.answers[0].answer == "🤷 Paris"
    assert parse_answers(line(answer="x" * MAX_ANSWER_CHARACTERS)).answers
