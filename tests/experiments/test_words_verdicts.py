"""A run of text verdicts on the shipped small world: what is measured, what is kept, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hallulab.data.open_ended import known_questions
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.experiments import words_verdicts
from hallulab.experiments.words_verdicts import (
    RECORDS_NAME,
    chosen_questions,
    read_words_verdicts,
    run_words_verdicts,
)
from hallulab.experiments.words_verdicts_answers import TESTS_OF_KNOWN, item_seeds
from hallulab.experiments.words_verdicts_run import (
    VerdictsResult,
    WordsVerdictsSettings,
    from_record,
    rate,
    to_record,
)
from hallulab.records import RecordFile
from hallulab.scoring.words_frame import WordsFrameSettings, answer_log_densities, build_words_frame
from hallulab.theory.intervals import wilson_interval
from tests.hand_made_verdicts import frame, judged

QUICK = WordsVerdictsSettings(
    checkpoints=("base", "seed1-epoch4"), n_known=2, n_reworded=1, n_unknown=2, n_genuine=24, n_answers=3,
    n_tested=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_preset("small-world"), device="cpu")


@pytest.fixture(scope="module")
def finished(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[VerdictsResult, RecordFile]:
    """One small run that several tests read, and the file it was recorded in."""
    records = RecordFile(tmp_path_factory.mktemp("run") / RECORDS_NAME)
    return run(engine, QUICK, records), records


def run(engine: Engine, settings: WordsVerdictsSettings, records: RecordFile | None) -> VerdictsResult:
    *_, last = run_words_verdicts(engine, settings, records=records)
    assert last.result is not None
    assert last.n_done == last.n_total
    return last.result


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whatever is measured anew, in order."""
    asked: list[str] = []
    for name in ("frame_record", "judged_test_answers", "checkpoint_answers"):
        original = getattr(words_verdicts, name)

        def remembering(*args, original=original, name=name):
            asked.append(name)
            return original(*args)

        monkeypatch.setattr(words_verdicts, name, remembering)
    return asked


def test_every_question_has_a_frame_and_judged_ones_have_tests_and_answers(finished):
    result, _ = finished
    assert [f.group for f in result.frames] == ["known", "known", "reworded", "unknown", "unknown"]
    known = [f.question for f in result.frames if f.group == "known" and f.gives_verdicts]
    assert known
    for question in known:
        sources = {answers.source for answers in result.answers if answers.question == question}
        assert sources == {*TESTS_OF_KNOWN, "base", "seed1-epoch4"}
    reworded = {f.question for f in result.frames if f.group == "reworded"}
    assert not [a for a in result.from_source("base") if a.question in reworded]
    withheld = {f.question for f in result.frames if not f.gives_verdicts}
    assert not [a for a in result.answers if a.question in withheld]


def test_answers_are_scored_under_every_hint_by_the_frozen_scorer(engine: Engine, finished):
    result, _ = finished
    answers = result.from_source("seed1-epoch4")[0]
    states = next(f.states for f in result.frames if f.question == answers.question)
    with engine.job("test"):
        scores = answer_log_densities(engine.scorer(), answers.question, states, answers.texts)
    np.testing.assert_allclose(answers.densities, scores, rtol=0, atol=1e-4)
    assert result.scored_by.scorer == "qwen-mini"


def test_the_frame_is_the_one_that_ask_would_use(engine: Engine, finished):
    result, _ = finished
    record = result.frames[0]
    with engine.job("test"):
        built = build_words_frame(
            engine.scorer(),
            WordsFrameSettings(record.question, record.states, QUICK.n_genuine, QUICK.seed, 40),
        )
    assert built.hcdr is not None
    again = record.hcdr(result.scored_by, hdr_mass=0.9, rule=built.hcdr.threshold_rule)
    assert again.content_hash == built.hcdr.content_hash


def test_every_checkpoint_answers_with_the_same_seeds(engine: Engine, finished):
    result, _ = finished
    alone = run(engine, replace(QUICK, checkpoints=("seed1-epoch4",), n_reworded=0, n_unknown=0), None)
    theirs = result.from_source("seed1-epoch4", "known")
    assert [answers.texts for answers in alone.from_source("seed1-epoch4")] == [a.texts for a in theirs]
    assert item_seeds(0, "a", 3) != item_seeds(0, "b", 3)
    assert item_seeds(0, "a", 2) == item_seeds(0, "a", 3)[:2]


def test_fresh_answers_are_drawn_with_other_seeds_than_the_thresholds_own(engine: Engine, finished):
    result, _ = finished
    fresh = result.from_source("fresh genuine", "known")[0]
    with engine.job("test"):
        built = build_words_frame(
            engine.scorer(), WordsFrameSettings(fresh.question, known_questions()[0].states, QUICK.n_genuine)
        )
    assert fresh.texts[:4] != built.genuine[0][:4]
    assert len(fresh.texts) <= fresh.n_drawn == 2 * QUICK.n_tested


def test_a_finished_run_measures_nothing_again(engine: Engine, finished, generated: list[str]):
    result, records = finished
    n_lines = len(records.read())
    assert run(engine, QUICK, records) == result
    assert generated == []
    assert len(records.read()) == n_lines
    assert records.read()[0]["versions"]["torch"]


