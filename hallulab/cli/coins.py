"""`coins`: the coin experiment, trained here and now, with the exact answers beside it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import chosen_device, output_folder

if TYPE_CHECKING:
    from hallulab.experiments.coin_summary import OverRounds, SummaryRow
    from hallulab.experiments.coins import CoinResult, CoinSettings

ESTIMATORS = {
    "bayes_mean_rounded": "Bayes mean, rounded",
    "bayes_mean_ceil": "Bayes mean, rounded up",
    "mode": "most likely count: the best possible",
}
"""exact answers that every run is shown beside, by their key in the result"""
MEASURES = {
    "P(right)": "conditional_probability_data_law",
    "hallucinations": "hallucination_rate",
    "squared error": "squared_error",
}
"""columns of the printed tables, by their field in a summary row"""


def coins(
    coins_per_draw: Annotated[
        list[int] | None,
        typer.Option(help="N: coins drawn among 2N and flipped. Repeat it, and every combination is run."),
    ] = None,
    flips: Annotated[int | None, typer.Option(help="M: how often N coins are drawn and flipped.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training flips.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Flips per step of Adam.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Repetitions, with seeds SEED, SEED + 1, …")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first round.")] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="fixed, or paper_code for the public code's choices. Repeatable."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What training minimises: squared_error, absolute_error, cross_entropy or modal. Repeatable."
        ),
    ] = None,
    as_in_paper: Annotated[
        bool,
        typer.Option("--as-in-paper", help="The paper's training: batches of 64, 1e-4, 20 epochs, 5 rounds."),
    ] = False,
    delta: Annotated[
        float | None, typer.Option(help="An answer with at most this probability hallucinates.")
    ] = None,
    hdr_mass: Annotated[
        float | None, typer.Option(help="Judge by the region that holds this share of the flips, not by δ.")
    ] = None,
    points_per_epoch: Annotated[
        int | None, typer.Option(help="How often the networks are scored in an epoch.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where the networks live: cpu, or a GPU such as cuda:0.")
    ] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; finished rounds in it are not run again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train networks to count the heads of N coins, and compare them with the exact answers."""
    chosen = {
        "flips": flips, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "rounds": rounds, "seed": seed, "delta": delta, "hdr_mass": hdr_mass,
        "points_per_epoch": points_per_epoch,
    }  # fmt: skip
    with quiet_stdout():
        grid = _grid(
            {name: value for name, value in chosen.items() if value is not None},
            as_in_paper=as_in_paper,
            coins_per_draw=coins_per_draw or (),
            variants=variant or (),
            objectives=objective or (),
        )
        results = _run(grid, out and output_folder(out), device)
    if as_json:
        print_json(_to_json(results, out))
    else:
        _print_results(results)


def _grid(chosen: dict[str, Any], *, as_in_paper: bool, **axes: Sequence[Any]) -> tuple["CoinSettings", ...]:
    """Every combination asked for; what is chosen by hand goes before the paper's numbers."""
    from hallulab.experiments.coins import CoinSettings, coin_grid

    if "hdr_mass" in chosen and "delta" not in chosen:
        chosen = chosen | {"delta": None}
    paper = CoinSettings().as_in_paper() if as_in_paper else CoinSettings()
    return coin_grid(CoinSettings(**(asdict(paper) | chosen)), **axes)


def _run(grid: Sequence["CoinSettings"], folder: Path | None, device: str) -> tuple["CoinResult", ...]:
    """Every round of every combination, with a bar on stderr."""
    from hallulab.experiments.coin_objectives import OBJECTIVES
    from hallulab.experiments.coins import CoinPoint, coin_result, run_coin_grid

    points: dict[CoinSettings, list[CoinPoint]] = {settings: [] for settings in grid}
    with progress_bar(sum(settings.rounds * settings.epochs for settings in grid), "epoch") as bar:
        for settings, event in run_coin_grid(grid, folder=folder, device=chosen_device(device)):
            bar.set_description(
                f"N {settings.coins_per_draw}, {settings.variant}, {settings.objective}", refresh=False
            )
            if isinstance(event, CoinPoint):
                points[settings].append(event)
                bar.update(event.ends_epoch and event.answer == OBJECTIVES[settings.objective].answers[0])
            elif event.train_loss is not None:
                bar.set_postfix(loss=f"{event.train_loss:.4f}")
    return tuple(coin_result(settings, found) for settings, found in points.items())


