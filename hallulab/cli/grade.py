"""`grade`: anyone's answers graded by written rules and scored at a confidence target, without any model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import percent, print_json, print_table, quiet_stdout
from hallulab.cli.world import given, output_folder

if TYPE_CHECKING:
    from hallulab.experiments.grading import GradingResult

N_SHOWN = 12


def grade(
    answers: Annotated[
        Path,
        typer.Argument(
            help="JSON lines: id, question, answer, correct_answers, incorrect_answers; confidence, model and "
            "stated_target if known."
        ),
    ],
    target: Annotated[
        float | None,
        typer.Option(help="t from 0 to below 1: a wrong answer costs t/(1−t) points; 0 is binary grading."),
    ] = None,
    skip_bad_lines: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Grade the rest when some lines hold no answer.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap intervals.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the records, which `report` reads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Grade answers as correct, wrong, abstained, empty or ungradable, and score them at a confidence target."""
    from hallulab.experiments.grading import GradingSettings, grade_file, records_path
    from hallulab.records import RecordFile

    with quiet_stdout():
        settings = GradingSettings(skip_bad_lines=skip_bad_lines, seed=seed, **given(target=target))
        records = RecordFile(records_path(output_folder(out), answers.name)) if out else None
        result = grade_file(answers, settings, records=records)
        found = result.to_json() | ({"records": str(records.path)} if records else {})
    if as_json:
        print_json(found)
    else:
        _print(result, found)


def _print(result: "GradingResult", found: dict[str, Any]) -> None:
    """The verdict first, then the policies beside each other, the audit, the first answers."""
    t = found["target"]
    print(
        f"At t = {t:g} ({found['reading']}) a wrong answer costs {found['penalty']:g}: "
        f"{_points(found['as_given'])} as given"
        + (
            f", {_points(found['by_confidence'])} if answers with confidence of {t:g} or less are withheld"
            if found["by_confidence"]
            else ", and no answer says how sure it is"
        )
        + "."
    )
    print()
    policies = {"as given": found["as_given"], "by confidence": found["by_confidence"]}
    rows = [
        (
            name,
            _points(summary),
            *(str(count) for count in summary["n_by_grade"].values()),
            _rate(summary["answered"]),
            _rate(summary["accuracy"]),
            _rate(summary["hallucination_rate"]),
        )
        for name, summary in policies.items()
        if summary
    ]
    grades = found["as_given"]["n_by_grade"]
    print_table(("", "points", *grades, "answered", "right of these", "hallucinations"), rows)
    if found["break_even_target"] is not None:
        print(
            f"  as given, above t = {found['break_even_target']:.3f} always saying “I do not know” scores better"
        )
    if found["best_threshold"]:
        threshold = max(0.0, found["best_threshold"]["threshold"])
        print(
            f"  these answers score best when given above confidence {threshold:.3f} (chosen on these very answers)"
        )
    if found["audit"]:
        print()
        print_table(
            ("answering above t", "answered", "right of these", "verdict"),
            [
                (f"{point['target']:g}", _rate(point["answered"]), _rate(point["accuracy"]), point["verdict"])
                for point in found["audit"]
            ],
        )
    if found["ranking"]:
        print()
        print_table(
            ("model", f"rank at t = {t:g}", "rank, binary", "points"),
            [
                (one["model"], str(one["rank"]), str(one["binary_rank"]), f"{one['score']:.3f}")
                for one in found["ranking"]
            ],
        )
    print()
    print_table(
        ("answer", "grade", "confidence", "points"),
        [
            (
                one["answer"][:60] or "(empty)",
                one["grade"] + (", withheld" if one["is_withheld"] else ""),
                "–" if one["confidence"] is None else f"{one['confidence']:.2f}",
                "–" if one["score_as_given"] is None else f"{one['score_as_given']:+.3g}",
            )
            for one in found["answers"][:N_SHOWN]
        ],
    )
    if len(found["answers"]) > N_SHOWN:
        print(f"  … and {len(found['answers']) - N_SHOWN} more; --json has them all")
    for line in found["bad_lines"]:
        print(f"  left out: line {line['line']}: {line['reason']}")
    print(f"  {result.source}, {found['n']} answers, seed {found['seed']}")


def _points(summary: dict[str, Any]) -> str:
    score = summary["score"]
    return (
        "no points" if score is None else f"{score['mean']:+.3f} [{score['low']:+.3f}, {score['high']:+.3f}]"
    )


def _rate(rate: dict[str, Any]) -> str:
    if rate["value"] is None:
        return "–"
    return f"{percent(rate['value'])} of {rate['n']}"