def test_a_killed_run_goes_on_where_it_stopped(
    engine: Engine, finished, tmp_path: Path, generated: list[str]
):
    whole, _ = finished
    settings = replace(QUICK, checkpoints=("base",), n_reworded=0, n_unknown=0)
    records = RecordFile(tmp_path / RECORDS_NAME)
    killed = run_words_verdicts(engine, settings, records=records)
    for step in killed:
        if "testing" in step.message:
            break
    killed.close()
    assert engine.queue.holder is None
    # the kill tore the last line: the tests of the first question are one source short
    text = records.path.read_text()
    records.path.write_text(text[: text.rindex("{") + 40])
    generated.clear()
    again = run(engine, settings, records)
    assert generated == ["judged_test_answers"] * 2 + ["checkpoint_answers"]
    assert {frame.question: frame for frame in again.frames}.items() <= {
        frame.question: frame for frame in whole.frames
    }.items()
    for source in (*TESTS_OF_KNOWN, "base"):
        theirs = whole.from_source(source, "known")
        assert {a.question: a.texts for a in again.from_source(source)} == {
            a.question: a.texts for a in theirs
        }
    assert read_words_verdicts(records) == again


def test_checkpoints_can_be_added_to_a_run(engine: Engine, finished, tmp_path: Path, generated: list[str]):
    _, records = finished
    copied = RecordFile(tmp_path / RECORDS_NAME)
    copied.path.write_bytes(records.path.read_bytes())
    grown = run(engine, replace(QUICK, checkpoints=("base", "seed2-epoch2")), copied)
    assert set(generated) == {"checkpoint_answers"}
    # what was measured before stays part of the run
    assert [record.checkpoint for record in grown.checkpoints] == ["base", "seed1-epoch4", "seed2-epoch2"]
    assert all(grown.from_source(one.checkpoint) for one in grown.checkpoints)
    assert read_words_verdicts(copied) == grown


def test_other_settings_or_other_weights_are_refused(engine: Engine, finished, tmp_path: Path):
    _, records = finished
    with pytest.raises(RefusedInputError, match="got another seed, n_answers: choose another folder"):
        next(run_words_verdicts(engine, replace(QUICK, seed=1, n_answers=9), records=records))
    changed = RecordFile(tmp_path / RECORDS_NAME)
    for record in records.read():
        changed.append(record | ({"sha256": "other"} if record.get("checkpoint") == "base" else {}))
    with pytest.raises(
        RefusedInputError, match="expected the same weights of base as when this run was begun"
    ):
        list(run_words_verdicts(engine, QUICK, records=changed))
    with pytest.raises(RefusedInputError, match="unknown checkpoint 'gpt' for words"):
        next(run_words_verdicts(engine, replace(QUICK, checkpoints=("gpt",))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_known": -1}, "expected n_known of at least 0, got -1"),
        ({"n_answers": 0}, "expected n_answers of at least 1, got 0"),
        ({"n_known": 0, "n_reworded": 0, "n_unknown": 0}, "expected at least one question"),
    ],
)
def test_settings_that_measure_nothing_are_refused(changes: dict, words: str):
    with pytest.raises(RefusedInputError, match=words):
        replace(QUICK, **changes)


def test_a_file_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(RefusedInputError, match="expected a run of text verdicts in .*, found none"):
        read_words_verdicts(RecordFile(tmp_path / "none.jsonl"))
    strange = RecordFile(tmp_path / "strange.jsonl")
    strange.append({"kind": "settings", "settings": {"n_coins": 3}, "scored_by": {}})
    with pytest.raises(RefusedInputError, match="of this version, got others"):
        read_words_verdicts(strange)


def test_questions_are_spread_over_the_file():
    chosen = chosen_questions(replace(QUICK, n_known=3, n_reworded=0, n_unknown=0))
    known = known_questions()
    assert [item.question for item in chosen] == [known[0], known[20], known[40]]
    # wrong answers are borrowed from the neighbour, whatever else is chosen
    assert [item.other for item in chosen] == [known[-1], known[19], known[39]]


def test_unknown_questions_are_those_the_base_was_not_trained_on():
    chosen = chosen_questions(replace(QUICK, n_known=0, n_reworded=0, n_unknown=1_000))
    assert len(chosen) == 240
    assert not any(item.question.is_known for item in chosen)


def test_records_come_back_as_they_were():
    for item in (frame("q", weights=(0.9, 0.1)), judged("q", "spliced", (None, -1.5, -2.25, -0.1))):
        assert from_record(json.loads(json.dumps(to_record(item)))) == item
    assert from_record({"kind": "settings"}) is None
    with pytest.raises(RefusedInputError, match="of this version, found one without 'weights'"):
        from_record({key: value for key, value in to_record(frame("q")).items() if key != "weights"})


def test_a_rate_counts_answers_and_its_interval_counts_questions():
    assert rate([]).value is None
    found = rate([np.array([True]), np.array([False]), np.array([False]), np.array([False])])
    assert (found.n_true, found.n, found.value) == (1, 4, 0.25)
    alone = wilson_interval(1, 4)
    assert (found.interval.low, found.interval.high) == pytest.approx((alone.low, alone.high))
    # eight answers to each question, all alike: no more is known than from one
    again = rate([np.full(8, flag) for flag in (True, False, False, False)])
    assert (again.n_true, again.n) == (8, 32)
    assert (again.interval.low, again.interval.high) == pytest.approx((alone.low, alone.high))