def _to_json(results: Sequence["CoinResult"], out: Path | None) -> dict[str, Any]:
    """The contract's object for one combination; a list of them and their common table for several."""
    from hallulab.experiments.coin_summary import summary_table
    from hallulab.experiments.coins import records_path

    runs = [
        result.to_json() | ({"records": str(records_path(out, result.settings))} if out else {})
        for result in results
    ]
    if len(runs) == 1:
        return runs[0]
    return {"runs": runs, "table": [asdict(row) for row in summary_table(results)]}


def _print_results(results: Sequence["CoinResult"]) -> None:
    from hallulab.experiments.coin_summary import summary_table

    for result in results:
        _print_result(result, summary_table([result]))
        print()
    if len(results) > 1:
        _print_comparison(summary_table(results))


def _print_result(result: "CoinResult", table: Sequence["SummaryRow"]) -> None:
    """One combination: its networks, their exact counterpart, the gap, and what estimators reach exactly."""
    settings = result.settings
    print(
        f"{settings.coins_per_draw} of {2 * settings.coins_per_draw} coins, {settings.flips:,} flips, "
        f"epochs: {settings.epochs}, rounds: {settings.rounds}, variant: {settings.variant}, "
        f"objective: {settings.objective}"
    )
    rows: list[tuple[str, ...]] = []
    for row in table:
        measured: list[OverRounds] = [getattr(row, field) for field in MEASURES.values()]
        rows += [
            (f"network, {row.answer}", *map(_with_interval, measured)),
            ("  exact counterpart", *(_number(over.exact) for over in measured)),
            ("  gap", *(_number(over.gap, sign="+") for over in measured)),
        ]
    for name, title in ESTIMATORS.items():
        exact = result.exact[name]
        keys = ("conditional_probability", "hallucination_rate", "squared_error")
        rows.append((f"exact: {title}", *(_number(exact[key]) for key in keys)))
    print_table(("", *MEASURES), rows)
    for row in table:
        if settings.choices.law != "data":
            print(
                f"  {row.answer}: P(right) as the public code scores: "
                f"{_with_interval(row.conditional_probability)}, exact counterpart "
                f"{_number(row.conditional_probability.exact)}"
            )
        print(
            f"  {row.answer}: rank correlation of training loss and P(right), as this variant scores it, over a "
            f"round's epochs: {_with_interval(row.spearman)}, rounds: {row.spearman.n_rounds}, "
            f"undefined: {row.spearman.n_missing}"
        )
        if row.n_missing:
            print(f"  {row.answer}: {row.n_missing:,} held-out flips without an answer, left out")


def _print_comparison(table: Sequence["SummaryRow"]) -> None:
    """All combinations, the claim of the paper as a number, and what each changes on the same flips."""
    names = [f"N {row.coins_per_draw}, {row.variant}, {row.objective}, {row.answer}" for row in table]
    print("All of them:")
    measured = [[_with_interval(getattr(row, field)) for field in MEASURES.values()] for row in table]
    print_table(("", *MEASURES), [(name, *cells) for name, cells in zip(names, measured, strict=True)])
    print()
    print("Rank correlation of training loss and P(right), as the variant scores it;")
    print("differences to fixed and squared_error, paired seed by seed on the same flips:")
    compared = [
        (
            _with_interval(row.spearman),
            _with_interval(row.hallucination_rate_difference, sign="+"),
            _with_interval(row.squared_error_difference, sign="+"),
        )
        for row in table
    ]
    print_table(
        ("", "correlation", "hallucinations", "squared error"),
        [(name, *cells) for name, cells in zip(names, compared, strict=True)],
    )


def _with_interval(over: "OverRounds | None", sign: str = "") -> str:
    """A mean over rounds with its 95 % interval, where there is one."""
    if over is None or over.low is None:
        return _number(over and over.mean, sign)
    return f"{_number(over.mean, sign)} [{_number(over.low, sign)}, {_number(over.high, sign)}]"


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.4f}"
