"""`post-train`: what binary and uncertainty-aware graders teach a learner of arbitrary facts."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import given, output_folder

if TYPE_CHECKING:
    from hallulab.experiments.post_training_summary import OverWorlds, PolicyRow


def post_train(
    learner: Annotated[
        str | None, typer.Option(help="The base: crowded, memoriser, counter, bigram, …")
    ] = None,
    prompts: Annotated[int | None, typer.Option(help="People in the world.")] = None,
    answers: Annotated[int | None, typer.Option(help="Plausible answers to each prompt.")] = None,
    zipf: Annotated[float | None, typer.Option(help="Exponent of how often prompts are asked.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="α: how often the data answers rather than says IDK.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="N: training samples of the base.")] = None,
    slots: Annotated[int | None, typer.Option(help="Room of the crowded memory.")] = None,
    target: Annotated[
        list[float] | None, typer.Option(help="Of the graders besides the binary one; repeatable.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of gradient ascent.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Worlds, with seeds SEED, SEED + 1, …")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first world.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; finished policies are not trained again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train answer policies by exact policy gradient against a binary grader and graders with confidence targets."""
    from hallulab.experiments.post_training import (
        PostTrainingResult,
        PostTrainingSettings,
        records_path,
        run_post_training,
    )
    from hallulab.experiments.post_training_summary import policy_table
    from hallulab.records import RecordFile, library_versions

    with quiet_stdout():
        default = PostTrainingSettings()
        world = replace(
            default.world,
            **given(n_prompts=prompts, n_answers=answers, zipf_exponent=zipf, answer_rate=alpha),
        )
        chosen = given(learner=learner, n_samples=samples, n_slots=slots, rounds=rounds, seed=seed)
        if steps is not None:
            chosen |= {"n_steps": steps, "n_points": max(1, min(default.n_points, steps))}
        if target:
            chosen["targets"] = tuple(target)
        settings = replace(default, world=world, **chosen)
        records = RecordFile(records_path(output_folder(out), settings)) if out else None
        points = []
        with progress_bar(None, "point") as bar:
            for point in run_post_training(settings, records=records):
                points.append(point)
                bar.update()
        rows = policy_table(PostTrainingResult(settings, tuple(points), library_versions()))
    if as_json:
        print_json(
            {"settings": asdict(settings), "table": [asdict(row) for row in rows]}
            | ({"records": str(records.path)} if records else {})
        )
    else:
        _print(rows, settings.rounds)


def _print(rows: "tuple[PolicyRow, ...]", n_worlds: int) -> None:
    print(f"On prompts that no policy was trained on; means over {n_worlds} worlds, 95 % intervals:")
    print_table(
        ("policy", "graded at t", "points", "IDK", "hallucinations", "right of answered"),
        [
            (
                row.policy + ("" if row.is_trained_on or row.policy == "base" else " (untrained t)"),
                f"{row.target:g}",
                _number(row.points),
                _number(row.idk),
                _number(row.wrong),
                _number(row.accuracy),
            )
            for row in rows
            if row.is_trained_on or row.policy in ("base", "stated targets")
        ],
    )


def _number(over: "OverWorlds") -> str:
    if over.mean is None:
        return "–"
    if over.interval is None:
        return f"{over.mean:.3f}"
    return f"{over.mean:.3f} [{over.interval.low:.3f}, {over.interval.high:.3f}]"
