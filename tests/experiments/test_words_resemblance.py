"""The resemblance experiment on a tiny world: what is scored, resumed, refused, and against slow twins."""

import difflib
import json
from dataclasses import replace

import numpy as np
import pytest

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.engine.words import GenerationSettings, generate_answers
from hallulab.errors import RefusedInputError
from hallulab.experiments import words_resemblance
from hallulab.experiments.words_resemblance import (
    answer_seed,
    length_alone,
    null_questions,
    read_words_resemblance,
    records_path,
    run_words_resemblance,
)
from hallulab.experiments.words_resemblance_run import WordsResemblanceSettings
from hallulab.records import RecordFile
from hallulab.scoring.resemblance import closest_ratio

SETTINGS = WordsResemblanceSettings(max_new_tokens=10, n_others=2, n_seeds=2, batch_size=3)
NAMES = ("base", "epoch-2", "epoch-10")


@pytest.fixture(scope="module")
def engine(tiny_preset):
    return Engine(load_preset(str(tiny_preset)), device="cpu")


@pytest.fixture(scope="module")
def questions():
    words = ("cat", "moon", "river", "glass", "honey", "winter", "nail")
    return tuple(
        ReferencedQuestion(
            f"q{n}",
            f"What of the {word}?",
            "",
            (f"The {word} is fine.", "Nothing"),
            (f"No {word}", f"A {word}!"),
            "here",
        )
        for n, word in enumerate(words)
    )


def finish(steps):
    """The last step's result, the steps checked on the way."""
    done, seen = [], []
    for step in steps:
        done.append(step.n_done)
        seen += step.new_answers
        result = step.result
    assert done == sorted(done)
    assert step.n_done == step.n_total
    return result, seen


@pytest.fixture(scope="module")
def result(engine, questions):
    return finish(run_words_resemblance(engine, SETTINGS, questions))[0]


def slow(text, references):
    return max(difflib.SequenceMatcher(None, text.lower(), other.lower()).ratio() for other in references)


def test_every_checkpoint_answers_every_question_with_every_seed(result, questions):
    keys = [(a.checkpoint, a.seed, a.question_id) for a in result.answers]
    assert sorted(keys) == sorted((c, s, q.id) for c in NAMES for s in (0, 1) for q in questions)
    assert [model.checkpoint for model in result.models] == list(NAMES)
    assert result.base is not None
    assert result.base.checkpoint == "base"
    assert len({model.sha256 for model in result.models}) == 3
    assert result.questions.n == 7


@pytest.mark.parametrize("variant", ["answer_only", "paper_code"])
def test_an_answer_is_that_of_its_seed_and_scored_as_by_difflib(engine, questions, variant):
    settings = replace(SETTINGS, variant=variant, checkpoints=("epoch-2",), n_seeds=1)
    result, _ = finish(run_words_resemblance(engine, settings, questions))
    others = null_questions(questions, settings)
    for place, found in enumerate(sorted(result.answers, key=lambda a: a.question_id)):
        question = questions[place]
        drawn = GenerationSettings(10, 0.7, 0.9)
        with engine.job("test"):
            (answer,) = generate_answers(
                engine.qwen("epoch-2"), [question.question], [answer_seed(0, question)], drawn,
                as_chat=variant == "answer_only",
            )  # fmt: skip
        assert found.answer == answer.text
        assert found.n_tokens == len(answer.token_ids)
        if variant == "answer_only":  # the prompt is never part of what is scored
            assert found.text == answer.text
        else:
            assert found.text == (question.question + "".join(answer.token_texts)).strip()
        if not found.text:
            assert (found.grade, found.resemblance) == ("empty", None)
            continue
        assert found.resemblance is not None
        assert found.resemblance.incorrect == slow(found.text, question.incorrect_answers)
        assert found.resemblance.correct == slow(found.text, question.correct_answers)
        null = np.mean([slow(found.text, other.incorrect_answers) for other in others[place]])
        assert found.resemblance.null_incorrect == pytest.approx(null)


def test_base_and_tuned_draw_with_the_same_seeds_and_strangers(questions):
    assert answer_seed(0, questions[0]) == answer_seed(0, replace(questions[0], id="other"))
    assert len({answer_seed(s, q) for s in (0, 1) for q in questions}) == 14
    others = null_questions(questions, SETTINGS)
    assert all(question not in lent for question, lent in zip(questions, others, strict=True))


