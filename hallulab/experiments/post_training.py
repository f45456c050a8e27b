"""Post-training an answer policy on arbitrary facts by exact policy gradient, under binary and under target graders.

The base learner keeps what it knows. What is trained is how it behaves (§4 of [KNVZ]): when
to say IDK, and how much to sharpen its guesses. Four numbers θ, shared by all prompts, begin at 0, the base itself:

    P(IDK | c, t) = σ(log-odds of p̂(IDK|c) + θ₀ + θ₁ o(c) + θ₂ o(t)),   P(r | c, answering) ∝ p̂(r|c)^(1 + θ₃),

with o the log-odds of the base's confidence in its likeliest answer and of the stated target. Expected points and
their gradient are sums over all answers: nothing is sampled. Prompts of the other half are never trained on.
"""

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.data.coins import check_whole
from hallulab.data.facts_world import MAX_SAMPLES, WorldSettings, draw_counts, draw_world
from hallulab.errors import RefusedInputError
from hallulab.models.crowded_memory import crowded_memory
from hallulab.models.fact_learners import EXACT_LEARNERS, Learned
from hallulab.records import RecordFile, as_plain, library_versions
from hallulab.theory.confidence_targets import penalty
from hallulab.theory.is_it_valid import reduction

RECORDS_PATTERN = "grades-post-training-*.jsonl"
WORLD, SAMPLES, SPLIT, SLOTS = range(4)
"""streams of random numbers of one seed"""
ABSTAIN_BIAS, BY_CONFIDENCE, BY_TARGET, SHARPENING = range(4)
"""places in θ"""
BASE, BINARY, STATED = "base", "binary", "stated targets"
"""the untrained policy; the policy trained by a binary grader; the one policy that is told the target"""
CROWDED = "crowded"
LEARNERS = (CROWDED, *EXACT_LEARNERS)
MAX_SHARPENING = 50.0

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PostTrainingSettings:
    """One run."""

    world: WorldSettings = field(
        default_factory=lambda: WorldSettings(
            n_prompts=2_000, n_answers=12, zipf_exponent=0.6, answer_rate=0.8
        )
    )
    n_samples: int = 20_000
    """N: training samples of the base learner"""
    learner: str = CROWDED
    """`CROWDED`, which is more or less sure of its answers, or one of `EXACT_LEARNERS`"""
    n_slots: int = 1_000
    """room of the crowded memory"""
    targets: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    """of the graders besides the binary one; the policy that is told the target trains on all of them and on 0"""
    audited_targets: tuple[float, ...] = (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8, 0.9, 0.95)
    """at which the finished policies are measured, also those that were never trained on"""
    n_steps: int = 400
    """steps of gradient ascent"""
    step_size: float = 0.2
    """of Adam, in units of θ"""
    n_points: int = 20
    """how often a policy is measured on its way"""
    log_odds_limit: float = 6.0
    """o is cut at ± this: a base with p̂(IDK|c) = 0 can still learn to abstain, and 100 % is no infinity"""
    rounds: int = 5
    """worlds, with seeds seed, seed + 1, …"""
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("n_samples", self.n_samples, 1, MAX_SAMPLES)
        check_whole("n_steps", self.n_steps, 1, 100_000)
        check_whole("n_points", self.n_points, 1, self.n_steps)
        check_whole("rounds", self.rounds, 1, 1_000)
        check_whole("seed", self.seed, 0, 2**31)
        check_whole("n_slots", self.n_slots, 1, 10_000_000)
        if self.learner not in LEARNERS:
            raise RefusedInputError(
                f"expected a base learner among {', '.join(LEARNERS)}, got {self.learner!r}"
            )
        if self.world.n_prompts < 2:
            raise RefusedInputError("expected at least two prompts, one to train on and one held out, got 1")
        for target in (*self.targets, *self.audited_targets):
            penalty(target)
        for name in ("step_size", "log_odds_limit"):
            if not 0 < getattr(self, name) < 100:
                raise RefusedInputError(f"expected {name} above 0 and below 100, got {getattr(self, name)}")

    @property
    def graders(self) -> dict[str, tuple[float, ...]]:
        """Policy → the targets that its grader uses; the last one's are stated in the prompt."""
        own = {grader_name(target): (target,) for target in self.targets if target > 0}
        return {BINARY: (0.0,)} | own | {STATED: tuple(dict.fromkeys((0.0, *self.targets)))}

    @property
    def seeds(self) -> range:
        """The seed of every round."""
        return range(self.seed, self.seed + self.rounds)


