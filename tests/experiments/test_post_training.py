from dataclasses import replace

import numpy as np
import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.post_training import (
    BASE,
    BINARY,
    CROWDED,
    STATED,
    AnswerPolicy,
    PostTrainingResult,
    PostTrainingSettings,
    prepare,
    read_post_training,
    run_post_training,
)
from hallulab.experiments.post_training_summary import over_worlds, policy_table, row_of
from hallulab.models.fact_learners import EXACT_LEARNERS
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
    policy, halves = prepare(replace(SMALL, learner=learner, n_samples=400), 0)
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
    policy, halves = prepare(SMALL, 0)
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
    return PostTrainingResult(SMALL, tuple(run_post_training(SMALL)), {})


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
    rows = policy_table(PostTrainingResult(settings, tuple(run_post_training(settings)), {}))
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


def test_a_killed_run_goes_on_and_repeats_nothing(tmp_path, finished):
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    steps = run_post_training(SMALL, records=records)
    for _ in range(30):
        next(steps)
    steps.close()
    n_kept = len(records.read())
    again = list(run_post_training(SMALL, records=records))
    assert sorted(map(repr, again)) == sorted(map(repr, finished.points))
    lines = records.read()
    assert len(lines) == 1 + len(again)
    assert lines[:n_kept] == records.read()[:n_kept]
    read = read_post_training(records)
    assert read.settings == SMALL
    assert sorted(map(repr, read.points)) == sorted(map(repr, finished.points))


def test_more_rounds_may_be_added_but_nothing_else_changed(tmp_path):
    records = RecordFile(tmp_path / "grades-post-training-x.jsonl")
    short = replace(SMALL, n_steps=4, n_points=2, rounds=1)
    list(run_post_training(short, records=records))
    assert {point.seed for point in run_post_training(replace(short, rounds=2), records=records)} == {0, 1}
    with pytest.raises(RefusedInputError, match="another n_samples"):
        list(run_post_training(replace(short, n_samples=7), records=records))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learner": "oracle"}, "base learner among crowded, memoriser"),
        ({"targets": (1.0,)}, "confidence target"),
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
    found = over_worlds([0.0, 0.1, None], is_share=True)
    assert (found.mean, found.n) == (0.05, 2)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high <= 1) == (0.0, True)
    assert over_worlds([None]).mean is None
