from dataclasses import replace

import numpy as np
import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.answer_policy import AnswerPolicy
from hallulab.experiments.facts_measure import draw_facts
from hallulab.experiments.facts_training import train_facts_qwen
from hallulab.experiments.over_worlds import SHARE, over_worlds
from hallulab.experiments.policy_calibration import SMALLEST_SHARE, policy_calibration
from hallulab.experiments.post_training import prepare, read_post_training, run_post_training
from hallulab.experiments.post_training_run import (
    BASE,
    BINARY,
    CROWDED,
    HELD_OUT,
    STATED,
    BaseEpoch,
    PostTrainingResult,
    PostTrainingSettings,
)
from hallulab.experiments.post_training_summary import (
    BROKEN,
    KEPT,
    SILENT,
    UNDECIDED,
    calibration_of,
    policy_calibrations,
    policy_table,
    result_json,
    row_of,
)
from hallulab.models.fact_learners import EXACT_LEARNERS
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.records import RecordFile
from hallulab.theory.confidence_targets import penalty

SMALL = PostTrainingSettings(
    world=WorldSettings(n_prompts=200, n_answers=8, zipf_exponent=0.6, answer_rate=0.8),
    n_samples=1_500,
    n_slots=100,
    n_steps=120,
    n_points=4,
    rounds=2,
    targets=(0.5, 0.9),
    audited_targets=(0.0, 0.75),
)
THETAS = [np.zeros(4), np.array([0.3, -0.4, 0.5, 0.7]), np.array([-1.0, 0.2, -0.3, -0.5])]