@dataclass(frozen=True)
class PolicyPoint:
    """A policy at one step, graded at one target, on one half of the prompts; exact for its world."""

    seed: int
    policy: str
    """`BASE`, or a name in `PostTrainingSettings.graders`"""
    step: int
    """of training; the last one is the finished policy"""
    target: float
    """that the grader uses, and that is stated to the policy that reads it"""
    split: str
    """`trained` or `held out`: which half of the prompts"""
    points: float
    """expected, a prompt"""
    rule_points: float
    """of the rule that needs no training: the base's likeliest answer iff its confidence exceeds t"""
    idk: float
    """how often the policy says IDK"""
    right: float
    wrong: float
    """how often it gives another answer, implausible ones included: the hallucination rate"""
    theta: tuple[float, ...]
    delta: float
    """δ = |p̂(A) − p(A)| of the policy over all prompts, against the data (§3.1 of [KNVZ])"""

    @property
    def answered(self) -> float:
        """Coverage."""
        return self.right + self.wrong

    @property
    def accuracy(self) -> float | None:
        """Right among answered; None where it practically never answers."""
        return self.right / self.answered if self.answered > 1e-9 else None


@dataclass(frozen=True)
class PostTrainingResult:
    """What a run measured."""

    settings: PostTrainingSettings
    points: tuple[PolicyPoint, ...]
    versions: dict[str, str]

    def finished(self, policy: str, target: float, split: str = "held out") -> list[PolicyPoint]:
        """One policy's last points at one target, one a round."""
        last = 0 if policy == BASE else self.settings.n_steps
        return [
            point
            for point in self.points
            if (point.policy, point.target, point.split, point.step) == (policy, target, split, last)
        ]

    def path(self, policy: str, target: float, split: str = "held out") -> dict[int, list[PolicyPoint]]:
        """One policy's points by step, from the base it began as."""
        found: dict[int, list[PolicyPoint]] = {}
        for point in self.points:
            begins = point.policy == BASE and point.step == 0
            if (point.policy == policy or begins) and (point.target, point.split) == (target, split):
                found.setdefault(point.step, []).append(point)
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Behaviour:
    """What a policy does at one target, over a set of prompts."""

    points: float
    idk: float
    right: float
    wrong: float


