"""The coin experiment: networks learn to count heads, exact truth beside them (Section 7.1 of [LHZSL])."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from hallulab.experiments.coin_events import CoinMoment, CoinStep
from hallulab.experiments.coin_records import CoinRecords, records_path
from hallulab.experiments.coin_round import RoundState
from hallulab.experiments.coin_settings import CoinSettings, settings_of
from hallulab.experiments.coin_training import train_rounds


def run_coins(
    settings: CoinSettings, *, records: CoinRecords | None = None, device: torch.device | str = "cpu"
) -> Generator[CoinStep | CoinMoment]:
    """Train all rounds together, yielding how far they are and every scored moment; close it to stop.

    Args:
        settings: the run.
        records: where moments are kept; rounds it already holds to the end are yielded from it, not run again. Beside
            it stand the states that unfinished rounds go on from.
        device: where the networks live.

    Raises RefusedInputError when `records` belongs to a run that was trained in another way, or is damaged.
    """
    trained_by, kept = records.begin(settings) if records else (settings, ())
    finished = {moment.seed for moment in kept if moment.epoch == settings.epochs}
    yield from (moment for moment in kept if moment.seed in finished and moment.seed in settings.seeds)
    unfinished = [seed for seed in settings.seeds if seed not in finished]
    if unfinished:
        states = records.states(unfinished, kept) if records else []
        for state in states:
            yield from (
                moment for moment in kept if moment.seed == state.seed and moment.epoch <= state.n_epochs
            )
        # closed by hand: whoever closes this run wants its threads to end now
        with closing(train_rounds(trained_by, unfinished, states=states, device=device)) as events:
            for event in events:
                if isinstance(event, RoundState):
                    if records:
                        records.save_state(event)
                    continue
                if records and isinstance(event, CoinMoment):
                    records.append(event)
                yield event
    if records:
        records.delete_states()


def coin_grid(
    chosen: Mapping[str, Any],
    *,
    coins_per_draw: Sequence[int] = (),
    variants: Sequence[str] = (),
    objectives: Sequence[str] = (),
) -> tuple[CoinSettings, ...]:
    """Every combination of N, variant and objective, in this order.

    Args:
        chosen: fields of `CoinSettings` for all of them; what is not chosen is as each variant has it.
        coins_per_draw, variants, objectives: what is combined; the default where none is named.

    Raises RefusedInputError for a combination that cannot be run.
    """
    every = [
        settings_of(variant, dict(chosen) | {"coins_per_draw": n, "objective": objective})
        for n in coins_per_draw or (CoinSettings.coins_per_draw,)
        for variant in variants or (CoinSettings.variant,)
        for objective in objectives or (CoinSettings.objective,)
    ]
    return tuple(dict.fromkeys(every))


def run_coin_grid(
    grid: Sequence[CoinSettings], *, folder: Path | None = None, device: torch.device | str = "cpu"
) -> Generator[tuple[CoinSettings, CoinStep | CoinMoment]]:
    """Run after run, each event with the settings it belongs to; close it to stop.

    Args:
        grid: as `coin_grid` makes it.
        folder: where every run keeps its records, one file each; a killed grid goes on from there.
        device: where the networks live.

    Raises RefusedInputError, before anything trains, when a file belongs to a run that was trained in another way.
    """
    files = [CoinRecords(records_path(folder, settings)) if folder else None for settings in grid]
    for settings, records in zip(grid, files, strict=True):
        if records:
            records.check(settings)
    for settings, records in zip(grid, files, strict=True):
        with closing(run_coins(settings, records=records, device=device)) as events:
            for event in events:
                yield settings, event
