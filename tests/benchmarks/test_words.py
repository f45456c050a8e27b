import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import words
from benchmarks.plain_words import GreedyAnswer, plain_evaluation
from hallulab.data.open_ended import open_ended_questions
from hallulab.data.question_sets import load_question_set
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.words_resemblance import null_strangers

TRUTHFULQA = Path(__file__).parents[3] / "shared" / "data" / "TruthfulQA.csv"
COLUMNS = ["Category", "Question", "Correct Answers", "Incorrect Answers"]


@pytest.fixture
def some_questions(tmp_path):
    path = tmp_path / "questions.csv"
    with path.open("w", newline="") as file:
        rows = [
            ["c", f"Is {n} an odd number?", f"{n} is odd; Yes", f"{n} is even; No"] for n in range(1, 13, 2)
        ]
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def test_a_small_run_prints_every_table(some_questions, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["words.py", str(some_questions)])
    words.main()
    out = capsys.readouterr().out
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("|")]
    for variant in ("answer_only", "paper_code"):
        cells = {row[1]: row[2:] for row in lines if row[0] == variant}
        assert cells["… the plain loop takes"][0].endswith("×")
        for what in ("plain loop", "hallulab", "… generation"):
            assert float(cells[what][0].split()[0]) >= 0
        for what in words.RATIOS:
            theirs, ours, difference, n = cells[what]
            assert float(ours) - float(theirs) == pytest.approx(float(difference.split()[0]), abs=2e-4)
            assert int(n) <= 6
        assert f"{variant}: 0 of" in out
        assert cells["6"][:2] == ["6", "0"]  # the same likeliest tokens for all, none different


def test_the_plain_loop_scores_what_hallulab_scores(some_questions):
    questions = load_question_set("truthfulqa", some_questions)
    engine = Engine(load_preset("small-world"), device="cpu")
    for variant in ("answer_only", "paper_code"):
        # the likeliest token is all that is left of the nucleus, so both write the same
        settings = replace(words.settings_of(variant), top_p=1e-6)
        found = words.compare(engine, questions, settings)
        for plain, ours in zip(found.plain_scores, found.answers, strict=True):
            assert plain.text == ours.text
            for name in words.RATIOS:
                theirs = getattr(plain, name)
                assert theirs == (ours.resemblance and pytest.approx(getattr(ours.resemblance, name)))
        assert found.n_unlike_difflib()[0] == 0


def test_a_ratio_that_is_not_difflibs_is_noticed(some_questions):
    questions = load_question_set("truthfulqa", some_questions)[:3]
    engine = Engine(load_preset("small-world"), device="cpu")
    found = words.compare(engine, questions, replace(words.settings_of("answer_only"), n_others=1))
    spoilt = replace(found.answers[0].resemblance, correct=found.answers[0].resemblance.correct + 1e-15)
    answers = (replace(found.answers[0], resemblance=spoilt), *found.answers[1:])
    assert replace(found, answers=answers).n_unlike_difflib() == (1, 6)


def test_near_ties_are_counted_apart(some_questions):
    questions = load_question_set("truthfulqa", some_questions)[:4]
    alone = [GreedyAnswer((1, 2), gap) for gap in (0.5, 9e-5, 9e-5, 2e-4)]
    together = ((1, 2), (1, 2), (1, 3), (1, 3))
    found = words.GreedyComparison("answer_only", questions, tuple(alone), together)
    assert (found.near_ties, found.different) == ((1, 2), (2, 3))
    assert found.cells() == ("answer_only", "4", "2", "1", "2", "9.0e-05")


@pytest.mark.skipif(not TRUTHFULQA.exists(), reason="needs shared/data/TruthfulQA.csv")
@pytest.mark.parametrize("variant", ["answer_only", "paper_code"])
def test_batches_write_the_likeliest_tokens_of_single_prompts(variant):
    # some of TruthfulQA, the longest one too, where one answer is likeliest nearly everywhere; others have their own.
    # `python benchmarks/words.py` does all 817
    every = load_question_set("truthfulqa", TRUTHFULQA)
    longest = max(every, key=lambda question: len(question.question))
    known = [replace(longest, question=known.question) for known in open_ended_questions()[:25]]
    questions = (*every[::50], longest, *known)
    qwen = Engine(load_preset("small-world"), device="cpu").scorer()
    found = words.compare_greedy(qwen, questions, variant)
    assert set(found.different) <= set(found.near_ties)
    assert len(found.near_ties) <= 2
    assert len({one.token_ids for one in found.alone}) > 10


def test_the_plain_loop_knows_empty_texts(some_questions, monkeypatch):
    questions = load_question_set("truthfulqa", some_questions)
    settings = words.settings_of("answer_only")
    qwen = Engine(load_preset("small-world"), device="cpu").scorer()
    end = torch.tensor([[qwen.end_token_ids[0]]])
    monkeypatch.setattr(
        type(qwen.model), "generate", lambda _, ids, **__: torch.cat([ids, end], dim=1), raising=False
    )
    score = next(iter(plain_evaluation(qwen, questions, null_strangers(questions, settings), settings)))
    assert (score.text, score.incorrect, score.null_correct) == ("", None, None)
