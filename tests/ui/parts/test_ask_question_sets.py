"""Where the listed questions of the Ask tab come from, and what is said where TruthfulQA cannot be had."""

import csv

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.ui.parts import ask_question_sets
from hallulab.ui.parts.ask_question_sets import (
    HOW_TO_OFFER,
    find_truthfulqa,
    offer_questions,
    questions_of_set,
)
from hallulab.ui.session import Session


@pytest.fixture
def truthfulqa(tmp_path):
    path = tmp_path / "TruthfulQA.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]
        )
        table.writerow(["Animals", "Do fish fly?", "No", "No; Never", "Yes", "us"])
    return str(path)


def test_a_csv_is_offered_and_a_wrong_one_is_told_at_start(truthfulqa, tmp_path):
    assert find_truthfulqa(truthfulqa) == (truthfulqa, "")
    found, why = find_truthfulqa(str(tmp_path / "missing.csv"))
    assert found is None
    assert why.startswith("TruthfulQA is not offered: cannot read the questions")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("Question,Answer\nDo fish fly?,No\n")
    found, why = find_truthfulqa(str(wrong))
    assert found is None
    assert "Incorrect Answers" in why


def test_without_a_csv_an_earlier_fetch_is_offered_and_the_hub_only_when_asked(truthfulqa, monkeypatch):
    monkeypatch.setattr(ask_question_sets, "cached_truthfulqa", lambda: None)
    assert find_truthfulqa(None) == (None, HOW_TO_OFFER)
    assert find_truthfulqa("hub") == ("hub", "")
    monkeypatch.setattr(ask_question_sets, "cached_truthfulqa", lambda: truthfulqa)
    assert find_truthfulqa(None) == (truthfulqa, "")


def test_a_set_that_cannot_be_had_leaves_the_own_one_with_a_warning(truthfulqa, monkeypatch):
    warned = []
    monkeypatch.setattr(ask_question_sets.gr, "Warning", lambda text, **_: warned.append(text))
    engine = Engine(load_preset(None), device="cpu")
    chosen, questions = offer_questions(Session(engine, truthfulqa=truthfulqa), "truthfulqa")
    assert (chosen.value, [title for title, _ in questions.choices]) == ("truthfulqa", ["Do fish fly?"])
    assert warned == []
    chosen, questions = offer_questions(Session(engine), "truthfulqa")
    assert chosen.value == "misconceptions"
    assert len(questions.choices) == len(questions_of_set("misconceptions", None))
    assert len(warned) == 1
    assert warned[0].startswith("TruthfulQA is not set up here")
