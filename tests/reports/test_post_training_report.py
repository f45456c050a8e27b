"""The report of post-training: which words were kept, and what is said of calibration."""

from dataclasses import replace

import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.over_worlds import over_worlds
from hallulab.experiments.post_training import run_post_training
from hallulab.experiments.post_training_run import (
    BASE,
    BINARY,
    STATED,
    BaseEpoch,
    PostTrainingResult,
    PostTrainingSettings,
)
from hallulab.experiments.post_training_summary import PolicyRow, calibration_of, policy_calibrations
from hallulab.reports.post_training_report import (
    calibration_page_table,
    calibration_sentences,
    kept_words,
    over,
    write_post_training_report,
)

SETTINGS = PostTrainingSettings(
    WorldSettings(n_prompts=60, n_answers=6, answer_rate=0.8), n_samples=150, learner="memoriser", targets=(0.5,),
    audited_targets=(0.0, 0.5), n_steps=20, n_points=2, rounds=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> PostTrainingResult:
    points = [point for point in run_post_training(SETTINGS) if not isinstance(point, BaseEpoch)]
    return PostTrainingResult.of(SETTINGS, points, {})


def told(target: float, accuracies: list[float | None], *, is_trained_on: bool = True) -> PolicyRow:
    return PolicyRow(STATED, target, is_trained_on, *[over_worlds(accuracies)] * 9)


def test_silence_keeps_no_word_and_binary_grading_asks_for_none():
    rows = [
        told(0.0, [0.9, 0.9, 0.91]),
        told(0.5, [0.8, 0.81, 0.82]),
        told(0.75, [0.7, 0.75, 0.8], is_trained_on=False),
        told(0.9, [0.6, 0.61, 0.62]),
        told(0.95, [None, None, None]),
    ]
    assert kept_words(rows) == (
        "right at least as often as t at 1 of 4 targets above 0, by the 95 % interval at each, not decided at 1, less "
        "often at 1, without any answer at 1; it never trained on 1 of these targets"
    )
    assert kept_words(rows[:2]).startswith("right at least as often as t at 1 of 1 targets above 0")


def test_what_is_said_of_calibration_is_in_the_table(result):
    rows = policy_calibrations(result)
    base, binary = calibration_of(rows, BASE, 0.0), calibration_of(rows, BINARY, 0.0)
    said = calibration_sentences(rows)
    assert f"before training ECE {over(base.ece)}" in said[0]
    assert f"after binary grading ECE {over(binary.ece)}" in said[0]
    n_tested = sum(row.ece_change_p is not None for row in rows)
    table = calibration_page_table(result)
    assert f"corrected for all {n_tested} comparisons" in table.note
    assert [line[3] for line in table.rows] == [over(row.ece) for row in rows]
    silent = replace(binary, ece=over_worlds([None, None]))
    assert calibration_sentences([base, silent]) == []


def test_a_folder_without_a_policy_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="at least one|a measured policy"):
        write_post_training_report(tmp_path)