def test_a_killed_run_goes_on_and_ends_like_an_unbroken_one(engine, questions, result, tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    steps = run_words_resemblance(engine, SETTINGS, questions, records=records)
    for step in steps:
        if step.n_done >= 17:  # in the middle of a round
            steps.close()
    kept = [record for record in records.read() if record["kind"] == "answer"]
    assert 17 <= len(kept) < 42
    whole = records.path.read_text()
    records.path.write_text(whole[: -len(whole.splitlines()[-1]) // 2])  # the kill tore a line as well
    partial = read_words_resemblance(records)
    assert len(partial.answers) == len(kept) - 1
    resumed, new = finish(run_words_resemblance(engine, SETTINGS, questions, records=records))
    assert len(new) == 42 - len(kept) + 1
    assert resumed == result
    assert read_words_resemblance(records) == result
    again, new = finish(run_words_resemblance(engine, SETTINGS, questions, records=records))
    assert (again, new) == (result, [])


def test_rounds_and_checkpoints_can_be_added(engine, questions, result, tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    little = replace(SETTINGS, checkpoints=("epoch-2",), n_seeds=1, batch_size=None)
    finish(run_words_resemblance(engine, little, questions, records=records))
    assert finish(run_words_resemblance(engine, SETTINGS, questions, records=records))[0] == result
    assert len(finish(run_words_resemblance(engine, little, questions, records=records))[0].answers) == 7


def test_another_run_s_records_are_refused(engine, questions, tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    little = replace(SETTINGS, checkpoints=("base",), n_seeds=1)
    finish(run_words_resemblance(engine, little, questions, records=records))
    with pytest.raises(
        RefusedInputError, match=r"expected a run with the same settings in .*, got another top_p"
    ):
        finish(run_words_resemblance(engine, replace(little, top_p=0.5), questions, records=records))
    with pytest.raises(RefusedInputError, match="got another questions: choose another folder"):
        finish(run_words_resemblance(engine, little, questions[1:], records=records))
    lines = records.path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if json.loads(line)["kind"] == "checkpoint")
    lines[place] = json.dumps(json.loads(lines[place]) | {"sha256": "other"})
    records.path.write_text("\n".join(lines))
    with pytest.raises(
        RefusedInputError, match="expected the same weights of base as when this run was begun"
    ):
        finish(run_words_resemblance(engine, little, questions, records=records))


def test_records_of_another_version_are_refused(tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    with pytest.raises(
        RefusedInputError, match="expected a resemblance run in .*, found none: make one with"
    ):
        read_words_resemblance(records)
    records.append({"kind": "settings", "settings": {"checkpoints": [], "speed": 3}, "questions": {}})
    with pytest.raises(RefusedInputError, match="expected the settings of a resemblance run of this version"):
        read_words_resemblance(records)


def test_what_cannot_be_run_is_refused_before_anything_is_written(engine, questions, tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    cases = [
        (replace(SETTINGS, checkpoints=("epoch-3",)), questions, "unknown checkpoint 'epoch-3'"),
        (SETTINGS, questions[:2], "other questions for each of 2, got 2"),
        (SETTINGS, (), "other questions for each of 0"),
        (
            SETTINGS,
            (replace(questions[0], question="word " * 300), *questions[1:]),
            "the question is .* tokens long",
        ),
    ]
    for settings, asked, words in cases:
        with pytest.raises(RefusedInputError, match=words):
            finish(run_words_resemblance(engine, settings, asked, records=records))
    assert not any(record["kind"] == "answer" for record in records.read())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variant": "paper"}, "expected variant answer_only or paper_code, got 'paper'"),
        ({"n_seeds": 0}, "expected n_seeds of at least 1, got 0"),
        ({"n_others": 0}, "expected n_others of at least 1, got 0"),
        ({"n_questions": 0}, "expected n_questions of at least 1, got 0"),
        ({"batch_size": 0}, "expected batch_size of at least 1, got 0"),
        ({"seed": -1}, "expected seed of at least 0, got -1"),
        ({"top_p": 0.0}, "expected top_p above 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, words):
    with pytest.raises(RefusedInputError, match=words):
        WordsResemblanceSettings(**changes)


def test_fewer_questions_are_spread_over_the_set(engine, questions):
    settings = replace(SETTINGS, n_questions=3, checkpoints=("base",), n_seeds=1)
    result, _ = finish(run_words_resemblance(engine, settings, questions))
    assert sorted(answer.question_id for answer in result.answers) == ["q0", "q2", "q4"]


def test_the_curve_of_length_alone_is_that_of_cut_texts(questions, monkeypatch):
    monkeypatch.setattr(words_resemblance, "FILLER_LENGTHS", (0, 5, 40))
    short, long = length_alone(questions, SETTINGS)
    assert 4 <= short.n_characters <= 5
    assert 39 <= long.n_characters <= 40
    assert short.n == 7
    with_prompt = length_alone(questions, replace(SETTINGS, variant="paper_code"))
    echo = np.mean([closest_ratio(q.question, q.incorrect_answers) for q in questions])
    assert with_prompt[0].incorrect == pytest.approx(echo)  # the question alone, nothing answered
    assert with_prompt[0].n_characters == np.mean([len(q.question) for q in questions])
    assert length_alone(questions, SETTINGS) == [short, long]


def test_files_are_named_after_what_is_in_them(tmp_path):
    path = records_path(tmp_path, WordsResemblanceSettings(variant="paper_code"), "truthfulqa")
    assert path.name == "words-resemblance-truthfulqa-paper_code.jsonl"
    assert path.match(words_resemblance.RECORDS_PATTERN)