def prepared(settings, seed=0):
    """Base and halves of one world, its training run to the end."""
    steps = prepare(settings, seed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def enumerated(policy: AnswerPolicy, theta, target, weights):
    """Expected points the slow way: every prompt, every answer, one after the other."""
    model, truth = policy.learned.probability, policy.learned.truth
    limit = 6.0

    def log_odds(p):
        return float(np.clip(np.log(p) - np.log1p(-p), -limit, limit)) if 0 < p < 1 else limit * (2 * p - 1)

    total = {"points": 0.0, "idk": 0.0, "right": 0.0, "wrong": 0.0}
    for c, weight in enumerate(weights):
        members = truth.n_members[c, :-1]
        powered = [p ** (1 + theta[3]) if p > 0 else 0.0 for p in model[c, :-1]]
        normaliser = float(np.dot(powered, members))
        given = float(model[c, :-1] @ members)
        kept = min(1.0, given / (1 - model[c, -1])) if given else 0.0
        confidence = kept * max(model[c, :-1]) / given if given else 0.0
        logit = (
            log_odds(model[c, -1]) + theta[0] + theta[1] * log_odds(confidence) + theta[2] * log_odds(target)
        )
        idk = 1 / (1 + np.exp(-logit)) if given else 1.0
        right = sum(
            kept * p * m / normaliser
            for p, m, ok in zip(powered, members, truth.is_valid[c, :-1], strict=True)
            if ok and given
        )
        total["idk"] += weight * idk
        total["right"] += weight * (1 - idk) * right
        total["wrong"] += weight * (1 - idk) * (1 - right)
    total["points"] = total["right"] - penalty(target) * total["wrong"]
    return total


@pytest.mark.parametrize("learner", [CROWDED, *EXACT_LEARNERS])
@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.filterwarnings("error")
def test_points_and_their_gradient_are_those_of_enumeration(learner, theta):
    policy, halves = prepared(replace(SMALL, learner=learner, n_samples=400))
    weights, targets = halves["trained"], (0.0, 0.5, 0.9)
    slow = [enumerated(policy, theta, target, weights) for target in targets]
    for target, expected in zip(targets, slow, strict=True):
        found = policy.behaviour(theta, target, weights)
        for name, value in expected.items():
            assert getattr(found, name) == pytest.approx(value, abs=1e-9), name
    points, gradient = policy.expected_points(theta, targets, weights)
    assert points == pytest.approx(np.mean([one["points"] for one in slow]), abs=1e-9)
    step = 1e-6
    numeric = [
        (
            policy.expected_points(theta + step * axis, targets, weights)[0]
            - policy.expected_points(theta - step * axis, targets, weights)[0]
        )
        / (2 * step)
        for axis in np.eye(4)
    ]
    assert gradient == pytest.approx(numeric, abs=1e-6)


def test_it_begins_as_the_base_learner_itself():
    policy, halves = prepared(SMALL)
    learned = policy.learned
    answers = policy.answers(np.zeros(4)) * (1 - policy.abstention(np.zeros(4), 0.5))[:, None]
    # but for IDK shares of less than σ(−6), which are raised to it
    common = (learned.abstention > 0.003) & (learned.abstention < 0.997)
    assert common.sum() > 50
    assert answers[common] == pytest.approx(learned.probability[common, :-1])
    for weights in halves.values():
        assert weights.sum() == pytest.approx(1)
    assert not (halves["trained"] * halves["held out"]).any()


@pytest.fixture(scope="module")
def finished():
    return PostTrainingResult.of(SMALL, run_post_training(SMALL))


def test_binary_grading_takes_idk_away_and_targets_bring_it_back(finished):
    rows = policy_table(finished)
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    assert base is not None
    assert binary is not None
    assert binary.idk.mean < 0.02 < base.idk.mean
    assert binary.points.mean > base.points.mean
    strict = row_of(rows, "target 0.9", 0.9)
    assert strict is not None
    assert strict.idk.mean > base.idk.mean
    assert strict.wrong.mean < 0.3 * base.wrong.mean


def test_hallucinations_rise_under_binary_grading_of_the_memoriser():
    settings = replace(SMALL, learner="memoriser", n_samples=200, rounds=2)
    rows = policy_table(PostTrainingResult.of(settings, run_post_training(settings)))
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    strict = row_of(rows, "target 0.5", 0.5)
    assert base is not None
    assert binary is not None
    assert strict is not None
    # unseen facts are guessed by 1 of 8: α = 0.8 of them before, all of them after
    assert binary.wrong.mean == pytest.approx(base.wrong.mean / 0.8, rel=0.02)
    assert strict.wrong.mean < 0.02


def test_one_policy_told_the_target_answers_less_the_higher_it_is(finished):
    rows = [row for row in policy_table(finished) if row.policy == STATED]
    assert [row.target for row in rows] == [0.0, 0.5, 0.75, 0.9]
    assert [row.is_trained_on for row in rows] == [True, True, False, True]
    idk = [row.idk.mean for row in rows]
    assert idk == sorted(idk)
    assert idk[-1] - idk[0] > 0.4
    own = row_of(policy_table(finished), BINARY, 0.9)
    assert own is not None
    assert rows[-1].points.mean > own.points.mean


def everything(result):
    return sorted(map(repr, (*result.points, *result.calibrations)))


def test_a_killed_run_goes_on_and_repeats_nothing(tmp_path, finished):
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    steps = run_post_training(SMALL, records=records)
    for _ in range(30):
        next(steps)
    steps.close()
    kept = records.read()
    again = list(run_post_training(SMALL, records=records))
    assert sorted(map(repr, again)) == everything(finished)
    assert len(records.read()) == 1 + len(again)
    assert records.read()[: len(kept)] == kept
    read = read_post_training(records)
    assert read.settings == SMALL
    assert everything(read) == everything(finished)


def test_more_rounds_may_be_added_and_are_read_but_nothing_else_changed(tmp_path):
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    short = replace(SMALL, n_steps=4, n_points=2, rounds=1)
    list(run_post_training(short, records=records))
    assert {point.seed for point in run_post_training(replace(short, rounds=3), records=records)} == {0, 1, 2}
    list(
        run_post_training(short, records=records)
    )  # asked for again with fewer: what is there is what counts
    read = read_post_training(records)
    assert (read.settings.rounds, read.n_worlds, policy_table(read)[0].idk.n) == (3, 3, 3)
    with pytest.raises(RefusedInputError, match="another n_samples"):
        list(run_post_training(replace(short, n_samples=7), records=records))


def test_a_policy_without_its_calibration_is_trained_again(tmp_path):
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    short = replace(SMALL, n_steps=4, n_points=2, rounds=1)
    whole = PostTrainingResult.of(short, run_post_training(short, records=records))
    older = RecordFile(tmp_path / "grades-post-training-older.jsonl")
    older.append_all(record for record in records.read() if record["kind"] != "calibration")
    again = PostTrainingResult.of(short, run_post_training(short, records=older))
    assert everything(again) == everything(whole) == everything(read_post_training(older))


def test_the_small_network_as_a_base(tmp_path):
    settings = replace(
        SMALL, learner="qwen", n_samples=300, n_steps=20, n_points=2, rounds=1,
        qwen=FactsQwenSettings(hidden_size=32, n_layers=1, n_heads=2, epochs=2),
    )  # fmt: skip
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    steps = run_post_training(settings, records=records)
    assert next(steps) == BaseEpoch(0, 0, 2)
    steps.close()  # stopped in training: nothing is left but the settings
    assert [record["kind"] for record in records.read()] == ["settings"]
    found = list(run_post_training(settings, records=records))
    assert [point.epoch for point in found if isinstance(point, BaseEpoch)] == [0, 1, 2]
    facts, counts = draw_facts(settings.world, settings.n_samples, 0)
    trained = list(train_facts_qwen(facts, counts, settings.qwen, seed=0))[-1].learned
    policy, halves = prepared(settings)
    assert (policy.learned.probability == trained.probability).all()
    base = PostTrainingResult.of(settings, found).finished(BASE, 0.0)[0]
    assert base.wrong == policy.behaviour(np.zeros(4), 0.0, halves[HELD_OUT]).wrong
    assert not [
        point for point in run_post_training(settings, records=records) if isinstance(point, BaseEpoch)
    ]
    assert read_post_training(records).settings == settings


def test_calibration_against_every_answer_one_by_one():
    policy, halves = prepared(SMALL)
    theta, weights = np.array([0.3, -0.4, 0.5, 0.7]), halves[HELD_OUT]
    found = policy_calibration(policy, theta, 0.5, weights, seed=0, name="x")
    truth, answers, idk = policy.learned.truth, policy.answers(theta), policy.abstention(theta, 0.5)
    bins = [[0.0, 0.0, 0.0] for _ in range(10)]
    brier = loss = 0.0
    for c, weight in enumerate(weights):
        for r, p in enumerate(answers[c]):
            given = weight * (1 - idk[c]) * p * truth.n_members[c, r]
            is_right = float(truth.is_valid[c, r])
            if not given:
                continue
            own = bins[min(int(10 * p), 9)]
            for place, value in enumerate((given, given * p, given * is_right)):
                own[place] += value
            brier += given * (p - is_right) ** 2
            surprise = p if is_right else 1 - p
            loss += given * -np.log(np.clip(surprise, np.finfo(float).eps, 1))
    total = sum(given for given, _, _ in bins)
    assert found.accuracy == pytest.approx(sum(right for *_, right in bins) / total)
    assert found.confidence == pytest.approx(sum(sure for _, sure, _ in bins) / total)
    assert found.ece == pytest.approx(sum(abs(right - sure) for _, sure, right in bins) / total)
    shown = [(given, sure, right) for given, sure, right in bins if given >= SMALLEST_SHARE * total]
    assert found.mce == pytest.approx(max(abs(right - sure) / given for given, sure, right in shown))
    assert (found.brier, found.log_loss) == (
        pytest.approx(brier / total),
        pytest.approx(loss / total, rel=1e-6),
    )
    for place, (given, sure, right) in enumerate(bins):
        assert found.bin_share[place] == pytest.approx(given / total)
        if (given, sure, right) in shown:
            assert found.bin_confidence[place] == pytest.approx(sure / given)
            assert found.bin_accuracy[place] == pytest.approx(right / given)
        else:
            assert found.bin_accuracy[place] is None


def test_a_policy_that_never_answers_has_no_calibration():
    policy, halves = prepared(SMALL)
    found = policy_calibration(policy, np.array([400.0, 0, 0, 0]), 0.0, halves[HELD_OUT], seed=0, name="x")
    assert (found.ece, found.brier, found.accuracy) == (None, None, None)
    assert set(found.bin_accuracy) == {None}


def test_binary_grading_makes_it_surer_than_it_is_right(finished):
    rows = policy_calibrations(finished)
    base, binary = calibration_of(rows, BASE, 0.0), calibration_of(rows, BINARY, 0.0)
    assert base is not None
    assert binary is not None
    assert binary.ece.mean > base.ece.mean + 0.1
    assert binary.confidence.mean > binary.accuracy.mean + 0.1
    assert (base.ece_change.mean, base.ece_change_p) == (None, None)
    assert binary.ece_change.n == 2
    # the told policy at every measured target, the others at their own, the base once
    assert [(row.policy, row.target) for row in rows] == [
        (BASE, 0.0), (BINARY, 0.0), ("target 0.5", 0.5), ("target 0.9", 0.9),
        *((STATED, target) for target in (0.0, 0.5, 0.75, 0.9)),
    ]  # fmt: skip
    tested = [row.ece_change_p for row in rows if row.ece_change_p is not None]
    assert len(tested) == len(rows) - 1
    found = result_json(finished)
    assert len(found["calibration"]) == len(rows)
    assert found["n_worlds"] == 2


@pytest.mark.parametrize(
    ("accuracies", "word"),
    [
        ([0.8, 0.81, 0.82], KEPT), ([0.6, 0.61, 0.62], BROKEN), ([0.7, 0.75, 0.8], UNDECIDED), ([0.9], UNDECIDED),
        ([None, None], SILENT),
    ],
)  # fmt: skip
def test_a_word_is_kept_by_the_interval_and_silence_keeps_none(finished, accuracies, word):
    row = row_of(policy_table(finished), STATED, 0.75)
    assert row is not None
    assert replace(row, accuracy=over_worlds(accuracies, within=SHARE)).word == word


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learner": "oracle"}, "base learner among crowded, memoriser"),
        ({"targets": (1.0,)}, "confidence target"),
        ({"targets": (0.5, 0.9, 0.5)}, "every one of the targets once, got 0.5, 0.9, 0.5"),
        ({"audited_targets": (0.5, 0.5)}, "every one of the audited_targets once"),
        ({"n_steps": 0}, "n_steps"),
        ({"step_size": 0.0}, "step_size above 0"),
        ({"world": WorldSettings(n_prompts=1)}, "at least two prompts"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(RefusedInputError, match=words):
        replace(SMALL, **changes)


def test_records_of_something_else_are_refused(tmp_path):
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    records.append({"kind": "settings", "settings": {"n_steps": 3}})
    with pytest.raises(RefusedInputError, match="post-training run of this version"):
        read_post_training(records)


def test_the_interval_of_a_share_stays_a_share():
    found = over_worlds([0.0, 0.1, None], within=SHARE)
    assert (found.mean, found.n, found.n_missing) == (0.05, 2, 1)
    assert (found.low, found.high <= 1) == (0.0, True)
    assert over_worlds([None]).mean is None
