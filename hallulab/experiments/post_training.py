"""Post-training an answer policy on arbitrary facts by exact policy gradient, under binary and under target graders.

What is trained is how a base learner behaves: the four numbers of `AnswerPolicy`. Prompts of the other half are never
trained on. Every finished policy is measured at all targets, its calibration too.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hallulab.data.facts_world import FactsWorld, TrainingCounts, WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.answer_policy import SHARPENING, AnswerPolicy, Values
from hallulab.experiments.facts_measure import draw_facts
from hallulab.experiments.facts_run import QWEN
from hallulab.experiments.facts_training import train_facts_qwen
from hallulab.experiments.policy_calibration import policy_calibration
from hallulab.experiments.post_training_run import (
    BASE,
    CROWDED,
    HELD_OUT,
    STATED,
    BaseEpoch,
    CalibrationPoint,
    PolicyPoint,
    PostTrainingPoint,
    PostTrainingResult,
    PostTrainingSettings,
)
from hallulab.models.crowded_memory import crowded_memory
from hallulab.models.fact_learners import EXACT_LEARNERS, Learned
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.records import RecordFile, as_plain, as_tuples, library_versions

RECORDS_PATTERN = "grades-post-training-*.jsonl"
SPLIT, SLOTS = 2, 3
"""streams of random numbers of one seed, beside those of the world and of its training data"""
MAX_SHARPENING = 50.0
KINDS: dict[str, type[PostTrainingPoint]] = {"policy": PolicyPoint, "calibration": CalibrationPoint}

Halves = dict[str, Values]
"""of the prompts: name → weights that sum to 1, shape (n_prompts,)"""


def run_post_training(
    settings: PostTrainingSettings,
    *,
    records: RecordFile | None = None,
    device: torch.device | str = "cpu",
) -> Generator[PostTrainingPoint | BaseEpoch]:
    """Train every policy in every world, yielding point by point; close it to stop.

    Args:
        settings: the run.
        records: where points are kept; a policy whose last point it holds is not trained again.
        device: where a base that is a network learns.

    Raises RefusedInputError when `records` belongs to a run with other settings.
    """
    kept = _kept_points(settings, records) if records else []
    if records and not _is_asked(settings, records):
        records.append({"kind": "settings", "settings": asdict(settings), "versions": library_versions()})
    yield from kept
    finished = {(point.seed, point.policy) for point in kept}
    for seed in settings.seeds:
        missing = [name for name in (BASE, *settings.graders) if (seed, name) not in finished]
        if not missing:
            continue
        policy, halves = yield from prepare(settings, seed, device=device)
        for name in missing:
            points = list(_trained(settings, seed, name, policy, halves))
            if records:  # all points of a policy or none
                records.append_all([{"kind": _kind(point)} | asdict(point) for point in points])
            yield from points


def prepare(
    settings: PostTrainingSettings, seed: int, *, device: torch.device | str = "cpu"
) -> Generator[BaseEpoch, None, tuple[AnswerPolicy, Halves]]:
    """The base learner of one world and the halves of its prompts, yielding how far its training is."""
    facts, counts = draw_facts(settings.world, settings.n_samples, seed)
    learned = yield from _learned(settings, facts, counts, seed, device)
    order = np.random.default_rng([seed, SPLIT]).permutation(facts.n_prompts)
    is_trained = np.zeros(facts.n_prompts, dtype=bool)
    is_trained[order[: facts.n_prompts // 2]] = True
    mu = facts.prompt_weights
    halves = {
        "trained": np.where(is_trained, mu, 0.0) / mu[is_trained].sum(),
        HELD_OUT: np.where(is_trained, 0.0, mu) / mu[~is_trained].sum(),
    }
    return AnswerPolicy(learned, settings.log_odds_limit), halves


def _learned(
    settings: PostTrainingSettings,
    facts: FactsWorld,
    counts: TrainingCounts,
    seed: int,
    device: torch.device | str,
) -> Generator[BaseEpoch, None, Learned]:
    if settings.learner == CROWDED:
        slots = np.random.default_rng([seed, SLOTS])
        return crowded_memory(facts, counts, settings.n_slots, rng=slots)
    if settings.learner != QWEN:
        return EXACT_LEARNERS[settings.learner](facts, counts)
    learned: Learned | None = None
    for trained in train_facts_qwen(facts, counts, settings.qwen, seed=seed, device=device):
        learned = trained.learned
        yield BaseEpoch(seed, trained.epoch, settings.qwen.epochs)
    assert learned is not None  # the last epoch is always read
    return learned


def records_path(folder: Path, settings: PostTrainingSettings) -> Path:
    """The file below `folder` that holds this run's points."""
    world = settings.world
    return folder / (
        f"grades-post-training-{settings.learner}-{world.n_prompts}x{world.n_answers}-N{settings.n_samples}.jsonl"
    )


