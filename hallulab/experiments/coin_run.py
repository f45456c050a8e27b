"""What a coin run is asked for, and what it tells while it trains (Section 7.1 of [LHZSL])."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from hallulab.data.coins import MAX_FLIPS, check_coins_per_draw, check_whole
from hallulab.errors import RefusedInputError
from hallulab.models.coin_transformer import CoinTokens
from hallulab.scoring.coins import CoinLaw, CoinRule, Rounding

Variant = Literal["fixed", "paper_code"]
ObjectiveName = Literal["squared_error", "absolute_error", "cross_entropy", "modal"]
MIN_FLIPS = 10
MAX_POINTS_PER_EPOCH = 100


@dataclass(frozen=True)
class VariantChoices:
    """What a variant decides; each is a known difference between the public code and a clean experiment."""

    tokens: CoinTokens
    """how the labels enter the network"""
    dropout: float
    rounding: Rounding
    """how a prediction becomes a number of heads"""
    law: CoinLaw
    """the coin law that scores the answers"""


VARIANTS: dict[str, VariantChoices] = {
    "fixed": VariantChoices(tokens="coin", dropout=0.0, rounding="nearest", law="data"),
    "paper_code": VariantChoices(tokens="vector", dropout=0.1, rounding="ceil", law="shifted"),
}


@dataclass(frozen=True)
class CoinSettings:
    """One run; the defaults finish while somebody watches, `as_in_paper` has the paper's numbers."""

    coins_per_draw: int = 2
    """N: how many of the 2N coins are drawn and flipped"""
    flips: int = 20_000
    """M: how often N coins are drawn and flipped, training and held-out together"""
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 3e-4
    """of Adam"""
    rounds: int = 5
    """independent repetitions, with seeds seed, seed + 1, …"""
    seed: int = 0
    variant: Variant = "fixed"
    """`fixed`, or `paper_code` for what the public code does; `VARIANTS` lists the differences"""
    objective: ObjectiveName = "squared_error"
    """what training minimises"""
    delta: float | None = 0.3
    """an answer with at most this probability hallucinates; None decides by `hdr_mass`"""
    hdr_mass: float = 0.9
    """share of the flips' probability that belongs inside; used when `delta` is None"""
    held_out_share: float = 0.2
    """share of the flips that is kept from training"""
    points_per_epoch: int = 4
    """how often the network is scored in an epoch; the last time at its end"""

    def __post_init__(self) -> None:
        check_coins_per_draw(self.coins_per_draw)
        check_whole("flips", self.flips, MIN_FLIPS, MAX_FLIPS)
        check_whole("epochs", self.epochs, 1, 10_000)
        check_whole("batch size", self.batch_size, 1, MAX_FLIPS)
        check_whole("rounds", self.rounds, 1, 1_000)
        check_whole("seed", self.seed, 0, 2**32 - 1)
        check_whole("points per epoch", self.points_per_epoch, 1, MAX_POINTS_PER_EPOCH)
        is_number = isinstance(self.learning_rate, int | float)
        if not is_number or not 0 < self.learning_rate <= 1:
            raise RefusedInputError(
                f"expected a learning rate above 0 and at most 1, got {self.learning_rate!r}"
            )
        if not 0 < self.held_out_share < 1:
            raise RefusedInputError(f"expected a held-out share between 0 and 1, got {self.held_out_share}")
        _check_one_of("variant", self.variant, get_args(Variant))
        _check_one_of("objective", self.objective, get_args(ObjectiveName))
        CoinRule(self.hdr_mass, self.delta)

    def as_in_paper(self) -> "CoinSettings":
        """The same run with the paper's training: batches of 64, Adam at 1e-4, 20 epochs, 5 rounds."""
        return replace(self, batch_size=64, learning_rate=1e-4, epochs=20, rounds=5)

    @property
    def choices(self) -> VariantChoices:
        """What the variant decides."""
        return VARIANTS[self.variant]

    @property
    def rule(self) -> CoinRule:
        """What counts as a δ-hallucination."""
        return CoinRule(self.hdr_mass, self.delta)

    @property
    def seeds(self) -> range:
        """The seed of every round."""
        return range(self.seed, self.seed + self.rounds)


@dataclass(frozen=True)
class CoinStep:
    """How far the training has come; all rounds advance together."""

    epoch: float
    """epochs behind this step, with fraction: mean over the rounds that train"""
    train_loss: float | None
    """the epoch's batches so far, in the objective's own loss: mean over the rounds that train"""


@dataclass(frozen=True)
class CoinPoint:
    """A network's answers to the held-out flips, scored at one moment of its training."""

    seed: int
    """of the round"""
    epoch: float
    """epochs behind this point; 0 is the untrained network"""
    answer: str
    """how the network's output became an answer: one of the objective's `answers`"""
    train_loss: float | None
    """the epoch's batches so far, in the objective's own loss; None before the first"""
    validation_loss: float | None
    """the held-out flips, in the objective's own loss"""
    squared_error: float | None
    """mean (answer − heads)² over the held-out flips, of the answer as given"""
    conditional_probability: float | None
    """mean probability of exactly the answered number of heads, under the variant's law"""
    conditional_probability_data_law: float | None
    """the same answers under the law that made the flips"""
    hallucination_rate: float | None
    """share of the answers that δ-hallucinate under the law that made the flips"""
    hallucination_interval: tuple[float, float] | None
    """95 % Wilson interval of that share"""
    best_conditional_probability: float
    """of the most likely count of each of the same draws: no answer does better on them"""
    bayes_mean_squared_error: float
    """mean squared error of the exact average on the same flips"""
    n: int
    """held-out flips scored"""
    n_missing: int
    """held-out flips whose answer was NaN"""

    @property
    def ends_epoch(self) -> bool:
        """Whether a whole epoch ends here: these are the points of the JSON contract."""
        return self.epoch > 0 and self.epoch == int(self.epoch)


def _check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RefusedInputError(f"expected {name} {' or '.join(allowed)}, got {value!r}: choose one of these")
