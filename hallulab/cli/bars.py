"""`bars`: the quality bars of the shipped checkpoints."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout
from hallulab.cli.world import start_engine

if TYPE_CHECKING:
    from hallulab.engine.core import Engine
    from hallulab.experiments.quality_bar import QualityBar


def bars(
    part: Annotated[
        Literal["words", "pictures", "clip", "all"], typer.Argument(help="Which part of the small world.")
    ] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the checkpoints; exit 1 when a quality bar is missed."""
    with quiet_stdout():
        measured = _measure(part, start_engine())
    missed = [bar for bar in measured if bar.passed is False]
    if as_json:
        print_json({"passed": not missed, "bars": [bar.to_json() for bar in measured]})
    else:
        n_limits = sum(bar.passed is not None for bar in measured)
        print(f"{n_limits - len(missed)} of {n_limits} quality bars are passed.")
        print_table(
            ("bar", "value", "n", "95 % interval", "limit", "passed"), [_row(bar) for bar in measured]
        )
    raise typer.Exit(1 if missed else 0)


def _measure(part: str, engine: "Engine") -> "list[QualityBar]":
    from hallulab.experiments.pictures_bars import clip_bars, pictures_bars
    from hallulab.experiments.words_bars import words_bars

    measures = {"words": words_bars, "clip": clip_bars, "pictures": pictures_bars}
    chosen = measures.values() if part == "all" else [measures[part]]
    return [bar for measure in chosen for bar in measure(engine)]


def _row(bar: "QualityBar") -> tuple[str, ...]:
    interval = "–" if bar.interval is None else f"{bar.interval[0]:.3f} … {bar.interval[1]:.3f}"
    limits = [
        f"{sign} {limit:g}" for sign, limit in (("≥", bar.at_least), ("≤", bar.at_most)) if limit is not None
    ]
    passed = {True: "yes", False: "NO", None: "–"}[bar.passed]
    return bar.name, f"{bar.value:.3f}", str(bar.n), interval, " and ".join(limits) or "–", passed
