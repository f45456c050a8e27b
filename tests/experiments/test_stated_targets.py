from dataclasses import replace

import numpy as np
import pytest

from hallulab.data.birthday_questions import same_answer
from hallulab.data.target_prompts import OTHER_SENTENCE, targeted_prompt
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.engine.words import GenerationSettings, generate_answers
from hallulab.errors import RefusedInputError
from hallulab.experiments.asked_model import AskedModel
from hallulab.experiments.stated_targets import (
    CONTROL,
    PLAIN,
    StatedTargetsResult,
    StatedTargetsSettings,
    TargetAnswer,
    asked_questions,
    read_stated_targets,
    records_path,
    run_stated_targets,
)
from hallulab.experiments.stated_targets_summary import (
    behaviour_table,
    dose_table,
    frequency_table,
    grading_table,
    stated_audit,
)
from hallulab.records import RecordFile

SETTINGS = StatedTargetsSettings(n_questions=6, checkpoints=("base",), targets=(0.0, 0.9), max_new_tokens=24)


@pytest.fixture(scope="module")
def engine():
    return Engine(load_preset(None), device="cpu")


@pytest.fixture(scope="module")
def finished(engine, tmp_path_factory):
    records = RecordFile(records_path(tmp_path_factory.mktemp("run"), SETTINGS))
    *_, last = run_stated_targets(engine, SETTINGS, records=records)
    return last.result, records


def test_every_prompt_is_answered_as_one_by_one(engine, finished):
    result, _ = finished
    qwen = engine.qwen("base")
    for kind in SETTINGS.prompts:
        for question in result.questions:
            found = next(
                one for one in result.answers if (one.prompt, one.question_id) == (kind.name, question.id)
            )
            prompt = question.question
            if kind.target is not None:
                prompt = targeted_prompt(prompt, kind.target)
            elif kind.name == CONTROL:
                prompt = f"{prompt}\n{OTHER_SENTENCE}"
            [alone] = generate_answers(qwen, [prompt], [0], GenerationSettings(24, 0.0))
            assert found.answer == alone.text
            wordings = same_answer(found.answer)
            together = np.exp(log_likelihoods(qwen, [prompt] * len(wordings), wordings)).sum()
            assert found.confidence == pytest.approx(together, abs=1e-4)


def test_what_is_recorded_is_read_and_never_asked_again(engine, finished, monkeypatch):
    result, records = finished
    assert read_stated_targets(records) == result
    lines = records.read()

    def only_nothing(_, prompts, *__):
        assert not prompts
        return iter(())

    monkeypatch.setattr("hallulab.experiments.stated_targets.answer_batches", only_nothing)
    *_, last = run_stated_targets(engine, SETTINGS, records=records)
    assert last.result.answers == result.answers
    assert records.read() == lines


def test_targets_and_checkpoints_may_be_added_and_all_are_read(engine, tmp_path):
    records = RecordFile(records_path(tmp_path, SETTINGS))
    first = replace(SETTINGS, n_questions=2, targets=(0.5,), checkpoints=("base",))
    second = replace(first, targets=(0.75,), checkpoints=("seed2-epoch4",))
    *_, before = run_stated_targets(engine, first, records=records)
    *steps, after = run_stated_targets(engine, second, records=records)
    assert max(step.n_done for step in steps) == after.n_total  # the first run's answers are not counted
    result = read_stated_targets(records)
    assert result.settings.targets == (0.5, 0.75)
    assert result.checkpoints == ("base", "seed2-epoch4")
    assert set(result.answers) == {*before.result.answers, *after.result.answers}
    asked = {(row.checkpoint, row.prompt) for row in behaviour_table(result)}
    assert ("base", "t = 0.75") not in asked
    assert {("base", "t = 0.5"), ("seed2-epoch4", "t = 0.75")} < asked
    lines = records.path.read_text().splitlines()
    records.path.write_text("\n".join(line.replace('"is_complete"', '"whole"') for line in lines))
    with pytest.raises(
        RefusedInputError, match="expected the records of a run of stated targets of this version"
    ):
        read_stated_targets(records)


