"""The coin experiment: networks learn to count heads, exact truth beside them (Section 7.1 of [LHZSL])."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hallulab.data.coins import CoinFlips, flip_draws, mean_heads
from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_objectives import OBJECTIVES, Objective
from hallulab.experiments.coin_run import VARIANTS, CoinPoint, CoinSettings, CoinStep
from hallulab.experiments.coin_summary import CoinResult
from hallulab.models.coin_transformer import CoinTransformer, CoinTransformerSettings, build_coin_transformer
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.coin_exact import MAX_EXACT_COINS_PER_DRAW, exact_scores
from hallulab.scoring.coins import coin_pmf, score_answers

MAX_DRAWS_FOR_TRUTH = 50_000
"""where draws that occurred stand for all: more of them cost memory and change no digit that is shown"""
RECORDS_PATTERN = "coins-*.jsonl"


def run_coins(
    settings: CoinSettings, *, records: RecordFile | None = None, device: torch.device | str = "cpu"
) -> Iterator[CoinStep | CoinPoint]:
    """Train all rounds together, yielding how far they are and every scored point; close it to stop.

    Args:
        settings: the run.
        records: where points are kept; rounds it already holds to the end are yielded from it, not run again.
        device: where the networks live.

    Raises RefusedInputError when `records` belongs to a run with other settings.
    """
    found = _records_of(settings, records) if records else []
    if records and not found:
        records.append({"kind": "settings", "settings": asdict(settings), "versions": library_versions()})
    kept = _points_of(found)
    finished = _finished_seeds(settings, kept)
    yield from (point for point in kept if point.seed in finished)
    unfinished = [seed for seed in settings.seeds if seed not in finished]
    if not unfinished:
        return
    for event in train_rounds(settings, unfinished, device=device):
        if records and isinstance(event, CoinPoint):
            records.append({"kind": "point"} | asdict(event))
        yield event


def coin_grid(
    settings: CoinSettings,
    *,
    coins_per_draw: Sequence[int] = (),
    variants: Sequence[str] = (),
    objectives: Sequence[str] = (),
) -> tuple[CoinSettings, ...]:
    """Every combination of N, variant and objective, in this order; what is not named is as in `settings`.

    Raises RefusedInputError for a combination that cannot be run.
    """
    every: Any = [
        {"coins_per_draw": n, "variant": variant, "objective": objective}
        for n in coins_per_draw or (settings.coins_per_draw,)
        for variant in variants or (settings.variant,)
        for objective in objectives or (settings.objective,)
    ]
    return tuple(dict.fromkeys(replace(settings, **changed) for changed in every))


def run_coin_grid(
    grid: Sequence[CoinSettings], *, folder: Path | None = None, device: torch.device | str = "cpu"
) -> Iterator[tuple[CoinSettings, CoinStep | CoinPoint]]:
    """Run after run, each event with the settings it belongs to; close it to stop.

    Args:
        grid: as `coin_grid` makes it.
        folder: where every run keeps its records, one file each; a killed grid goes on from there.
        device: where the networks live.

    Raises RefusedInputError, before anything trains, when a file belongs to a run with other settings.
    """
    files = [RecordFile(records_path(folder, settings)) if folder else None for settings in grid]
    for settings, records in zip(grid, files, strict=True):
        if records:
            _records_of(settings, records)
    for settings, records in zip(grid, files, strict=True):
        for event in run_coins(settings, records=records, device=device):
            yield settings, event


def records_path(folder: Path, settings: CoinSettings) -> Path:
    """The file below `folder` that holds this run's points."""
    name = f"coins-N{settings.coins_per_draw}-{settings.variant}-{settings.objective}.jsonl"
    return folder / name


def read_runs(folder: Path) -> tuple[CoinResult, ...]:
    """Every run recorded in a folder, finished or killed, by N, variant and objective.

    Raises RefusedInputError for a folder without coin runs, or records that this version cannot read.
    """
    results = [_read_run(RecordFile(path)) for path in folder.glob(RECORDS_PATTERN)]
    if not results:
        raise RefusedInputError(
            f"expected a folder with a coin run ({RECORDS_PATTERN}), found none in {folder}: "
            "make one with `python -m hallulab coins --out FOLDER`"
        )
    return tuple(sorted(results, key=_grid_order))


def coin_result(settings: CoinSettings, points: Iterable[CoinPoint]) -> CoinResult:
    """Points of a run, finished or stopped, with the exact truth beside them."""
    return CoinResult(settings, tuple(points), coin_truth(settings))


