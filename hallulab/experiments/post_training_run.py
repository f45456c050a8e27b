"""What a post-training run is asked for, and what it measures (§4 of [KNVZ])."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hallulab.data.coins import check_whole
from hallulab.data.facts_world import MAX_SAMPLES, WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_run import QWEN
from hallulab.models.fact_learners import EXACT_LEARNERS
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.theory.confidence_targets import penalty

BASE, BINARY, STATED = "base", "binary", "stated targets"
"""the untrained policy; the policy trained by a binary grader; the one policy that is told the target"""
CROWDED = "crowded"
LEARNERS = (CROWDED, *EXACT_LEARNERS, QWEN)
HELD_OUT = "held out"


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
    """one of `LEARNERS`: `CROWDED`, which is more or less sure of its answers, a computed one, or the small network"""
    n_slots: int = 1_000
    """room of the crowded memory"""
    qwen: FactsQwenSettings = field(default_factory=lambda: FactsQwenSettings(epochs=3))
    """of the network; trained on, it knows nearly everything that it read, and there is little left to teach"""
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
        for name in ("targets", "audited_targets"):
            given = getattr(self, name)
            for target in given:
                penalty(target)
            if len(set(given)) < len(given):
                raise RefusedInputError(
                    f"expected every one of the {name} once, got {', '.join(f'{target:g}' for target in given)}"
                )
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
    """`trained` or `HELD_OUT`: which half of the prompts"""
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
class CalibrationPoint:
    """How far a finished policy's confidence can be believed, on prompts it was not trained on; exact for its world.

    A statement is an answer that the policy gives: its confidence is P(r | c, answering), it counts as often as it is
    given, and it holds where it is right. Answers that are not even plausible are left out.
    """

    seed: int
    policy: str
    target: float
    """that is stated to the policy that reads it; the others are the same at every target"""
    accuracy: float | None
    """right among these answers; this and the rest None for a policy that practically never answers"""
    confidence: float | None
    """mean"""
    ece: float | None
    mce: float | None
    brier: float | None
    log_loss: float | None
    """nats"""
    bin_share: tuple[float, ...]
    """of the answers, in each of the ten bins of confidence"""
    bin_confidence: tuple[float | None, ...]
    """mean of each bin; None for one that holds next to nothing"""
    bin_accuracy: tuple[float | None, ...]


@dataclass(frozen=True)
class BaseEpoch:
    """How far the network of one world has come; nothing is measured yet."""

    seed: int
    epoch: int
    n_epochs: int


PostTrainingPoint = PolicyPoint | CalibrationPoint
"""what is recorded"""


@dataclass(frozen=True)
class PostTrainingResult:
    """What a run measured."""

    settings: PostTrainingSettings
    points: tuple[PolicyPoint, ...]
    calibrations: tuple[CalibrationPoint, ...]
    versions: dict[str, str]

    @staticmethod
    def of(
        settings: PostTrainingSettings, found: Iterable[object], versions: dict[str, str] | None = None
    ) -> "PostTrainingResult":
        """The result of what `run_post_training` yielded; progress is left aside."""
        every = list(found)
        return PostTrainingResult(
            settings,
            tuple(point for point in every if isinstance(point, PolicyPoint)),
            tuple(point for point in every if isinstance(point, CalibrationPoint)),
            versions or {},
        )

    @property
    def n_worlds(self) -> int:
        """Worlds that have a measured policy."""
        return len({point.seed for point in self.points})

    def calibrated(self, policy: str, target: float) -> list[CalibrationPoint]:
        """One policy's calibration at one target, one a round."""
        return [point for point in self.calibrations if (point.policy, point.target) == (policy, target)]

    def finished(self, policy: str, target: float, split: str = HELD_OUT) -> list[PolicyPoint]:
        """One policy's last points at one target, one a round."""
        last = 0 if policy == BASE else self.settings.n_steps
        return [
            point
            for point in self.points
            if (point.policy, point.target, point.split, point.step) == (policy, target, split, last)
        ]

    def path(self, policy: str, target: float, split: str = HELD_OUT) -> dict[int, list[PolicyPoint]]:
        """One policy's points by step, from the base it began as."""
        found: dict[int, list[PolicyPoint]] = {}
        for point in self.points:
            begins = point.policy == BASE and point.step == 0
            if (point.policy == policy or begins) and (point.target, point.split) == (target, split):
                found.setdefault(point.step, []).append(point)
        return dict(sorted(found.items()))


def grader_name(target: float) -> str:
    """What the policy trained by a grader with this target is called."""
    return f"target {target:g}"
