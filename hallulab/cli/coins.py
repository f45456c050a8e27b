"""`coins`: the coin experiment, trained here and now, with the exact answers beside it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import coin_device, given, named_folder, output_folder
from hallulab.experiments.coin_settings import PAPER_TRAINING, VARIANTS, CoinSettings
from hallulab.scoring.coin_rule import rule_of

if TYPE_CHECKING:
    from hallulab.experiments.coin_result import CoinResult
    from hallulab.experiments.coin_summary import SummaryRow

DEFAULTS = CoinSettings()
SHOWN_ESTIMATORS = ("bayes_mean", "bayes_mean_rounded", "bayes_mean_ties_likelier", "bayes_mean_ceil", "mode")
"""exact answers that every run is shown beside, by their key in the result"""
MEASURES = {
    "P(right)": "conditional_probability_data_law",
    "hallucinations": "hallucination_rate",
    "squared error": "squared_error",
}
"""columns of the printed tables, by their field in a summary row"""
GO_ON, NOT_KEPT = (
    "Stopped. The same command goes on from here.",
    "Stopped. With --out, the same command would go on from here.",
)


def _by_variant(name: str) -> str:
    """A default that every variant has of its own."""
    return ", ".join(f"{variant}: {getattr(choices, name):g}" for variant, choices in VARIANTS.items())


def coins(
    coins_per_draw: Annotated[
        list[int] | None,
        typer.Option(
            help="N: coins drawn among 2N and flipped. Repeat it, and every combination is run.",
            show_default=str(DEFAULTS.coins_per_draw),
        ),
    ] = None,
    flips: Annotated[
        int | None,
        typer.Option(help="M: how often N coins are drawn and flipped.", show_default=str(DEFAULTS.flips)),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training flips.", show_default=str(DEFAULTS.epochs)),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Flips per step of Adam.", show_default=_by_variant("batch_size"))
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of Adam.", show_default=_by_variant("learning_rate"))
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            help="Repetitions, with seeds SEED, SEED + 1, …", show_default=str(DEFAULTS.rounds)
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the first round.", show_default=str(DEFAULTS.seed))
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="fixed, or paper_code for the public code's choices. Repeatable.",
            show_default=DEFAULTS.variant,
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What training minimises: squared_error, absolute_error, cross_entropy or modal. Repeatable.",
            show_default=DEFAULTS.objective,
        ),
    ] = None,
    as_in_paper: Annotated[
        bool,
        typer.Option(
            "--as-in-paper",
            help="The paper's training: " + ", ".join(f"{k} {v:g}" for k, v in PAPER_TRAINING.items()) + ".",
        ),
    ] = False,
    delta: Annotated[
        float | None,
        typer.Option(
            help="An answer with at most this probability hallucinates.", show_default=str(DEFAULTS.delta)
        ),
    ] = None,
    hdr_mass: Annotated[
        float | None,
        typer.Option(help="Judge by the region that holds this share of the flips, instead of by δ."),
    ] = None,
    points_per_epoch: Annotated[
        int | None,
        typer.Option(
            help="How often the networks are scored in an epoch.", show_default=str(DEFAULTS.points_per_epoch)
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where the networks live: cpu, or a GPU such as cuda:0.", show_default="a GPU if there is one"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_folder, metavar="FOLDER",
            help="Records are kept here; finished rounds are not run again, and another δ only judges them anew.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:  # fmt: skip
    """Train networks to count the heads of N coins, and compare them with the exact answers."""
    rule = rule_of(delta=delta, hdr_mass=hdr_mass)
    chosen = {"delta": rule.delta, "hdr_mass": rule.hdr_mass} | given(
        flips=flips, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, rounds=rounds,
        seed=seed, points_per_epoch=points_per_epoch,
    )  # fmt: skip
    with quiet_stdout():
        from hallulab.experiments.coins import coin_grid

        # what is chosen by hand goes before the paper's numbers
        grid = coin_grid(
            (dict(PAPER_TRAINING) if as_in_paper else {}) | chosen,
            coins_per_draw=coins_per_draw or (),
            variants=variant or (),
            objectives=objective or (),
        )
        results = _run(grid, out and output_folder(out), device)
    if as_json:
        print_json(_to_json(results, out))
    else:
        _print_results(results)


def _run(grid: Sequence[CoinSettings], folder: Path | None, device: str | None) -> "tuple[CoinResult, ...]":
    """Every round of every combination, with a bar on stderr."""
    from hallulab.experiments.coin_events import CoinMoment
    from hallulab.experiments.coin_records import CoinRecords, records_path
    from hallulab.experiments.coin_result import coin_result
    from hallulab.experiments.coins import run_coin_grid

    moments: dict[CoinSettings, list[CoinMoment]] = {settings: [] for settings in grid}
    try:
        with progress_bar(sum(settings.rounds * settings.epochs for settings in grid), "epoch") as bar:
            for settings, event in run_coin_grid(grid, folder=folder, device=coin_device(device)):
                bar.set_description(
                    f"N {settings.coins_per_draw}, {settings.variant}, {settings.objective}", refresh=False
                )
                if isinstance(event, CoinMoment):
                    moments[settings].append(event)
                    bar.update(event.ends_epoch)
                elif event.train_loss is not None:
                    bar.set_postfix(loss=f"{event.train_loss:.4f}")
    except KeyboardInterrupt:
        print(GO_ON if folder else NOT_KEPT, file=sys.stderr)
        raise
    return tuple(
        coin_result(
            settings,
            found,
            measured_by=CoinRecords(records_path(folder, settings)).measured_by() if folder else None,
        )
        for settings, found in moments.items()
    )


def _to_json(results: "Sequence[CoinResult]", out: Path | None) -> dict[str, Any]:
    """The contract's object for one combination; a list of them and their common tables for several."""
    from dataclasses import asdict

    from hallulab.experiments.coin_effects import way_effects
    from hallulab.experiments.coin_records import records_path
    from hallulab.experiments.coin_summary import run_json, summary_table

    runs = [
        run_json(result) | ({"records": str(records_path(out, result.settings))} if out else {})
        for result in results
    ]
    if len(runs) == 1:
        return runs[0]
    return {
        "runs": runs,
        "table": [asdict(row) for row in summary_table(results)],
        "objectives": [effect.to_json() for ways in _by_size(results) for effect in way_effects(ways)],
    }


