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
from hallulab.experiments.words_resemblance import (
    answer_seed,
    null_strangers,
    read_words_resemblance,
    records_path,
    records_paths,
    run_words_resemblance,
)
from hallulab.experiments.words_resemblance_run import WordsResemblanceSettings
from hallulab.experiments.workers import Workers, process_path
from hallulab.records import RecordFile
from hallulab.scoring.grades import says_nothing

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
    strangers = null_strangers(questions, settings)
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
        if says_nothing(found.text):
            assert (found.grade, found.resemblance) == ("empty", None)
            continue
        assert found.resemblance is not None
        assert found.resemblance.incorrect == slow(found.text, question.incorrect_answers)
        assert found.resemblance.correct == slow(found.text, question.correct_answers)
        null = np.mean([slow(found.text, other.incorrect_answers) for other in strangers[place].incorrect])
        assert found.resemblance.null_incorrect == pytest.approx(null)


def test_base_and_tuned_draw_with_the_same_seeds_and_strangers(questions):
    assert answer_seed(0, questions[0]) == answer_seed(0, replace(questions[0], id="other"))
    assert len({answer_seed(s, q) for s in (0, 1) for q in questions}) == 14
    strangers = null_strangers(questions, SETTINGS)
    for question, others in zip(questions, strangers, strict=True):
        assert question not in (*others.incorrect, *others.correct)


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
    first, _ = finish(run_words_resemblance(engine, little, questions, records=records))
    assert (first.settings.n_seeds, len(first.answers)) == (1, 7)
    assert read_words_resemblance(records) == first
    grown, new = finish(run_words_resemblance(engine, SETTINGS, questions, records=records))
    assert (grown, len(new)) == (result, 42 - 7)
    # what was asked for later is read as well, in the order of an unbroken run
    assert read_words_resemblance(records) == result
    # and asking for less again drops nothing
    again, new = finish(run_words_resemblance(engine, little, questions, records=records))
    assert (again, new) == (result, [])
    assert read_words_resemblance(records) == result


def test_a_checkpoint_named_twice_is_asked_once(engine, questions):
    twice = replace(SETTINGS, checkpoints=("base", "base"), n_seeds=1)
    found, new = finish(run_words_resemblance(engine, twice, questions))
    assert (len(new), [model.checkpoint for model in found.models]) == (7, ["base"])


def test_the_controls_are_recorded_for_every_text_that_was_scored(result, questions):
    scored = {(a.question_id, a.n_characters) for a in result.answers if a.resemblance is not None}
    listed = {(one.question_id, len(one.text)) for one in result.listed}
    assert [(one.question_id, one.n_characters) for one in result.twins] == sorted(scored | listed)
    assert all(len(one.scores) == SETTINGS.n_twins for one in result.twins)
    assert [(one.question_id, one.answer) for one in result.listed] == sorted(
        (q.id, answer) for q in questions for answer in q.incorrect_answers
    )
    assert all(one.resemblance.incorrect == 1.0 for one in result.listed)  # it is its own reference


def test_listed_answers_are_scored_behind_the_question_where_answers_are(engine, questions):
    settings = replace(SETTINGS, checkpoints=("base",), n_seeds=1, variant="paper_code")
    found, _ = finish(run_words_resemblance(engine, settings, questions))
    one = next(one for one in found.listed if one.answer == "No cat")
    assert one.text == "What of the cat? No cat"
    assert one.resemblance.incorrect == slow(one.text, questions[0].incorrect_answers)


def test_processes_share_the_work_and_merge_to_the_table_of_one(engine, questions, result, tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    # two processes cannot hold one engine at once: here they take turns, each with its part of what is still missing
    for index in (0, 1) * 8:
        steps = run_words_resemblance(engine, SETTINGS, questions, records=records, workers=Workers(index, 2))
        for _ in steps:
            pass
    assert process_path(records.path, 1).is_file()
    assert records_paths(tmp_path) == []  # other names are other experiments'
    answers = [
        sum(record["kind"] == "answer" for record in RecordFile(process_path(records.path, index)).read())
        for index in (0, 1)
    ]
    assert sum(answers) == 42
    assert min(answers) > 0
    assert read_words_resemblance(records) == result


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
    header = {"kind": "settings", "settings": {"checkpoints": [], "speed": 3}, "questions": {}}
    records.append(header | {"version": 2})
    with pytest.raises(RefusedInputError, match=r"settings of a resemblance run of this version, .*speed"):
        read_words_resemblance(records)
    records.append(header)  # of the first version, whose nulls and twins were other ones
    with pytest.raises(RefusedInputError, match=r"settings of a resemblance run of this version, .*version"):
        read_words_resemblance(records)


def test_what_cannot_be_run_is_refused_before_anything_is_written(engine, questions, tmp_path):
    records = RecordFile(tmp_path / "run.jsonl")
    cases = [
        (replace(SETTINGS, checkpoints=("epoch-3",)), questions, "unknown checkpoint 'epoch-3'"),
        (SETTINGS, questions[:2], "expected at least 3 questions .* got 2 and 2: ask more questions"),
        (SETTINGS, (), "expected at least 3 questions .* got 0 and 2"),
        (
            SETTINGS,
            (*questions[1:], replace(questions[0], question="word " * 300)),
            "q0 of here: the question is .* tokens long",
        ),
        (
            SETTINGS,
            (*questions[1:], replace(questions[0], question="What of <|end|>?")),
            "q0 of here: expected plain text",
        ),
    ]
    for settings, asked, words in cases:
        with pytest.raises(RefusedInputError, match=words):
            finish(run_words_resemblance(engine, settings, asked, records=records))
    assert not records.path.exists()


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


def test_files_are_named_after_what_is_in_them(tmp_path):
    path = records_path(tmp_path, WordsResemblanceSettings(variant="paper_code"), "truthfulqa")
    assert path.name == "words-resemblance-truthfulqa-paper_code.jsonl"
    for one in (path, process_path(path, 1)):
        one.touch()
    assert records_paths(tmp_path) == [path]
