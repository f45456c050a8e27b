"""`post-train`: what binary and uncertainty-aware graders teach a learner of arbitrary facts."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import print_json, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import chosen_device, given, output_folder
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.experiments.post_training_run import PostTrainingResult


def post_train(
    learner: Annotated[
        str | None,
        typer.Option(
            help="The base: crowded, memoriser, counter, abstainer, trigram, bigram, unigram or qwen (trained)."
        ),
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
    epochs: Annotated[int | None, typer.Option(help="Of the base qwen.")] = None,
    device: Annotated[str, typer.Option(help="Where qwen learns: cpu, or a GPU such as cuda:0.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; finished policies are not trained again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train answer policies by exact policy gradient against a binary grader and graders with confidence targets."""
    from hallulab.experiments.facts_run import QWEN
    from hallulab.experiments.post_training import records_path, run_post_training
    from hallulab.experiments.post_training_run import BaseEpoch, PostTrainingResult, PostTrainingSettings
    from hallulab.experiments.post_training_summary import result_json
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
        qwen = replace(default.qwen, **given(epochs=epochs))
        settings = replace(default, world=world, qwen=qwen, **chosen)
        if epochs is not None and settings.learner != QWEN:
            raise RefusedInputError(
                f"expected --epochs beside --learner {QWEN}, got {settings.learner}: leave it out"
            )
        records = RecordFile(records_path(output_folder(out), settings)) if out else None
        points = []
        with progress_bar(None, "point") as bar:
            for point in run_post_training(settings, records=records, device=chosen_device(device)):
                bar.update()
                if isinstance(point, BaseEpoch):
                    bar.set_description(f"world {point.seed}, epoch {point.epoch}", refresh=False)
                else:
                    points.append(point)
        result = PostTrainingResult.of(settings, points, library_versions())
    if as_json:
        print_json(result_json(result) | ({"records": str(records.path)} if records else {}))
    else:
        _print(result)


def _print(result: "PostTrainingResult") -> None:
    from hallulab.experiments.post_training_run import BASE, STATED
    from hallulab.experiments.post_training_summary import policy_table
    from hallulab.reports.post_training_report import calibration_page_table, over, post_training_sentences

    print(f"On prompts that no policy was trained on; means over {result.n_worlds} worlds, 95 % intervals:")
    print_table(
        ("policy", "graded at t", "points", "IDK", "hallucinations", "right of answered", "right at least t"),
        [
            (
                row.policy + ("" if row.is_trained_on or row.policy == BASE else " (untrained t)"),
                f"{row.target:g}",
                *map(over, (row.points, row.idk, row.wrong, row.accuracy)),
                row.word,
            )
            for row in policy_table(result)
            if row.is_trained_on or row.policy in (BASE, STATED)
        ],
    )
    print()
    table = calibration_page_table(result)
    print(f"{table.title}:")
    print_table(table.header, table.rows)
    for sentence in post_training_sentences(result):
        print(f"  {sentence}")
