"""`targets`: does a confidence target that the prompt states change what a local model does?"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import percent, print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import given, output_folder, start_engine, truthfulqa_path

if TYPE_CHECKING:
    from hallulab.experiments.stated_targets import StatedTargetsResult
    from hallulab.theory.bootstrap import PairedDifference


def targets(
    question_set: Annotated[
        str | None, typer.Option("--set", help="birthdays, misconceptions or truthfulqa.")
    ] = None,
    questions: Annotated[
        int | None, typer.Option(help="Spread evenly over the set; 0 asks all of them.", min=0)
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Who answers; repeatable. All of the preset by default.")
    ] = None,
    target: Annotated[
        list[float] | None, typer.Option(help="Stated in the prompt; repeatable. 0 states binary grading.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the answers; 0 is greedy.")] = None,
    seed: Annotated[int, typer.Option(help="Of sampled answers and intervals.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; answers in it are not written again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask local models with and without a stated confidence target, and grade the same models both ways."""
    from hallulab.experiments.stated_targets import (
        StatedTargetsSettings,
        records_path,
        run_stated_targets,
    )
    from hallulab.records import RecordFile

    with quiet_stdout():
        chosen = given(question_set=question_set, temperature=temperature)
        if questions is not None:
            chosen["n_questions"] = questions or None
        if target:
            chosen["targets"] = tuple(target)
        settings = StatedTargetsSettings(checkpoints=tuple(checkpoint or ()), seed=seed, **chosen)
        records = RecordFile(records_path(output_folder(out), settings)) if out else None
        is_truthfulqa = settings.question_set == "truthfulqa"
        steps = run_stated_targets(
            start_engine(),
            settings,
            records=records,
            questions_path=truthfulqa_path() if is_truthfulqa else None,
        )
        result = None
        with progress_bar(None, "answer") as bar:
            for step in steps:
                bar.total = step.n_total
                bar.set_description(step.note, refresh=False)
                bar.update(step.n_done - bar.n)
                result = step.result
        assert result is not None  # the last step holds it
        found = _to_json(result) | ({"records": str(records.path)} if records else {})
    if as_json:
        print_json(found)
    else:
        _print(found)


def _to_json(result: "StatedTargetsResult") -> dict[str, Any]:
    from hallulab.experiments.grading import summary_json
    from hallulab.experiments.stated_targets_summary import (
        behaviour_table,
        dose_table,
        frequency_table,
        grading_table,
    )

    return {
        "settings": asdict(result.settings),
        "n_questions": len(result.questions),
        "models": [asdict(model) for model in result.models],
        "behaviour": [
            {
                "checkpoint": row.checkpoint,
                "prompt": row.prompt,
                "stated_target": row.stated_target,
                "spoke_change": _difference(row.spoke_change),
                "spoke_beyond_control": _difference(row.spoke_beyond_control),
            }
            | summary_json(row.summary)
            for row in behaviour_table(result)
        ],
        "target_alone": [
            {
                "checkpoint": row.checkpoint,
                "lowest": row.lowest,
                "highest": row.highest,
                "spoke": _difference(row.spoke),
                "same_text": row.same_text,
                "n": row.n,
            }
            for row in dose_table(result)
        ],
        "grading": [
            {
                "checkpoint": row.checkpoint,
                "target": row.target,
                "policy": row.policy,
                "rank": row.rank,
                "own_threshold": None if row.own_threshold is None else row.own_threshold.threshold,
            }
            | summary_json(row.summary)
            for row in grading_table(result)
        ],
        "by_category": [
            {"checkpoint": row.checkpoint, "category": row.category} | summary_json(row.summary)
            for row in frequency_table(result)
        ],
    }


def _difference(found: "PairedDifference | None") -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "mean": found.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "p_value": found.p_value,
        "n": found.n,
    }


def _print(found: dict[str, Any]) -> None:
    print(f"{found['n_questions']} questions; the same for every checkpoint and prompt.")
    print()
    print("What the prompt changes (speaks: says anything but that it does not know):")
    print_table(
        ("checkpoint, prompt", "answered", "right of these", "speaks, against plain", "against control"),
        [
            (
                f"{row['checkpoint']}, {row['prompt']}",
                _rate(row["answered"]),
                _rate(row["accuracy"]),
                _points_change(row["spoke_change"]),
                _points_change(row["spoke_beyond_control"]),
            )
            for row in found["behaviour"]
        ],
    )
    for row in found["target_alone"]:
        print(
            f"  {row['checkpoint']}: from t = {row['lowest']:g} to {row['highest']:g} the share that speaks changes by "
            f"{_points_change(row['spoke'])}; {row['same_text']} of {row['n']} answers are the same, word for word"
        )
    print()
    print("The plain answers, graded:")
    print_table(
        ("checkpoint, policy", "t", "points", "hallucinations", "rank"),
        [
            (
                f"{row['checkpoint']}, {row['policy'].replace('_', ' ')}",
                f"{row['target']:g}",
                "–" if row["score"] is None else f"{row['score']['mean']:+.3f}",
                _rate(row["hallucination_rate"]),
                str(row["rank"]),
            )
            for row in found["grading"]
        ],
    )


def _rate(rate: dict[str, Any]) -> str:
    return "–" if rate["value"] is None else f"{percent(rate['value'])} of {rate['n']}"


def _points_change(difference: dict[str, Any] | None) -> str:
    if difference is None:
        return ""
    return f"{100 * difference['mean']:+.1f} points (p = {difference['p_value']:.2g})"
