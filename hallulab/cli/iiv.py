"""`iiv`: Theorem 1 of [KNVZ] measured on local models, their calibration, and models too poor to tell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import given, output_folder, start_engine, truthfulqa_path
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.experiments.iiv import IivResult
    from hallulab.experiments.poor_models import PoorModels


def iiv(
    questions: Annotated[
        list[str] | None,
        typer.Option(
            help="misconceptions, open_ended, known_answers, birthdays or truthfulqa; repeatable. All but the last "
            "by default."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="At most so many questions of each set, spread over it; 0 asks all.", min=0),
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Who judges; repeatable. All of the preset by default.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of borrowed errors, intervals, the circle's points.", min=0),
    ] = None,
    poor_models: Annotated[
        bool, typer.Option("--poor-models", help="Only enumerate models too poor to tell; loads no model.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; what is in it is not measured again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Is-It-Valid: how often local models state errors, against how often they misjudge answers."""
    with quiet_stdout():
        if poor_models:
            if questions or checkpoint or limit is not None:
                raise RefusedInputError(
                    "expected --poor-models without --questions, --limit and --checkpoint: it asks no model"
                )
            found = _poor_models(seed, out)
        else:
            found = _measured(tuple(questions or ()), limit, tuple(checkpoint or ()), seed, out)
    if as_json:
        print_json(found)
    elif poor_models:
        _print_poor_models(found)
    else:
        _print(found)


def _measured(
    sets: tuple[str, ...],
    limit: int | None,
    checkpoints: tuple[str, ...],
    seed: int | None,
    out: Path | None,
) -> dict[str, Any]:
    from hallulab.experiments.iiv import DEFAULT_SETS, IivSettings, records_path, run_iiv
    from hallulab.experiments.iiv_summary import summary_json
    from hallulab.records import RecordFile

    chosen = given(seed=seed)
    if limit is not None:
        chosen["n_questions"] = limit or None
    names = tuple(dict.fromkeys(sets)) or DEFAULT_SETS
    runs = [IivSettings(question_set=name, checkpoints=checkpoints, **chosen) for name in names]
    folder = output_folder(out) if out else None
    engine = start_engine()
    results: list[IivResult] = []
    result = None
    for settings in runs:
        records = RecordFile(records_path(folder, settings)) if folder else None
        path = truthfulqa_path() if settings.question_set == "truthfulqa" else None
        with progress_bar(None, "question") as bar:
            for step in run_iiv(engine, settings, records=records, questions_path=path):
                bar.total = step.n_total
                bar.set_description(f"{settings.question_set}, {step.note}", refresh=False)
                bar.update(step.n_done - bar.n)
                result = step.result
        assert result is not None  # the last step holds it
        results.append(result)
    return summary_json(results) | ({"out": str(folder)} if folder else {})


def _poor_models(seed: int | None, out: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    from hallulab.experiments.poor_models import FILE_NAME, PoorModelsSettings, compute_poor_models
    from hallulab.records import RecordFile
    from hallulab.theory.circle_separator import CircleSettings

    records = RecordFile(output_folder(out) / FILE_NAME) if out else None
    settings = PoorModelsSettings(circle=CircleSettings(**given(seed=seed)))
    found: PoorModels = compute_poor_models(settings, records=records)
    return asdict(found) | ({"records": str(records.path)} if records else {})


def _print(found: dict[str, Any]) -> None:
    print(
        "Error rate when it generates, against error rate when it judges (err_iiv); the paper's factor is 2."
    )
    print_table(
        (
            "set, checkpoint",
            "n",
            "err",
            "err_iiv",
            "own threshold",
            "best",
            "err / own",
            "δ",
            "bound",
            "sharper",
        ),
        [
            (
                f"{row['question_set']}, {row['checkpoint']}",
                str(row["n_questions"]),
                _interval(row["err"]),
                *(_number(row[name]) for name in ("err_iiv", "own_err_iiv", "best_err_iiv")),
                _interval(row["own_ratio"], 2),
                *(_number(row[name]) for name in ("delta", "bound", "sharp_bound")),
            )
            for row in found["table"]
            if row["scale"] == "renormalised"
        ],
    )
    n_broken = sum(row["is_broken"] for row in found["table"])
    print(f"  Broken bounds: {n_broken} of {len(found['table'])} (checkpoints, sets and scales).")
    print()
    print("Confidence in its likeliest listed answer, against how often that is valid:")
    print_table(
        ("set, checkpoint", "confidence", "valid", "ECE", "MCE", "Brier", "log loss (nats)"),
        [
            (
                f"{row['question_set']}, {row['checkpoint']}",
                _number(row["confidence"]),
                _number(row["accuracy"]),
                _interval(row["ece"]),
                *(_number(row[name]) for name in ("mce", "brier", "log_loss")),
            )
            for row in found["calibration"]
            if row["view"] == "likeliest"
        ],
    )


def _print_poor_models(found: dict[str, Any]) -> None:
    for title, name in (
        ("The two prompts of Corollary 2:", "corollary_2"),
        ("The pronoun at four distances:", "windows"),
    ):
        print(title)
        print_table(
            ("n-gram", "least error rate", "over tables", "tables", "opt", "Theorem 3 ≥"),
            [
                (
                    f"n = {row['order']}",
                    f"{row['least_err']:.4f}",
                    "–" if row["least_err_on_grid"] is None else f"{row['least_err_on_grid']:.4f}",
                    "–" if row["n_tables"] is None else f"{row['n_tables']:,}",
                    f"{row['opt']:.4f}",
                    f"{row['bound']:.4f}",
                )
                for row in found[name]
            ],
        )
        print()
    print("Which point lies inside the circle?")
    print_table(
        ("score", "models tried", "least error rate of these", "opt", "Theorem 3 ≥"),
        [
            (
                row["family"],
                f"{row['n_models']:,}",
                f"{row['least_err']:.4f}",
                _opt(row),
                f"{row['bound']:.4f}",
            )
            for row in found["circle"]
        ],
    )
    print(
        "  opt: least judging error over every model of the family and every threshold, tried or not; two numbers\n"
        "  where it is only known to lie between them. Theorem 3 is taken from the lower one."
    )


def _opt(row: dict[str, Any]) -> str:
    low, high = f"{row['opt_low']:.4f}", f"{row['opt_high']:.4f}"
    return high if low == high else f"{low} to {high}"


def _number(estimate: dict[str, Any], digits: int = 3) -> str:
    value = estimate["value"]
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(estimate: dict[str, Any], digits: int = 3) -> str:
    written = _number(estimate, digits)
    if estimate["low"] is None:
        return written
    return f"{written} [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"
