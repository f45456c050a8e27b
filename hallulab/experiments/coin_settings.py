"""What a coin run is asked for (Section 7.1 of [LHZSL])."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from hallulab.data.coins import MAX_FLIPS, check_coins_per_draw, check_whole
from hallulab.errors import RefusedInputError
from hallulab.scoring.coin_rule import CoinRule

if TYPE_CHECKING:  # the command line reads the defaults, and need not wait for torch
    from hallulab.models.coin_transformer import CoinTokens
    from hallulab.scoring.coins import CoinLaw, Rounding

Variant = Literal["fixed", "paper_code"]
ObjectiveName = Literal["squared_error", "absolute_error", "cross_entropy", "modal"]
MIN_FLIPS = 10
MAX_POINTS_PER_EPOCH = 100


@dataclass(frozen=True)
class VariantChoices:
    """What a variant decides; each is a known difference between the public code and a clean experiment."""

    tokens: "CoinTokens"
    """how the labels enter the network"""
    dropout: float
    rounding: "Rounding"
    """how a prediction becomes a number of heads"""
    law: "CoinLaw"
    """the coin law that scores the answers"""
    batch_size: int
    """what it trains with, unless something else is chosen"""
    learning_rate: float
    """of Adam, unless something else is chosen"""


VARIANTS: dict[str, VariantChoices] = {
    "fixed": VariantChoices("coin", 0.0, "nearest", "data", batch_size=256, learning_rate=3e-4),
    "paper_code": VariantChoices("vector", 0.1, "ceil", "shifted", batch_size=64, learning_rate=1e-4),
}
PAPER_TRAINING: Mapping[str, Any] = {"batch_size": 64, "learning_rate": 1e-4, "epochs": 20, "rounds": 5}


@dataclass(frozen=True)
class CoinSettings:
    """One run; the defaults finish while somebody watches, `as_in_paper` has the paper's numbers."""

    coins_per_draw: int = 2
    """N: how many of the 2N coins are drawn and flipped"""
    flips: int = 20_000
    """M: how often N coins are drawn and flipped, training and held-out together"""
    epochs: int = 20
    batch_size: int = VARIANTS["fixed"].batch_size
    learning_rate: float = VARIANTS["fixed"].learning_rate
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
        is_number = isinstance(self.learning_rate, int | float) and not isinstance(self.learning_rate, bool)
        if not is_number or not 0 < self.learning_rate <= 1:
            raise RefusedInputError(
                f"expected a learning rate above 0 and at most 1, got {self.learning_rate!r}"
            )
        if not isinstance(self.held_out_share, int | float) or not 0 < self.held_out_share < 1:
            raise RefusedInputError(f"expected a held-out share between 0 and 1, got {self.held_out_share}")
        _check_one_of("variant", self.variant, get_args(Variant))
        _check_one_of("objective", self.objective, get_args(ObjectiveName))
        CoinRule(self.hdr_mass, self.delta)

    def as_in_paper(self) -> "CoinSettings":
        """The same run with the paper's training: batches of 64, Adam at 1e-4, 20 epochs, 5 rounds."""
        return replace(self, **PAPER_TRAINING)

    def judged_by(self, rule: CoinRule) -> "CoinSettings":
        """The same training, its answers judged by another line."""
        return replace(self, delta=rule.delta, hdr_mass=rule.hdr_mass)

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


def settings_of(variant: str, chosen: Mapping[str, Any]) -> CoinSettings:
    """A run of this variant: what was chosen, else what the variant trains with, else the defaults.

    Raises RefusedInputError for a variant that does not exist, or settings that cannot be run.
    """
    _check_one_of("variant", variant, get_args(Variant))
    choices = VARIANTS[variant]
    wanted: dict[str, Any] = {"batch_size": choices.batch_size, "learning_rate": choices.learning_rate}
    wanted |= {**chosen, "variant": variant}
    return CoinSettings(**wanted)


def _check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RefusedInputError(f"expected {name} {' or '.join(allowed)}, got {value!r}: choose one of these")