def _print_results(results: "Sequence[CoinResult]") -> None:
    from hallulab.experiments.coin_summary import summary_table

    for result in results:
        _print_result(result, summary_table([result]))
        print()
    if len(results) > 1:
        _print_comparison(results)


def _print_result(result: "CoinResult", table: "Sequence[SummaryRow]") -> None:
    """One combination: its networks, their exact counterpart, the gap, and what estimators reach exactly."""
    from hallulab.reports.coin_claim_words import claim_sentences
    from hallulab.reports.coin_numbers import value_words, with_spread
    from hallulab.reports.coin_words import estimator_title, rule_title

    settings = result.settings
    print(
        f"{settings.coins_per_draw} of {2 * settings.coins_per_draw} coins, {settings.flips:,} flips, "
        f"epochs: {settings.epochs}, rounds: {settings.rounds}, variant: {settings.variant}, "
        f"objective: {settings.objective}, {rule_title(settings)}"
    )
    rows: list[tuple[str, ...]] = []
    for row in table:
        measured = [getattr(row, field) for field in MEASURES.values()]
        held_out = [getattr(row, f"held_out_{field}") for field in MEASURES.values()]
        rows += [
            (f"network, {row.answer}", *(with_spread(over, digits=4) for over in measured)),
            ("  exact counterpart", *(value_words(over.exact, digits=4) for over in measured)),
            ("  gap", *(value_words(over.gap, digits=4, signed=True) for over in measured)),
            ("  on held-out flips", *(with_spread(over, digits=4) for over in held_out)),
        ]
    how = "exact" if result.exact["all_draws"] else "estimated"
    keys = ("conditional_probability", "hallucination_rate", "squared_error")
    for name in SHOWN_ESTIMATORS:
        exact = result.exact[name]
        best = ": the best possible" if name == "mode" else ""
        rows.append((f"{how}: {estimator_title(name)}{best}", *(_exact_words(exact, key) for key in keys)))
    print_table(("", *MEASURES), rows)
    n_draws = result.exact["n_draws"]
    print(
        f"  exact values: over all {n_draws:,} draws"
        if result.exact["all_draws"]
        else f"  estimated from {n_draws:,} draws made at random, with 95 % intervals; networks from "
        f"{table[0].n_draws:,}"
    )
    for row in table:
        _print_row(row, settings, with_spread)
        for sentence in claim_sentences(row.claim) if row.epoch else ():
            print(f"  {row.answer}: {sentence}")


