import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hallulab.data.question_sets import (
    MISCONCEPTIONS_FILE,
    ReferencedQuestion,
    load_question_set,
    question_set_sha256,
)
from hallulab.errors import HallulabError, RefusedInputError

TRUTHFULQA = Path(__file__).parents[3] / "shared" / "data" / "TruthfulQA.csv"
COLUMNS = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]
ROWS = [
    [
        "Adversarial",
        "Law",
        "Is it so? ",
        "No",
        "No; It is not. ; ;No",
        "Yes; It's so in the U.S.",
        "somewhere",
    ],
    ["Adversarial", "Food", "What, then?", "Nothing", "Nothing", "All of it; “Most”, they say", "elsewhere"],
]


def write_csv(path, columns=COLUMNS, rows=ROWS, encoding="utf-8-sig"):
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def write_lines(path, *lines):
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def line(**changed):
    return json.dumps(
        {"question": "Q?", "category": "c", "correct_answers": ["a"], "incorrect_answers": ["b"]} | changed
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_becomes_questions_whose_references_keep_their_text(tmp_path, encoding):
    first, second = load_question_set("truthfulqa", write_csv(tmp_path / "t.csv", encoding=encoding))
    assert first == ReferencedQuestion(
        "truthfulqa-0001", "Is it so?", "Law", ("No", "It is not."), ("Yes", "It's so in the U.S."), "t.csv"
    )
    assert second.incorrect_answers == ("All of it", "“Most”, they say")
    assert (second.id, second.category) == ("truthfulqa-0002", "Food")


@pytest.mark.skipif(not TRUTHFULQA.exists(), reason="needs shared/data/TruthfulQA.csv")
def test_truthfulqa_is_whole():
    questions = load_question_set("truthfulqa", TRUTHFULQA)
    assert len(questions) == len({q.id for q in questions}) == len({q.question for q in questions}) == 817
    with TRUTHFULQA.open(encoding="utf-8-sig", newline="") as file:
        for question, row in zip(questions, csv.DictReader(file), strict=True):
            written = row["Correct Answers"].split(";") + row["Incorrect Answers"].split(";")
            kept = [*question.correct_answers, *question.incorrect_answers]
            # every reference is a piece of the cell, letter by letter, its final period or lack of one included
            assert set(kept) == {text.strip() for text in written} - {""}
            assert row["Best Answer"].strip() in question.correct_answers
    assert any(a.endswith(".") for q in questions for a in q.incorrect_answers)
    assert any(not a.endswith(".") for q in questions for a in q.incorrect_answers)


def test_the_hub_gives_the_same_questions_as_the_csv(tmp_path, monkeypatch):
    asked = []

    def load_dataset(*arguments, **options):
        asked.append((arguments, options))
        return [
            {"category": "Law", "question": "Is it so?", "best_answer": "No", "type": "Adversarial",
             "correct_answers": ["No", "It is not."], "incorrect_answers": ["Yes", "It's so in the U.S."]},
            {"category": "Food", "question": "What, then?", "correct_answers": ["Nothing"],
             "incorrect_answers": ["All of it", "“Most”, they say"]},
        ]  # fmt: skip

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    from_hub = load_question_set("truthfulqa")
    assert asked == [(("truthfulqa/truthful_qa", "generation"), {"split": "validation"})]
    from_csv = load_question_set("truthfulqa", write_csv(tmp_path / "t.csv"))
    assert question_set_sha256(from_hub) == question_set_sha256(from_csv)
    assert {q.source for q in from_hub} == {"truthfulqa/truthful_qa"}


def test_a_hub_out_of_reach_says_what_to_do(monkeypatch):
    def load_dataset(*_, **__):
        raise ConnectionError("Couldn't reach 'truthfulqa/truthful_qa' on the Hub (LocalEntryNotFoundError)")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(
        HallulabError,
        match="cannot get TruthfulQA from the Hub .Couldn't reach .*: connect .* HALLULAB_TRUTHFULQA",
    ):
        load_question_set("truthfulqa")


@pytest.mark.skipif(not MISCONCEPTIONS_FILE.exists(), reason="written beside this")
def test_the_shipped_misconceptions_need_no_path():
    questions = load_question_set("misconceptions")
    assert len(questions) >= 60
    assert questions == load_question_set("misconceptions", MISCONCEPTIONS_FILE)


def test_lines_keep_their_own_ids(tmp_path):
    two_lines = json.dumps(
        json.loads(line(question="R\u2028?")), ensure_ascii=False
    )  # but one line of the file
    path = write_lines(tmp_path / "q.jsonl", line(id="moon"), "", two_lines)
    assert [q.id for q in load_question_set("misconceptions", path)] == ["moon", "question-0002"]


def test_the_hash_knows_every_reference_and_the_order(tmp_path):
    questions = load_question_set("truthfulqa", write_csv(tmp_path / "t.csv"))
    changed = write_csv(tmp_path / "u.csv", rows=[ROWS[0], [*ROWS[1][:5], "All of it", "elsewhere"]])
    others = (questions[::-1], questions[:1], load_question_set("truthfulqa", changed))
    assert len({question_set_sha256(q) for q in (questions, *others)}) == 4


def test_missing_columns_and_empty_rows_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    columns = ["Type", "Category", "Question", "Best Answer", "Right", "Wrong", "Source"]
    with pytest.raises(
        RefusedInputError, match="has no Correct Answers, Incorrect Answers: use the TruthfulQA.csv"
    ):
        load_question_set("truthfulqa", write_csv(path, columns))
    with pytest.raises(RefusedInputError, match="has no Category, Question, "):
        load_question_set("truthfulqa", write_lines(path, ""))
    with pytest.raises(RefusedInputError, match="expected questions in t.csv, found none"):
        load_question_set("truthfulqa", write_csv(path, rows=[]))
    with pytest.raises(RefusedInputError, match="line 3, got 'What, then\\?' with 1 and 0: complete the row"):
        load_question_set("truthfulqa", write_csv(path, rows=[ROWS[0], ROWS[1][:5]]))
    with pytest.raises(RefusedInputError, match=r"line 3 asks 'Is it so\?' again"):
        load_question_set("truthfulqa", write_csv(path, rows=[ROWS[0], ROWS[0]]))


def test_broken_lines_are_refused_by_number(tmp_path):
    path = tmp_path / "q.jsonl"
    cases = {
        "{": "expected one JSON object in .*q.jsonl, line 2",
        "[1]": "line 2, found no question, category, correct_answers, incorrect_answers: add it",
        line(incorrect_answers="b"): r"expected lists of answers in .*line 2, got 'b': write \[",
        line(correct_answers=[" "]): "line 2, got 'Q\\?' with 0 and 1",
    }
    for text, words in cases.items():
        with pytest.raises(RefusedInputError, match=words):
            load_question_set("misconceptions", write_lines(path, line(question="First?"), text))


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(
        RefusedInputError, match="unknown question set 'trivia': use one of truthfulqa, misconceptions"
    ):
        load_question_set("trivia")
    for name in ("truthfulqa", "misconceptions"):
        with pytest.raises(RefusedInputError, match="cannot read the questions in .*nowhere"):
            load_question_set(name, tmp_path / "nowhere")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RefusedInputError, match="cannot read the questions in"):
        load_question_set("truthfulqa", tmp_path / "t.csv")