class AnswerPolicy:
    """A base learner's answers under four numbers θ, shape (4,), that decide how it behaves.

    Args:
        learned: what the base learner says, and the truth.
        log_odds_limit: log-odds are cut at ± this.
    """

    def __init__(self, learned: Learned, log_odds_limit: float = 6.0):
        self.learned = learned
        truth, model = learned.truth, learned.probability
        answers = model[:, :-1]  # IDK is the last column, of three or of all
        self._members, self._right = truth.n_members[:, :-1], truth.is_valid[:, :-1]
        given = (answers * self._members).sum(axis=1)  # (n_prompts,)
        self._can_answer = given > 0
        # what the base loses to implausible answers stays lost, and counts as wrong
        self._kept = np.minimum(1.0, given / np.where(self._can_answer, 1 - model[:, -1], 1.0))
        self._log_answers = np.log(answers, out=np.full(answers.shape, -np.inf), where=answers > 0)
        self._limit = log_odds_limit
        self._idk_log_odds = self._log_odds(model[:, -1])
        shares = answers / np.where(self._can_answer, given, 1.0)[:, None]
        self.confidence: Values = self._kept * shares.max(axis=1)
        """of the base in its likeliest answer, when it answers; shape (n_prompts,)"""
        self._confidence_log_odds = self._log_odds(self.confidence)

    def abstention(self, theta: Values, target: float) -> Values:
        """P(IDK | c, t), shape (n_prompts,)."""
        logit = (
            self._idk_log_odds
            + theta[ABSTAIN_BIAS]
            + theta[BY_CONFIDENCE] * self._confidence_log_odds
            + theta[BY_TARGET] * float(self._log_odds(np.array(target)))
        )
        return np.where(self._can_answer, 1 / (1 + np.exp(-np.clip(logit, -500, 500))), 1.0)

    def answers(self, theta: Values) -> Values:
        """P(r | c, answering) of one member of each column but IDK, shape (n_prompts, n_columns − 1)."""
        power = (1 + theta[SHARPENING]) * self._log_answers
        top = np.where(self._can_answer, power.max(axis=1), 0.0)
        weight = np.where(np.isfinite(self._log_answers), np.exp(power - top[:, None]), 0.0)
        total = (weight * self._members).sum(axis=1)
        return weight * (self._kept / np.where(total > 0, total, 1.0))[:, None]

    def behaviour(self, theta: Values, target: float, weights: Values) -> Behaviour:
        """What it does when the target is stated, and its expected points at that target; `weights` sum to 1."""
        right_share = (self.answers(theta) * self._members * self._right).sum(axis=1)
        answered = 1 - self.abstention(theta, target)
        right, wrong = (
            float(weights @ (answered * right_share)),
            float(weights @ (answered * (1 - right_share))),
        )
        return Behaviour(right - penalty(target) * wrong, 1 - right - wrong, right, wrong)

    def expected_points(
        self, theta: Values, targets: Sequence[float], weights: Values
    ) -> tuple[float, Values]:
        """Mean over targets of the expected points a prompt, and its exact gradient in θ, shape (4,)."""
        answers = self.answers(theta) * self._members
        right_share = (answers * self._right).sum(axis=1)
        log_answers = np.where(np.isfinite(self._log_answers), self._log_answers, 0.0)
        mean_log = (answers * log_answers).sum(axis=1) / np.where(self._kept > 0, self._kept, 1.0)
        sharper = (answers * self._right * (log_answers - mean_log[:, None])).sum(axis=1)
        total, gradient = 0.0, np.zeros(4)
        for target in targets:
            cost = penalty(target)
            idk = self.abstention(theta, target)
            value = right_share - cost * (1 - right_share)
            total += float(weights @ ((1 - idk) * value))
            by_logit = -weights * idk * (1 - idk) * value
            gradient[ABSTAIN_BIAS] += by_logit.sum()
            gradient[BY_CONFIDENCE] += by_logit @ self._confidence_log_odds
            gradient[BY_TARGET] += by_logit.sum() * float(self._log_odds(np.array(target)))
            gradient[SHARPENING] += (weights * (1 - idk)) @ ((1 + cost) * sharper)
        return total / len(targets), gradient / len(targets)

    def rule_points(self, target: float, weights: Values) -> float:
        """Expected points of the base's likeliest answer, given iff its confidence exceeds the target."""
        top = self._log_answers.max(axis=1, keepdims=True)
        likeliest = np.isfinite(self._log_answers) & (self._log_answers >= top) & (self._members > 0)
        n_likeliest = (likeliest * self._members).sum(axis=1)
        right = (
            self._kept * (likeliest * self._members * self._right).sum(axis=1) / np.maximum(n_likeliest, 1)
        )
        value = right - penalty(target) * (1 - right)
        return float(weights @ np.where(self._can_answer & (self.confidence > target), value, 0.0))

    def delta(self, theta: Values, target: float) -> float:
        """δ of the policy over all prompts, against what the data says."""
        idk = self.abstention(theta, target)
        probability = np.column_stack([(1 - idk)[:, None] * self.answers(theta), idk])
        return float(reduction(self.learned.truth, probability).delta)

    def _log_odds(self, probability: Values) -> Values:
        with np.errstate(divide="ignore"):
            return np.clip(np.log(probability) - np.log1p(-probability), -self._limit, self._limit)