def _print_row(row: "SummaryRow", settings: CoinSettings, with_spread: Any) -> None:
    """What does not fit the table."""
    from hallulab.scoring.coin_table import FAR_HEADS

    if row.impossible_share.exact is not None:
        print(
            f"  {row.answer}, before rounding: cannot happen in {with_spread(row.impossible_share, as_percent=True)} "
            "of the "
            f"draws, off every possible count by over {FAR_HEADS:g} in {with_spread(row.far_share, as_percent=True)}"
        )
    if settings.choices.law != "data":
        print(
            f"  {row.answer}: P(right) as the public code scores: "
            f"{with_spread(row.conditional_probability, digits=4)}, "
            f"exact counterpart {row.conditional_probability.exact:.4f}"
        )
    if row.left_out_seeds:
        print(f"  left out, as they did not finish: seeds {', '.join(map(str, row.left_out_seeds))}")
    if row.n_draws_missing:
        print(f"  {row.answer}: {row.n_draws_missing:,} draws without an answer, left out")


def _print_comparison(results: "Sequence[CoinResult]") -> None:
    """All combinations, and what each changes on the same flips."""
    from hallulab.experiments.coin_effects import way_effects
    from hallulab.experiments.coin_summary import summary_table
    from hallulab.reports.coin_effect_words import effect_sentences
    from hallulab.reports.coin_numbers import with_spread

    table = summary_table(results)
    names = [f"N {row.coins_per_draw}, {row.variant}, {row.objective}, {row.answer}" for row in table]
    print("All of them:")
    measured = [[with_spread(getattr(row, field), digits=4) for field in MEASURES.values()] for row in table]
    print_table(("", *MEASURES), [(name, *cells) for name, cells in zip(names, measured, strict=True)])
    print()
    print("Differences, paired seed by seed on the same flips:")
    compared = [
        (
            "–" if row.reference is None else f"to {row.reference}",
            *(with_spread(getattr(row, field), digits=4, signed=True) for field in (
                "conditional_probability_difference", "hallucination_rate_difference", "squared_error_difference",
            )),
        )
        for row in table
    ]  # fmt: skip
    print_table(("", "", *MEASURES), [(name, *cells) for name, cells in zip(names, compared, strict=True)])
    for ways in _by_size(results):
        effects = way_effects(ways)
        if effects:
            print(
                f"\nN = {effects[0].settings.coins_per_draw}, at every δ: {' '.join(effect_sentences(effects))}"
            )


def _by_size(results: "Sequence[CoinResult]") -> "list[list[CoinResult]]":
    """Runs that can be compared: one N and one variant each."""
    groups: dict[tuple[int, str], list[CoinResult]] = {}
    for result in results:
        groups.setdefault((result.settings.coins_per_draw, result.settings.variant), []).append(result)
    return list(groups.values())


def _exact_words(exact: dict[str, Any], key: str) -> str:
    interval = exact.get(f"{key}_interval")
    return f"{exact[key]:.4f}" + (f" [{interval[0]:.4f} to {interval[1]:.4f}]" if interval else "")
