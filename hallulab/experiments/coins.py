"""The coin experiment: a network learns to count heads, exact truth beside it (Section 7.1 of [LHZSL])."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import mse_loss

from hallulab.data.coins import (
    MAX_FLIPS,
    CoinFlips,
    check_coins_per_draw,
    check_whole,
    flip_draws,
    mean_heads,
)
from hallulab.errors import RefusedInputError
from hallulab.models.coin_transformer import (
    CoinTokens,
    CoinTransformer,
    CoinTransformerSettings,
    build_coin_transformer,
)
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.coins import (
    MAX_EXACT_COINS_PER_DRAW,
    CoinLaw,
    CoinRule,
    CoinScores,
    Rounding,
    coin_pmf,
    exact_scores,
    round_predictions,
    score_answers,
)

Variant = Literal["fixed", "paper_code"]
MIN_FLIPS = 10
POINTS_PER_EPOCH = 4
MAX_DRAWS_SCORED_WITHIN_EPOCH = 1_000
"""with more distinct held-out draws than this, the network is scored at the end of epochs only"""
ROWS_PER_EVALUATION = 1_024


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
    rounds: int = 1
    """independent repetitions, with seeds seed, seed + 1, …"""
    seed: int = 0
    variant: Variant = "fixed"
    """`fixed`, or `paper_code` for what the public code does; `VARIANTS` lists the differences"""
    delta: float | None = 0.3
    """an answer with at most this probability hallucinates; None decides by `hdr_mass`"""
    hdr_mass: float = 0.9
    """share of the flips' probability that belongs inside; used when `delta` is None"""
    held_out_share: float = 0.2
    """share of the flips that is kept from training"""

    def __post_init__(self) -> None:
        check_coins_per_draw(self.coins_per_draw)
        check_whole("flips", self.flips, MIN_FLIPS, MAX_FLIPS)
        check_whole("epochs", self.epochs, 1, 10_000)
        check_whole("batch size", self.batch_size, 1, MAX_FLIPS)
        check_whole("rounds", self.rounds, 1, 1_000)
        check_whole("seed", self.seed, 0, 2**32 - 1)
        is_number = isinstance(self.learning_rate, int | float)
        if not is_number or not 0 < self.learning_rate <= 1:
            raise RefusedInputError(
                f"expected a learning rate above 0 and at most 1, got {self.learning_rate!r}"
            )
        if not 0 < self.held_out_share < 1:
            raise RefusedInputError(f"expected a held-out share between 0 and 1, got {self.held_out_share}")
        if self.variant not in get_args(Variant):
            raise RefusedInputError(
                f"expected variant {' or '.join(get_args(Variant))}, got {self.variant!r}"
            )
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
    """One optimiser step."""

    seed: int
    """of the round"""
    epoch: float
    """epochs behind this step, with fraction"""
    train_loss: float
    """mean squared error of the epoch's batches so far"""


@dataclass(frozen=True)
class CoinPoint:
    """The network scored on the held-out flips at one moment of its training."""

    seed: int
    """of the round"""
    epoch: float
    """epochs behind this point; 0 is the untrained network"""
    train_loss: float | None
    """mean squared error of the epoch's batches so far; None before the first"""
    validation_loss: float | None
    """mean squared error of the unrounded prediction on the held-out flips"""
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
    bayes_mean_loss: float
    """mean squared error of the exact average on the same flips"""
    n: int
    """held-out flips scored"""
    n_missing: int
    """held-out flips whose prediction was NaN"""

    @property
    def ends_epoch(self) -> bool:
        """Whether a whole epoch ends here: these are the points of the JSON contract."""
        return self.epoch > 0 and self.epoch == int(self.epoch)


@dataclass(frozen=True)
class CoinResult:
    """Everything a run measured so far, and the exact truth beside it."""

    settings: CoinSettings
    points: tuple[CoinPoint, ...]
    exact: dict[str, Any]
    """as `hallulab.scoring.coins.exact_scores`"""

    def round_points(self, seed: int) -> tuple[CoinPoint, ...]:
        """The points of one round, in order."""
        return tuple(point for point in self.points if point.seed == seed)

    @property
    def started_seeds(self) -> tuple[int, ...]:
        """Seeds of the rounds that have points."""
        return tuple(dict.fromkeys(point.seed for point in self.points))

    def to_json(self) -> dict[str, Any]:
        """The contract of `coins --json`."""
        rounds = [
            {"seed": seed, "epochs": [_epoch_json(p) for p in self.round_points(seed) if p.ends_epoch]}
            for seed in self.started_seeds
        ]
        return asdict(self.settings) | {
            "n_rounds_asked": self.settings.rounds,
            "rounds": rounds,
            "exact": self.exact,
            "choices": asdict(self.settings.choices),
        }


