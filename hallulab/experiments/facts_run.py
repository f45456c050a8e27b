"""What a run on arbitrary facts is asked for, and what it measures (§3 of [KNVZ])."""

from dataclasses import dataclass, field

from hallulab.data.coins import check_whole
from hallulab.data.facts_world import MAX_SAMPLES, WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.models.fact_learners import EXACT_LEARNERS
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.theory.arbitrary_facts import FirstSize

QWEN = "qwen"
"""the learner that is trained; all others are computed"""
LEARNERS = (*EXACT_LEARNERS, QWEN)
FREQUENCIES = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 10), (11, 30), (31, None))
"""how often a fact was answered in training, from … to; None: without end"""
MAX_CURVE_SIZE = 10_000_000


@dataclass(frozen=True)
class FactsSettings:
    """One run: so many worlds of one kind, learners in each."""

    world: WorldSettings = field(default_factory=WorldSettings)
    n_samples: int = 3_000
    """N: training samples, IDK included"""
    learners: tuple[str, ...] = tuple(EXACT_LEARNERS)
    """which of `LEARNERS` learn each world"""
    rounds: int = 5
    """worlds, with seeds seed, seed + 1, …"""
    seed: int = 0
    qwen: FactsQwenSettings = field(default_factory=FactsQwenSettings)
    """of the learner `qwen`"""

    def __post_init__(self) -> None:
        check_whole("n_samples", self.n_samples, 1, MAX_SAMPLES)
        check_whole("rounds", self.rounds, 1, 1_000)
        check_whole("seed", self.seed, 0, 2**32 - 1)
        unknown = [name for name in self.learners if name not in LEARNERS]
        if unknown or not self.learners or len(set(self.learners)) < len(self.learners):
            raise RefusedInputError(
                f"expected learners among {', '.join(LEARNERS)}, each once, got {', '.join(self.learners) or 'none'}"
            )

    @property
    def seeds(self) -> range:
        """The seed of every round."""
        return range(self.seed, self.seed + self.rounds)


@dataclass(frozen=True)
class FrequencyBin:
    """Prompts by how often the training data answered them."""

    fewest: int
    most: int | None
    """None: without end"""
    n_prompts: int
    prompt_mass: float
    """Σ μ(c) of these prompts"""
    err: float | None
    """how often the learner errs when one of them is asked, by μ; None where there is none"""
    abstained: float | None
    """how often it says IDK; None where there is none"""

    @property
    def label(self) -> str:
        """The frequencies in words."""
        if self.most is None:
            return f"{self.fewest}+"
        return f"{self.fewest}" if self.fewest == self.most else f"{self.fewest}–{self.most}"


@dataclass(frozen=True)
class WorldPoint:
    """One world and its training data, before anybody learns from it."""

    seed: int
    n_samples: int
    n_once: int
    """facts answered exactly once"""
    n_twice: int
    singleton_rate: float
    """sr = n_once / N, Good and Turing's estimate of the missing mass"""
    missing_mass: float
    """the truth it estimates: how likely the next sample answers a fact that no training sample answered"""
    esty_interval: tuple[float, float]
    """95 %, asymptotic"""
    proved_interval: tuple[float, float]
    """95 % at least, in every world"""
    paper_upper_bound: float
    """Theorem 2, on the memoriser's err"""
    sharp_upper_bound: float
    """docs/facts.md, 4"""
    first_sizes: dict[str, FirstSize]
    """from how many samples each bound says something, by `BOUNDS` of facts_measure"""


@dataclass(frozen=True)
class LearnerPoint:
    """One learner in one world; every number is exact for this world, nothing is sampled."""

    seed: int
    learner: str
    epoch: int | None
    """of training; None for learners that are computed"""
    train_loss: float | None
    """nats a sample, mean over the epoch; None for learners that are computed, and untrained"""
    err: float
    """p̂(E): how often it generates an error"""
    abstained: float
    """how often it says IDK"""
    right: float
    """how often it gives the right answer"""
    lost_mass: float
    """how often it says something that is no plausible answer"""
    err_iiv: float
    """its Is-It-Valid error at the paper's threshold"""
    best_err_iiv: float
    """at the best threshold"""
    best_threshold: float
    overshoot: float
    """p̂(A) − p(A)"""
    delta: float
    """δ = |p̂(A) − p(A)|"""
    loss_slope: float
    """dL(p̂_s)/ds at s = 1, by differentiating the loss: δ again, but for its sign"""
    size_term: float
    """max|V_c| / min|E_c|"""
    bound: float
    """Theorem 1: err is at least this"""
    sharp_bound: float
    """docs/facts.md, 1: err is at least this"""
    paper_lower_bound: float
    """Theorem 2: err is at least this, with probability 99 %"""
    sharp_lower_bound: float
    """docs/facts.md, 4: the same, sharper"""
    loss: float | None
    """E[−ln p̂(r|c)] on new samples, nats; None where it is infinite"""
    by_frequency: tuple[FrequencyBin, ...]

    @property
    def ratio(self) -> float | None:
        """err / err_iiv, which the paper expects near 2 or above; None where nothing is misjudged."""
        return self.err / self.err_iiv if self.err_iiv > 0 else None


@dataclass(frozen=True)
class SizePoint:
    """The memoriser at one training size: bounds beside truth."""

    seed: int
    n_samples: int
    singleton_rate: float
    missing_mass: float
    err: float
    paper_lower_bound: float
    sharp_lower_bound: float
    paper_upper_bound: float
    sharp_upper_bound: float
