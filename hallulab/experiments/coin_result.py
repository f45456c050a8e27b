"""Everything that a coin run has measured so far, judged by one line, with the exact truth beside it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_points import CoinPoint, judged_points
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_exact import exact_scores
from hallulab.scoring.coin_rule import CoinRule


@dataclass(frozen=True)
class CoinResult:
    """A run, finished or not."""

    settings: CoinSettings
    """what was asked for; its rule is the one by which the points are judged"""
    points: tuple[CoinPoint, ...]
    """by seed and epoch"""
    exact: dict[str, Any]
    """as `hallulab.scoring.coin_exact.exact_scores`"""
    moments: tuple[CoinMoment, ...] = ()
    """what the points were made from, by seed and epoch"""
    measured_by: CoinRule = field(default_factory=CoinRule)
    """the rule by which the held-out flips were scored"""

    @property
    def answers(self) -> tuple[str, ...]:
        """How the networks' outputs became answers; the first is the one that curves show."""
        return OBJECTIVES[self.settings.objective].answers

    @property
    def started_seeds(self) -> tuple[int, ...]:
        """Seeds of the rounds that have points, ascending."""
        return tuple(sorted({point.seed for point in self.points}))

    @property
    def finished_seeds(self) -> tuple[int, ...]:
        """Seeds of the rounds that have all epochs behind them."""
        return tuple(seed for seed in self.started_seeds if self._n_epochs(seed) == self.settings.epochs)

    @property
    def compared_seeds(self) -> tuple[int, ...]:
        """The finished rounds, or where none is finished all that began: those that every mean is over."""
        return self.finished_seeds or self.started_seeds

    @property
    def left_out_seeds(self) -> tuple[int, ...]:
        """Rounds that began and did not finish, while others did."""
        return tuple(sorted(set(self.started_seeds) - set(self.compared_seeds)))

    @property
    def last_epoch(self) -> int | None:
        """The last epoch that every compared round has behind it; None before there is one."""
        return min(map(self._n_epochs, self.compared_seeds), default=0) or None

    @property
    def reached_epoch(self) -> float:
        """Epochs, with fraction, that every compared round has behind it."""
        return min((self.round_points(seed)[-1].epoch for seed in self.compared_seeds), default=0.0)

    def round_points(self, seed: int, answer: str | None = None) -> tuple[CoinPoint, ...]:
        """The points of one round in order, of the first answer unless another is named."""
        answer = answer or self.answers[0]
        return tuple(point for point in self.points if (point.seed, point.answer) == (seed, answer))

    def last_points(self, answer: str | None = None) -> tuple[CoinPoint, ...]:
        """Every compared round's point at `last_epoch`: rounds are compared after equal training."""
        epoch, seeds, answer = self.last_epoch, self.compared_seeds, answer or self.answers[0]
        return tuple(
            point
            for point in self.points
            if (point.epoch, point.answer) == (epoch, answer) and point.seed in seeds
        )

    def last_moments(self) -> tuple[CoinMoment, ...]:
        """Every compared round's moment at `last_epoch`, by seed."""
        epoch, seeds = self.last_epoch, self.compared_seeds
        return tuple(moment for moment in self.moments if moment.epoch == epoch and moment.seed in seeds)

    def judged_by(self, rule: CoinRule) -> "CoinResult":
        """The same networks, judged by another line; nothing is trained or asked again."""
        return _result(self.settings.judged_by(rule), self.moments, self.measured_by)

    def to_json(self) -> dict[str, Any]:
        """The contract of `coins --json`, without its table."""
        return asdict(self.settings) | {
            "settings": asdict(self.settings),
            "choices": asdict(self.settings.choices),
            "rounds": [self._round_json(seed) for seed in self.started_seeds],
            "n_rounds_asked": self.settings.rounds,
            "left_out_seeds": self.left_out_seeds,
            "exact": self.exact,
        }

    def _n_epochs(self, seed: int) -> int:
        """Whole epochs that a round has behind it."""
        return max((int(point.epoch) for point in self.points if point.seed == seed), default=0)

    def _round_json(self, seed: int) -> dict[str, Any]:
        epochs = {
            answer: [
                asdict(point) | {"epoch": int(point.epoch)}
                for point in self.round_points(seed, answer)
                if point.ends_epoch
            ]
            for answer in self.answers
        }
        first, *others = self.answers
        return {
            "seed": seed,
            "epochs": epochs[first],
            "other_answers": {answer: epochs[answer] for answer in others},
        }


def coin_result(
    settings: CoinSettings, moments: Iterable[CoinMoment], *, measured_by: CoinRule | None = None
) -> CoinResult:
    """Moments of a run, finished or stopped, judged by the rule of its settings.

    Args:
        settings: the run.
        moments: in any order.
        measured_by: the rule by which its held-out flips were scored, if it is another one.
    """
    ordered = tuple(sorted(moments, key=lambda moment: (moment.seed, moment.epoch)))
    return _result(settings, ordered, measured_by or settings.rule)


def with_moments(result: CoinResult, more: Iterable[CoinMoment]) -> CoinResult:
    """The result with later moments of the same run; what was judged before is not judged again."""
    new = tuple(more)
    moments = sorted((*result.moments, *new), key=lambda moment: (moment.seed, moment.epoch))
    points = judged_points(result.settings, new, measured_by=result.measured_by)
    return replace(
        result,
        moments=tuple(moments),
        points=tuple(sorted((*result.points, *points), key=lambda point: (point.seed, point.epoch))),
    )


def _result(settings: CoinSettings, moments: tuple[CoinMoment, ...], measured_by: CoinRule) -> CoinResult:
    return CoinResult(
        settings,
        judged_points(settings, moments, measured_by=measured_by),
        exact_scores(settings.coins_per_draw, settings.rule),
        moments,
        measured_by,
    )
