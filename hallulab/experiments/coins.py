"""The coin experiment: networks learn to count heads, exact truth beside them (Section 7.1 of [LHZSL])."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hallulab.data.coins import flip_draws
from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_run import VARIANTS, CoinPoint, CoinSettings, CoinStep
from hallulab.experiments.coin_summary import CoinResult
from hallulab.experiments.coin_training import RoundState, train_rounds
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.coin_exact import MAX_EXACT_COINS_PER_DRAW, exact_scores

MAX_DRAWS_FOR_TRUTH = 50_000
"""where draws that occurred stand for all: more of them cost seconds and tell next to nothing"""
RECORDS_PATTERN = "coins-*.jsonl"


def run_coins(
    settings: CoinSettings, *, records: RecordFile | None = None, device: torch.device | str = "cpu"
) -> Generator[CoinStep | CoinPoint]:
    """Train all rounds together, yielding how far they are and every scored point; close it to stop.

    Args:
        settings: the run.
        records: where points are kept; rounds it already holds to the end are yielded from it, not run again. Beside
            it stand the states that unfinished rounds go on from.
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
    states = _saved_states(settings, unfinished, kept, records) if records else []
    for state in states:
        yield from (point for point in kept if point.seed == state.seed and point.epoch <= state.n_epochs)
    # closed by hand: whoever closes this run wants its threads to end now
    with closing(train_rounds(settings, unfinished, states=states, device=device)) as events:
        for event in events:
            if isinstance(event, RoundState):
                if records:
                    _save_state(records, event)
                continue
            if records and isinstance(event, CoinPoint):
                records.append({"kind": "point"} | asdict(event))
            yield event
    if records:
        for seed in unfinished:
            _state_path(records, seed).unlink(missing_ok=True)


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
) -> Generator[tuple[CoinSettings, CoinStep | CoinPoint]]:
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
        with closing(run_coins(settings, records=records, device=device)) as events:
            for event in events:
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


def _state_path(records: RecordFile, seed: int) -> Path:
    return records.path.with_name(f"{records.path.stem}-seed{seed}.safetensors")


def _save_state(records: RecordFile, state: RoundState) -> None:
    """Replace the state of this round by a later one, whole or not at all."""
    path = _state_path(records, state.seed)
    written = path.with_suffix(".part")
    save_file(state.tensors, written, metadata={"n_epochs": str(state.n_epochs)})
    written.replace(path)


def _saved_states(
    settings: CoinSettings, seeds: Sequence[int], points: Sequence[CoinPoint], records: RecordFile
) -> list[RoundState]:
    """States whose epochs are recorded; a round without one starts anew."""
    recorded = {(point.seed, point.epoch, point.answer) for point in points}
    states = []
    for seed in seeds:
        path = _state_path(records, seed)
        if not path.exists():
            continue
        with safe_open(path, framework="pt") as file:
            n_epochs = int(file.metadata()["n_epochs"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if all((seed, n_epochs, answer) in recorded for answer in OBJECTIVES[settings.objective].answers):
            states.append(RoundState(seed, n_epochs, tensors))
    return states


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