def run_coins(
    settings: CoinSettings, *, records: RecordFile | None = None, device: torch.device | str = "cpu"
) -> Iterator[CoinStep | CoinPoint]:
    """Train round after round, yielding every step and every scored point; close it to stop.

    Args:
        settings: the run.
        records: where points are kept; rounds it already holds to the end are yielded from it, not run again.
        device: where the network lives.

    Raises RefusedInputError when `records` belongs to a run with other settings.
    """
    kept = _recorded_points(settings, records) if records else ()
    for seed in settings.seeds:
        points = tuple(point for point in kept if point.seed == seed)
        if any(point.epoch == settings.epochs for point in points):
            yield from points
            continue
        for event in train_round(settings, seed, device=device):
            if records and isinstance(event, CoinPoint):
                records.append({"kind": "point"} | asdict(event))
            yield event


def coin_result(settings: CoinSettings, points: Iterable[CoinPoint]) -> CoinResult:
    """Points of a run, finished or stopped, with the exact truth beside them."""
    return CoinResult(settings, tuple(points), coin_truth(settings))


def coin_truth(settings: CoinSettings) -> dict[str, Any]:
    """What each estimator reaches exactly; with too many coins to enumerate, on the first round's draws."""
    if settings.coins_per_draw <= MAX_EXACT_COINS_PER_DRAW:
        return exact_scores(settings.coins_per_draw, settings.rule)
    return exact_scores(settings.coins_per_draw, settings.rule, draws=_flips(settings, settings.seed).draws)


