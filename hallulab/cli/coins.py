"""`coins`: the coin experiment, trained here and now, with the exact answers beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hallulab.cli.console import percent, print_json, print_table, progress_bar, quiet_stdout
from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile

if TYPE_CHECKING:
    from hallulab.experiments.coins import CoinResult

RECORDS_NAME = "coins.jsonl"
ESTIMATORS = {
    "bayes_mean_rounded": "Bayes mean, rounded",
    "bayes_mean_ceil": "Bayes mean, rounded up",
    "mode": "most likely count",
}


def coins(
    coins_per_draw: Annotated[int | None, typer.Option(help="N: coins drawn among 2N and flipped.")] = None,
    flips: Annotated[int | None, typer.Option(help="M: how often N coins are drawn and flipped.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training flips.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Flips per step of Adam.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Repetitions, with seeds SEED, SEED + 1, …")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first round.")] = None,
    variant: Annotated[
        Literal["fixed", "paper_code"] | None,
        typer.Option(help="fixed, or paper_code for the public code's choices."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="An answer with at most this probability hallucinates.")
    ] = None,
    hdr_mass: Annotated[
        float | None, typer.Option(help="Judge by the region that holds this share of the flips, not by δ.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; finished rounds in it are not run again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a network to count the heads of N coins, and compare it with the exact answers."""
    chosen = {
        "coins_per_draw": coins_per_draw, "flips": flips, "epochs": epochs, "batch_size": batch_size,
        "learning_rate": learning_rate, "rounds": rounds, "seed": seed, "variant": variant, "delta": delta,
        "hdr_mass": hdr_mass,
    }  # fmt: skip
    with quiet_stdout():
        result = _run({name: value for name, value in chosen.items() if value is not None}, out)
    if as_json:
        print_json(result.to_json() | ({"records": str(out / RECORDS_NAME)} if out else {}))
        return
    _print_result(result)


def _run(chosen: dict[str, Any], out: Path | None) -> "CoinResult":
    """Every round, with a bar on stderr."""
    from hallulab.experiments.coins import CoinPoint, CoinSettings, coin_result, run_coins

    if "hdr_mass" in chosen and "delta" not in chosen:
        chosen["delta"] = None
    settings = CoinSettings(**chosen)
    points = []
    with progress_bar(settings.rounds * settings.epochs, "epoch") as bar:
        for event in run_coins(settings, records=_record_file(out)):
            if isinstance(event, CoinPoint):
                points.append(event)
                bar.update(event.ends_epoch)
    return coin_result(settings, points)


def _record_file(out: Path | None) -> RecordFile | None:
    """The records below `out`; refused before the first step, so that a bad folder costs no training."""
    if out is None:
        return None
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedInputError(
            f"expected a folder that can be written, got {out} ({error.strerror}): choose another --out"
        ) from error
    return RecordFile(out / RECORDS_NAME)


def _print_result(result: "CoinResult") -> None:
    settings = result.settings
    print(
        f"{settings.coins_per_draw} of {2 * settings.coins_per_draw} coins, {settings.flips:,} flips, "
        f"epochs: {settings.epochs}, variant: {settings.variant}"
    )
    rows = []
    for seed in result.started_seeds:
        last = [point for point in result.round_points(seed) if point.ends_epoch][-1]
        rows.append(
            (
                f"network, seed {seed}",
                _probability(last.conditional_probability),
                percent(last.hallucination_rate),
                _probability(last.train_loss),
            )
        )
    for name, title in ESTIMATORS.items():
        exact = result.exact[name]
        rows.append(
            (
                f"exact: {title}",
                _probability(exact["conditional_probability"]),
                percent(exact["hallucination_rate"]),
                _probability(exact["squared_error"]),
            )
        )
    print_table(("", "P(answer is right)", "hallucinations", "squared error"), rows)


def _probability(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