def coin_truth(settings: CoinSettings) -> dict[str, Any]:
    """What each estimator reaches exactly; with too many coins to enumerate, on draws of the first round."""
    if settings.coins_per_draw <= MAX_EXACT_COINS_PER_DRAW:
        return exact_scores(settings.coins_per_draw, settings.rule)
    rng = np.random.default_rng([settings.seed, 0])
    flips = flip_draws(settings.coins_per_draw, min(settings.flips, MAX_DRAWS_FOR_TRUTH), rng=rng)
    return exact_scores(settings.coins_per_draw, settings.rule, draws=flips.draws)


def _finished_seeds(settings: CoinSettings, points: Sequence[CoinPoint]) -> set[int]:
    """Seeds whose last epoch was recorded with every answer: a kill may fall between two of them."""
    at_end = {(point.seed, point.answer) for point in points if point.epoch == settings.epochs}
    answers = OBJECTIVES[settings.objective].answers
    return {seed for seed in settings.seeds if all((seed, answer) in at_end for answer in answers)}


def _records_of(settings: CoinSettings, records: RecordFile) -> list[dict[str, Any]]:
    """What an earlier, perhaps killed run with these settings left; refused when they were others."""
    found = records.read()
    for header in (record for record in found if record.get("kind") == "settings"):
        theirs = header.get("settings", {}) | {"rounds": settings.rounds}  # rounds can be added
        differing = [name for name, value in asdict(settings).items() if theirs.get(name) != value]
        if differing:
            raise RefusedInputError(
                f"expected a run with the same settings in {records.path}, got another "
                f"{', '.join(differing)}: choose another folder"
            )
    return found


def _read_run(records: RecordFile) -> CoinResult:
    found = records.read()
    try:
        asked = next(record["settings"] for record in found if record.get("kind") == "settings")
        settings, points = CoinSettings(**asked), _points_of(found)
    except (StopIteration, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a coin run of this version in {records.path}, found other ones: "
            "run it again in another folder"
        ) from error
    n_found = 1 + max((point.seed for point in points), default=settings.seed) - settings.seed
    return coin_result(replace(settings, rounds=max(settings.rounds, n_found)), points)


def _points_of(records: Sequence[dict[str, Any]]) -> tuple[CoinPoint, ...]:
    """By seed and epoch. A round that was killed is run again, so a point may be recorded twice."""
    latest = {
        (record["seed"], record["epoch"], record["answer"]): _point_from_record(record)
        for record in records
        if record.get("kind") == "point"
    }
    return tuple(sorted(latest.values(), key=lambda point: (point.seed, point.epoch)))


def _point_from_record(record: dict[str, Any]) -> CoinPoint:
    values: dict[str, Any] = {field.name: record[field.name] for field in fields(CoinPoint)}
    if values["hallucination_interval"] is not None:
        values["hallucination_interval"] = tuple(values["hallucination_interval"])  # JSON has lists only
    return CoinPoint(**values)


def _grid_order(result: CoinResult) -> tuple[int, int, int]:
    settings = result.settings
    return (
        settings.coins_per_draw,
        list(VARIANTS).index(settings.variant),
        list(OBJECTIVES).index(settings.objective),
    )


# Everything below goes when `coin_training` lands.
def train_rounds(
    settings: CoinSettings, seeds: Sequence[int], *, device: torch.device | str = "cpu"
) -> Iterator[CoinStep | CoinPoint]:
    """Each round in turn, from its initial weights through all epochs."""
    for seed in seeds:
        yield from _train_round(settings, seed, device)