def read_post_training(records: RecordFile) -> PostTrainingResult:
    """What a run recorded, finished or killed.

    Raises RefusedInputError for records that this version cannot read.
    """
    found = records.read()
    try:
        headers = [record for record in found if record.get("kind") == "settings"]
        given: dict[str, Any] = dict(headers[-1]["settings"])
        given["world"], given["qwen"] = (
            WorldSettings(**given["world"]),
            FactsQwenSettings(**given["qwen"]),
        )
        given |= {name: tuple(given[name]) for name in ("targets", "audited_targets")}
        # a run may be asked for again with more rounds, or with fewer: what it holds is what counts
        given["rounds"] = max(header["settings"]["rounds"] for header in headers)
        settings = PostTrainingSettings(**given)
        return PostTrainingResult.of(settings, _points_of(found), headers[-1].get("versions", {}))
    except (IndexError, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected a post-training run of this version in {records.path}, got another ({error}): make one with "
            "`python -m hallulab post-train --out FOLDER`"
        ) from error


def _trained(
    settings: PostTrainingSettings, seed: int, name: str, policy: AnswerPolicy, halves: Halves
) -> Iterator[PostTrainingPoint]:
    """Points of one policy from its first measured step to its last, then its calibration."""
    everything = tuple(dict.fromkeys((0.0, *settings.targets, *settings.audited_targets)))
    theta = np.zeros(4)
    if name == BASE:
        yield from _measured(policy, theta, halves, everything, seed=seed, name=name, step=0)
        yield policy_calibration(policy, theta, 0.0, halves[HELD_OUT], seed=seed, name=name)
        return
    targets = settings.graders[name]
    measured_at = {round(n * settings.n_steps / settings.n_points) for n in range(1, settings.n_points + 1)}
    mean, square = np.zeros(4), np.zeros(4)
    # without a stated target there is nothing to read
    reads = np.array([1.0, 1.0, float(name == STATED), 1.0])
    for step in range(1, settings.n_steps + 1):
        _, gradient = policy.expected_points(theta, targets, halves["trained"])
        gradient *= reads
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        step_of = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        theta = theta + settings.step_size * step_of
        theta[SHARPENING] = np.clip(theta[SHARPENING], -1.0, MAX_SHARPENING)
        if step in measured_at:
            graded = everything if step == settings.n_steps else targets
            yield from _measured(policy, theta, halves, graded, seed=seed, name=name, step=step)
    for target in everything if name == STATED else targets:
        yield policy_calibration(policy, theta, target, halves[HELD_OUT], seed=seed, name=name)


def _measured(
    policy: AnswerPolicy,
    theta: Values,
    halves: Halves,
    targets: Sequence[float],
    *,
    seed: int,
    name: str,
    step: int,
) -> Iterator[PolicyPoint]:
    for target in targets:
        for split, weights in halves.items():
            found = policy.behaviour(theta, target, weights)
            yield PolicyPoint(
                seed=seed,
                policy=name,
                step=step,
                target=target,
                split=split,
                points=found.points,
                rule_points=policy.rule_points(target, weights),
                idk=found.idk,
                right=found.right,
                wrong=found.wrong,
                theta=tuple(float(value) for value in theta),
                delta=policy.delta(theta, target),
            )


def _kind(point: PostTrainingPoint) -> str:
    return next(kind for kind, points in KINDS.items() if isinstance(point, points))


def _is_asked(settings: PostTrainingSettings, records: RecordFile) -> bool:
    """Whether the file says that this very run was asked for."""
    ours = as_plain(asdict(settings))
    return any(
        record.get("kind") == "settings" and record.get("settings") == ours for record in records.read()
    )


def _kept_points(settings: PostTrainingSettings, records: RecordFile) -> list[PostTrainingPoint]:
    """What an earlier run with these settings left, of the rounds asked for."""
    found = records.read()
    for header in (record for record in found if record.get("kind") == "settings"):
        ours, theirs = as_plain(asdict(settings)), header.get("settings", {})
        differing = [name for name in ours if name != "rounds" and theirs.get(name) != ours[name]]
        if differing:
            raise RefusedInputError(
                f"expected a run with the same settings in {records.path}, got another {', '.join(differing)}: "
                "choose another --out"
            )
    points = [point for point in _points_of(found) if point.seed in settings.seeds]
    # the calibration is written with a policy's last point
    finished = {(point.seed, point.policy) for point in points if isinstance(point, CalibrationPoint)}
    return [point for point in points if (point.seed, point.policy) in finished]


def _points_of(found: list[dict[str, Any]]) -> list[PostTrainingPoint]:
    points = {}
    for record in found:
        wanted = KINDS.get(record.get("kind", ""))
        if wanted is None:
            continue
        point = wanted(**{one.name: as_tuples(record[one.name]) for one in fields(wanted)})
        key = [getattr(point, name, None) for name in ("seed", "policy", "step", "target", "split")]
        points[wanted, *key] = point
    return list(points.values())