def test_another_run_in_the_same_records_is_refused(engine, finished):
    _, records = finished
    with pytest.raises(RefusedInputError, match="another max_new_tokens"):
        next(run_stated_targets(engine, replace(SETTINGS, max_new_tokens=5), records=records))
    with pytest.raises(RefusedInputError, match="unknown checkpoint 'nobody'"):
        next(run_stated_targets(engine, replace(SETTINGS, checkpoints=("nobody",))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question_set": "riddles"}, "unknown question set 'riddles'"),
        ({"targets": (0.5, 1.0)}, "confidence target"),
        ({"targets": (0.5, 0.5)}, "every target once"),
        ({"n_questions": 0}, "n_questions"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(RefusedInputError, match=words):
        replace(SETTINGS, **changes)


def made_up(behaviour):
    """A result in which `behaviour` says what is answered: (prompt, place of the question) → kind."""
    settings = replace(SETTINGS, n_questions=40)
    questions = asked_questions(settings)
    texts = {
        "right": lambda q: f"It is {q.correct_answers[0]}.",
        "wrong": lambda q: f"It is 60 {q.incorrect_answers[0]}.",
        "idk": lambda _: "I do not know.",
    }
    answers = []
    for kind in settings.prompts:
        for place, question in enumerate(questions):
            how, confidence = behaviour(kind, place)
            answers.append(
                TargetAnswer("base", kind.name, question.id, texts[how](question), confidence, True)
            )
    return StatedTargetsResult(
        settings, questions, (AskedModel("base", "hand-made", ""),), tuple(answers), {}
    )


def test_a_model_that_heeds_the_target_is_seen_to():
    def heeds(kind, place):
        confidence = 0.95 if place % 2 else 0.4
        withheld = kind.target is not None and confidence <= kind.target
        return ("idk" if withheld else "right" if place % 2 else "wrong"), confidence

    result = made_up(heeds)
    rows = {row.prompt: row for row in behaviour_table(result)}
    assert rows["t = 0.9"].spoke_change.mean == -0.5
    assert rows["t = 0.9"].spoke_beyond_control.mean == -0.5
    assert rows["t = 0"].spoke_change.mean == 0
    assert rows[PLAIN].spoke_change is None
    assert rows["t = 0.9"].summary.accuracy.value == 1
    [dose] = dose_table(result)
    assert (dose.spoke.mean, dose.same_text, dose.n) == (-0.5, 20, 40)
    assert dose.spoke.p_value < 0.01
    assert dose.p_holm == dose.spoke.p_value  # one checkpoint
    # four tests in the table: three against plain … two of them against the control as well
    assert rows["t = 0.9"].change_p_holm >= rows["t = 0.9"].spoke_change.p_value
    assert rows["t = 0.9"].change_p_holm < 0.01
    assert (rows[PLAIN].change_p_holm, rows["t = 0"].beyond_p_holm) == (None, 1)
    audited = {point.target: point for point in stated_audit(result)}
    assert (audited[0.9].accuracy.value, audited[0.9].answered.value) == (1, 0.5)
    assert audited[0.0].accuracy.value == 0.5


def test_a_model_that_any_sentence_silences_does_not_heed_the_target():
    result = made_up(lambda kind, _: ("right" if kind.name == PLAIN else "idk", 0.9))
    rows = {row.prompt: row for row in behaviour_table(result)}
    assert rows["t = 0.9"].spoke_change.mean == -1
    assert rows["t = 0.9"].spoke_beyond_control.mean == 0
    assert dose_table(result)[0].spoke.mean == 0


def test_plain_answers_are_graded_at_every_target_under_both_policies():
    result = made_up(lambda _, place: ("right" if place % 2 else "wrong", 0.95 if place % 2 else 0.4))
    table = {(row.target, row.policy): row for row in grading_table(result)}
    assert set(table) == {(t, p) for t in (0.0, 0.9) for p in ("as_given", "by_confidence")}
    # half right, half wrong: (1 − 9)/2; with the unsure ones withheld 1/2
    assert table[0.9, "as_given"].summary.score.mean == -4
    assert table[0.9, "by_confidence"].summary.score.mean == 0.5
    assert table[0.9, "by_confidence"].summary.hallucination_rate.value == 0
    assert {row.standing.rank for row in table.values()} == {1}  # one checkpoint
    assert table[0.9, "as_given"].own_threshold.score == 0.5
    by_category = frequency_table(result)
    assert sum(sum(row.summary.n_by_grade.values()) for row in by_category) == 40
    assert by_category[0].category == "never mentioned"
