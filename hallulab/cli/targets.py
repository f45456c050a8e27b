"""`targets`: does a confidence target that the prompt states change what a local model does?"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import given, output_folder, start_engine, truthfulqa_path

if TYPE_CHECKING:
    from hallulab.experiments.stated_targets import StatedTargetsResult
    from hallulab.theory.bootstrap import PairedDifference


def targets(
    questions: Annotated[str | None, typer.Option(help="birthdays, misconceptions or truthfulqa.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most so many questions, spread over the set; 0 asks all.", min=0)
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
        chosen = given(question_set=questions, temperature=temperature)
        if limit is not None:
            chosen["n_questions"] = limit or None
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
    if as_json:
        print_json(_to_json(result) | ({"records": str(records.path)} if records else {}))
    else:
        _print(result)


def _to_json(result: "StatedTargetsResult") -> dict[str, Any]:
    from hallulab.experiments.grading import audit_json, below_json, summary_json, threshold_json
    from hallulab.experiments.stated_targets_summary import (
        behaviour_table,
        dose_table,
        frequency_table,
        grading_table,
        stated_audit,
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
                "spoke_change": _difference(row.spoke_change, row.change_p_holm),
                "spoke_beyond_control": _difference(row.spoke_beyond_control, row.beyond_p_holm),
            }
            | summary_json(row.summary)
            for row in behaviour_table(result)
        ],
        "target_alone": [
            {
                "checkpoint": row.checkpoint,
                "lowest": row.lowest,
                "highest": row.highest,
                "spoke": _difference(row.spoke, row.p_holm),
                "same_text": row.same_text,
                "n": row.n,
            }
            for row in dose_table(result)
        ],
        "stated_audit": [audit_json(point) for point in stated_audit(result)],
        "grading": [
            {
                "checkpoint": row.checkpoint,
                "target": row.target,
                "policy": row.policy,
                "rank": row.standing.rank,
                "below_first": below_json(row.standing),
                "own_threshold": None if row.own_threshold is None else row.own_threshold.threshold,
                "best_threshold": None if row.own_threshold is None else threshold_json(row.own_threshold),
            }
            | summary_json(row.summary)
            for row in grading_table(result)
        ],
        "by_category": [
            {"checkpoint": row.checkpoint, "category": row.category} | summary_json(row.summary)
            for row in frequency_table(result)
        ],
    }


def _difference(found: "PairedDifference | None", p_holm: float | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "mean": found.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "p_value": found.p_value,
        "p_holm": p_holm,
        "n": found.n,
    }


def _print(result: "StatedTargetsResult") -> None:
    from hallulab.experiments.stated_targets_summary import dose_table

    print(f"{len(result.questions)} questions; the same for every checkpoint and prompt.")
    print()
    _print_behaviour(result)
    for row in dose_table(result):
        print(
            f"  {row.checkpoint}: from t = {row.lowest:g} to {row.highest:g} the share that speaks changes by "
            f"{_change(row.spoke, row.p_holm)}; {row.same_text} of {row.n} answers are the same, word for word"
        )
    _print_audit(result)
    _print_grading(result)


def _print_behaviour(result: "StatedTargetsResult") -> None:
    from hallulab.experiments.stated_targets_summary import behaviour_table
    from hallulab.reports.grading_words import rate

    print("What the prompt changes (speaks: says anything but that it does not know):")
    print_table(
        (
            "checkpoint, prompt",
            "answered",
            "right of these",
            "ungradable",
            "speaks, against plain",
            "against control",
        ),
        [
            (
                f"{row.checkpoint}, {row.prompt}",
                rate(row.summary.answered, 0),
                rate(row.summary.accuracy, 0),
                str(row.summary.n_by_grade["ungradable"]),
                _change(row.spoke_change, row.change_p_holm),
                _change(row.spoke_beyond_control, row.beyond_p_holm),
            )
            for row in behaviour_table(result)
        ],
    )
    print("  Points of a percent, paired by question; p is Holm-corrected for all rows of the table.")


def _print_audit(result: "StatedTargetsResult") -> None:
    from hallulab.experiments.stated_targets_summary import stated_audit
    from hallulab.reports.grading_words import AUDIT_HEADER, AUDIT_NOTE, audit_row

    points = stated_audit(result)
    if not points:
        return
    print()
    print("Told t, is at least the share t of what it answers right?")
    print_table(AUDIT_HEADER, [audit_row(point) for point in points])
    print(f"  {AUDIT_NOTE}")


def _print_grading(result: "StatedTargetsResult") -> None:
    from hallulab.experiments.stated_targets_summary import grading_table
    from hallulab.reports.grading_words import behind, p_value, range_cell, rate, score

    print()
    print("The plain answers, graded:")
    print_table(
        (
            "checkpoint, policy",
            "t",
            "points",
            "ungradable wrong … right",
            "hallucinations",
            "rank",
            "behind",
            "p",
        ),
        [
            (
                f"{row.checkpoint}, {row.policy.replace('_', ' ')}",
                f"{row.target:g}",
                score(row.summary.score),
                range_cell(row.summary),
                rate(row.summary.hallucination_rate, 0),
                "–" if row.standing.rank is None else str(row.standing.rank),
                behind(row.standing),
                p_value(row.standing.p_holm),
            )
            for row in grading_table(result)
        ],
    )


def _change(found: "PairedDifference | None", p_holm: float | None) -> str:
    from hallulab.reports.grading_words import change, p_value

    return "" if found is None else f"{change(found)} (p = {p_value(p_holm)})"