def _train_round(
    settings: CoinSettings, seed: int, device: torch.device | str
) -> Iterator[CoinStep | CoinPoint]:
    objective = OBJECTIVES[settings.objective]
    flips = flip_draws(settings.coins_per_draw, settings.flips, rng=np.random.default_rng([seed, 0]))
    rng = np.random.default_rng([seed, 1])
    train, held_out = flips.split(settings.held_out_share, rng=rng)
    choices = settings.choices
    shape = CoinTransformerSettings(
        tokens=choices.tokens, dropout=choices.dropout,
        n_outputs=objective.n_outputs(settings.coins_per_draw),
    )  # fmt: skip
    network = build_coin_transformer(settings.coins_per_draw, shape, seed=seed).to(device)
    dropout = torch.Generator(device=device).manual_seed(seed) if choices.dropout else None
    judge = _HeldOutJudge(held_out, settings, objective, device)
    draws = torch.from_numpy(train.draws).to(device)
    yield from judge.points(network, seed, epoch=0, train_loss=None)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    n_batches = -(-train.n_flips // settings.batch_size)
    per_epoch = settings.points_per_epoch
    scored_batches = {n_batches * k // per_epoch for k in range(1, per_epoch)}
    for epoch in range(settings.epochs):
        order = rng.permutation(train.n_flips)
        loss_sum, n_seen = 0.0, 0
        for batch in range(1, n_batches + 1):
            rows = order[(batch - 1) * settings.batch_size : batch * settings.batch_size]
            index = torch.from_numpy(train.draw_index[rows]).to(device)
            heads = torch.from_numpy(train.heads[rows]).to(device)
            outputs = network(draws[index], dropout_generator=dropout)
            losses = objective.losses(outputs, settings.coins_per_draw)
            loss = losses.gather(1, heads[:, None]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum, n_seen = loss_sum + loss.item() * len(rows), n_seen + len(rows)
            yield CoinStep(epoch + batch / n_batches, loss_sum / n_seen)
            if batch in scored_batches:
                at = epoch + batch / n_batches
                yield from judge.points(network, seed, epoch=at, train_loss=loss_sum / n_seen)
        yield from judge.points(network, seed, epoch=epoch + 1, train_loss=loss_sum / n_seen)


class _HeldOutJudge:
    def __init__(
        self, held_out: CoinFlips, settings: CoinSettings, objective: Objective, device: torch.device | str
    ):
        n = settings.coins_per_draw
        counts = held_out.draw_counts
        occurs = counts > 0
        labels = held_out.draws[occurs]
        self.settings, self.objective = settings, objective
        self._counts = counts[occurs]
        self._heads_counts = np.stack(
            [
                np.bincount(held_out.draw_index[held_out.heads == k], minlength=len(counts))
                for k in range(n + 1)
            ],
            axis=1,
        )[occurs]
        self._labels = torch.from_numpy(labels).to(device)
        self._pmf = coin_pmf(labels, n)
        self._variant_pmf = coin_pmf(labels, n, law=settings.choices.law)
        self._log_delta = settings.rule.log_delta(self._pmf)
        self._best = float(np.average(self._pmf.max(axis=1), weights=self._counts))
        rows = np.arange(len(labels))
        self._bayes_mean_squared_error = self._squared_error(rows, mean_heads(labels, n), self._counts)

    @torch.no_grad()
    def points(
        self, network: CoinTransformer, seed: int, *, epoch: float, train_loss: float | None
    ) -> Iterator[CoinPoint]:
        n = self.settings.coins_per_draw
        outputs = torch.cat([network(labels) for labels in self._labels.split(1024)])
        losses = self.objective.losses(outputs, n).double().cpu().numpy()
        loss = float((losses * self._heads_counts).sum() / self._counts.sum())
        for answer in self.objective.answers:
            given = self.objective.answers_of(
                outputs.double().cpu().numpy(), self._counts, answer,
                rounding=self.settings.choices.rounding, rng=np.random.default_rng([seed, 2]),
            )  # fmt: skip
            r = given.rows
            by_data = score_answers(self._pmf[r], self._log_delta[r], given.answers, given.counts)
            by_variant = score_answers(self._variant_pmf[r], self._log_delta[r], given.answers, given.counts)
            interval = by_data.hallucination_interval
            squared_error = self._squared_error(r, given.answers, given.counts)
            yield CoinPoint(
                seed=seed, epoch=epoch, answer=answer, train_loss=train_loss,
                validation_loss=loss if np.isfinite(loss) else None,
                squared_error=squared_error if np.isfinite(squared_error) else None,
                conditional_probability=by_variant.conditional_probability,
                conditional_probability_data_law=by_data.conditional_probability,
                hallucination_rate=by_data.hallucination_rate,
                hallucination_interval=(interval.low, interval.high) if interval else None,
                best_conditional_probability=self._best,
                bayes_mean_squared_error=self._bayes_mean_squared_error,
                n=by_data.n, n_missing=by_data.n_missing,
            )  # fmt: skip

    def _squared_error(self, rows, answers, counts) -> float:
        """Mean of (answer − heads)², answers paired with the flips of their draw at random."""
        shares = self._heads_counts / self._counts[:, None]
        squares = (answers[:, None] - np.arange(shares.shape[1])) ** 2
        return float(np.average((squares * shares[rows]).sum(axis=1), weights=counts))