def train_round(
    settings: CoinSettings, seed: int, *, device: torch.device | str = "cpu"
) -> Iterator[CoinStep | CoinPoint]:
    """One network from its initial weights through all epochs.

    Args:
        settings: the run.
        seed: of this round: its flips, split, initial weights, batches and dropout.
        device: where the network lives.
    """
    rng = np.random.default_rng([seed, 1])
    train, held_out = _flips(settings, seed).split(settings.held_out_share, rng=rng)
    network = _network(settings, seed).to(device)
    dropout = torch.Generator(device=device).manual_seed(seed) if settings.choices.dropout else None
    judge = _HeldOutJudge(held_out, settings, device)
    draws = torch.from_numpy(train.draws).to(device)

    yield judge.point(network, seed, epoch=0, train_loss=None)
    # made late: building the process's first optimiser imports half of torch
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    n_batches = -(-train.n_flips // settings.batch_size)
    points_per_epoch = POINTS_PER_EPOCH if judge.n_draws <= MAX_DRAWS_SCORED_WITHIN_EPOCH else 1
    scored_batches = {n_batches * k // points_per_epoch for k in range(1, points_per_epoch)}
    for epoch in range(settings.epochs):
        order = rng.permutation(train.n_flips)
        loss_sum, n_seen = 0.0, 0
        for batch in range(1, n_batches + 1):
            rows = order[(batch - 1) * settings.batch_size : batch * settings.batch_size]
            predicted = _predict_rows(network, draws, train.draw_index[rows], dropout)
            heads = torch.from_numpy(train.heads[rows]).to(device, torch.float32)
            loss = mse_loss(predicted, heads)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum, n_seen = loss_sum + loss.item() * len(rows), n_seen + len(rows)
            yield CoinStep(seed, epoch + batch / n_batches, loss_sum / n_seen)
            if batch in scored_batches:
                yield judge.point(
                    network, seed, epoch=epoch + batch / n_batches, train_loss=loss_sum / n_seen
                )
        yield judge.point(network, seed, epoch=epoch + 1, train_loss=loss_sum / n_seen)


def _predict_rows(
    network: CoinTransformer,
    draws: torch.Tensor,
    draw_index: NDArray[np.int64],
    dropout: torch.Generator | None,
) -> torch.Tensor:
    """Predictions for a batch of flips, shape (n_rows,)."""
    if dropout is not None:
        return network(draws[torch.from_numpy(draw_index).to(draws.device)], dropout_generator=dropout)[:, 0]
    # without dropout equal draws get equal predictions: run each distinct one once
    distinct, inverse = np.unique(draw_index, return_inverse=True)
    predicted = network(draws[torch.from_numpy(distinct).to(draws.device)])[:, 0]
    return predicted[torch.from_numpy(inverse).to(draws.device)]


class _HeldOutJudge:
    """Scores a network on the held-out flips, each distinct draw once with its count."""

    def __init__(self, held_out: CoinFlips, settings: CoinSettings, device: torch.device | str):
        counts = held_out.draw_counts
        occurs = counts > 0
        labels = held_out.draws[occurs]
        self.settings = settings
        self.n_draws = len(labels)
        self._counts = counts[occurs]
        self._heads_sum = np.bincount(held_out.draw_index, held_out.heads, minlength=len(counts))[occurs]
        self._squared_heads_sum = float((held_out.heads**2).sum())
        self._labels = torch.from_numpy(labels).to(device)
        self._pmf = coin_pmf(labels, settings.coins_per_draw)
        self._log_delta = settings.rule.log_delta(self._pmf)
        self._best = float(np.average(self._pmf.max(axis=1), weights=self._counts))
        self._bayes_mean_loss = self._squared_error(mean_heads(labels, settings.coins_per_draw))
        self._variant_pmf = coin_pmf(labels, settings.coins_per_draw, law=settings.choices.law)

    def point(
        self, network: CoinTransformer, seed: int, *, epoch: float, train_loss: float | None
    ) -> CoinPoint:
        """The network as it is now."""
        predictions = self._predict(network)
        answers = round_predictions(predictions, self.settings.choices.rounding)
        by_data = self._score(self._pmf, answers)
        by_variant = self._score(self._variant_pmf, answers)
        interval = by_data.hallucination_interval
        loss = self._squared_error(predictions)
        return CoinPoint(
            seed=seed,
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=loss if np.isfinite(loss) else None,
            conditional_probability=by_variant.conditional_probability,
            conditional_probability_data_law=by_data.conditional_probability,
            hallucination_rate=by_data.hallucination_rate,
            hallucination_interval=(interval.low, interval.high) if interval else None,
            best_conditional_probability=self._best,
            bayes_mean_loss=self._bayes_mean_loss,
            n=by_data.n,
            n_missing=by_data.n_missing,
        )

    def _score(self, pmf: NDArray[np.float64], answers: NDArray[np.float64]) -> CoinScores:
        return score_answers(pmf, self._log_delta, answers, self._counts)

    @torch.no_grad()
    def _predict(self, network: CoinTransformer) -> NDArray[np.float64]:
        parts = [network(labels)[:, 0] for labels in self._labels.split(ROWS_PER_EVALUATION)]
        return torch.cat(parts).double().cpu().numpy()

    def _squared_error(self, predictions: NDArray[np.float64]) -> float:
        """Mean of (prediction − heads)² over the held-out flips, from sums per distinct draw."""
        cross = (self._counts * predictions**2 - 2 * predictions * self._heads_sum).sum()
        return float((cross + self._squared_heads_sum) / self._counts.sum())


def _network(settings: CoinSettings, seed: int) -> CoinTransformer:
    shape = CoinTransformerSettings(tokens=settings.choices.tokens, dropout=settings.choices.dropout)
    return build_coin_transformer(settings.coins_per_draw, shape, seed=seed)


def _flips(settings: CoinSettings, seed: int) -> CoinFlips:
    return flip_draws(settings.coins_per_draw, settings.flips, rng=np.random.default_rng([seed, 0]))


def _recorded_points(settings: CoinSettings, records: RecordFile) -> tuple[CoinPoint, ...]:
    """Points of an earlier, perhaps killed run with these settings; writes the settings of a new one."""
    ours = {name: value for name, value in asdict(settings).items() if name != "rounds"}
    found = records.read()
    headers = [record.get("settings", {}) for record in found if record.get("kind") == "settings"]
    if not headers:
        records.append({"kind": "settings", "settings": ours, "versions": library_versions()})
        return ()
    for theirs in headers:
        differing = [name for name in ours if theirs.get(name) != ours[name]]
        if differing:
            raise RefusedInputError(
                f"expected a run with the same settings in {records.path}, got another "
                f"{', '.join(differing)}: choose another folder"
            )
    # a round that was killed is run again from its start, so its points may be recorded twice
    latest = {
        (record["seed"], record["epoch"]): _point_from_record(record)
        for record in found
        if record.get("kind") == "point"
    }
    return tuple(latest[key] for key in sorted(latest))


def _point_from_record(record: dict[str, Any]) -> CoinPoint:
    values: dict[str, Any] = {field.name: record[field.name] for field in fields(CoinPoint)}
    if values["hallucination_interval"] is not None:
        values["hallucination_interval"] = tuple(values["hallucination_interval"])  # JSON has lists only
    return CoinPoint(**values)


def _epoch_json(point: CoinPoint) -> dict[str, Any]:
    return asdict(point) | {"epoch": int(point.epoch)}