def run_post_training(
    settings: PostTrainingSettings, *, records: RecordFile | None = None
) -> Generator[PolicyPoint]:
    """Train every policy in every world, yielding point by point; close it to stop.

    Args:
        settings: the run.
        records: where points are kept; a policy whose last point it holds is not trained again.

    Raises RefusedInputError when `records` belongs to a run with other settings.
    """
    kept = _kept_points(settings, records) if records else []
    if records and not records.read():
        records.append({"kind": "settings", "settings": asdict(settings), "versions": library_versions()})
    yield from kept
    finished = {(point.seed, point.policy) for point in kept}
    for seed in settings.seeds:
        policy, halves = prepare(settings, seed)
        for name in (BASE, *settings.graders):
            if (seed, name) in finished:
                continue
            points = list(_trained(settings, seed, name, policy, halves))
            if records:  # all points of a policy or none
                records.append_all([{"kind": "policy"} | asdict(point) for point in points])
            yield from points


def prepare(settings: PostTrainingSettings, seed: int) -> tuple[AnswerPolicy, dict[str, Values]]:
    """The base learner of one world, and the weights of the prompts of each half; each sum to 1."""
    world = draw_world(settings.world, rng=np.random.default_rng([seed, WORLD]))
    counts = draw_counts(world, settings.n_samples, rng=np.random.default_rng([seed, SAMPLES]))
    if settings.learner == CROWDED:
        slots = np.random.default_rng([seed, SLOTS])
        learned = crowded_memory(world, counts, settings.n_slots, rng=slots)
    else:
        learned = EXACT_LEARNERS[settings.learner](world, counts)
    order = np.random.default_rng([seed, SPLIT]).permutation(world.n_prompts)
    is_trained = np.zeros(world.n_prompts, dtype=bool)
    is_trained[order[: world.n_prompts // 2]] = True
    mu = world.prompt_weights
    halves = {
        "trained": np.where(is_trained, mu, 0.0) / mu[is_trained].sum(),
        "held out": np.where(is_trained, 0.0, mu) / mu[~is_trained].sum(),
    }
    return AnswerPolicy(learned, settings.log_odds_limit), halves


def grader_name(target: float) -> str:
    """What the policy trained by a grader with this target is called."""
    return f"target {target:g}"


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
        header = next(record for record in found if record.get("kind") == "settings")
        given: dict[str, Any] = dict(header["settings"])
        given["world"] = WorldSettings(**given["world"])
        given |= {name: tuple(given[name]) for name in ("targets", "audited_targets")}
        settings = PostTrainingSettings(**given)
        return PostTrainingResult(settings, tuple(_points_of(found)), header.get("versions", {}))
    except (StopIteration, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected a post-training run of this version in {records.path}, got another ({error}): make one with "
            "`python -m hallulab post-train --out FOLDER`"
        ) from error


def _trained(
    settings: PostTrainingSettings, seed: int, name: str, policy: AnswerPolicy, halves: dict[str, Values]
) -> Generator[PolicyPoint]:
    """Points of one policy from its first measured step to its last."""
    everything = tuple(dict.fromkeys((0.0, *settings.targets, *settings.audited_targets)))
    theta = np.zeros(4)
    if name == BASE:
        yield from _measured(policy, theta, halves, everything, seed=seed, name=name, step=0)
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


def _measured(
    policy: AnswerPolicy,
    theta: Values,
    halves: dict[str, Values],
    targets: Sequence[float],
    *,
    seed: int,
    name: str,
    step: int,
) -> Generator[PolicyPoint]:
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


def _kept_points(settings: PostTrainingSettings, records: RecordFile) -> list[PolicyPoint]:
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
    last = {(point.seed, point.policy) for point in points if point.step in (0, settings.n_steps)}
    return [point for point in points if (point.seed, point.policy) in last]


def _points_of(found: list[dict[str, Any]]) -> list[PolicyPoint]:
    points = {}
    for record in found:
        if record.get("kind") == "policy":
            own: dict[str, Any] = {one.name: record[one.name] for one in fields(PolicyPoint)}
            own["theta"] = tuple(own["theta"])
            point = PolicyPoint(**own)
            points[point.seed, point.policy, point.step, point.target, point.split] = point
    return list(points.values())
