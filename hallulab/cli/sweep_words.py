"""`sweep words`: Table 1 of [LHZSL] over every checkpoint, with its controls and with text verdicts."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout
from hallulab.cli.sweep_progress import SweepProgress
from hallulab.cli.world import AdaptersOption, given, output_folder, own_world
from hallulab.engine.own_checkpoints import with_folders
from hallulab.engine.presets import load_preset
from hallulab.engine.quiet import quiet_libraries

if TYPE_CHECKING:
    from hallulab.data.question_sets import ReferencedQuestion
    from hallulab.experiments.words_sweep import SweepStep, WordsSweep, WordsSweepSettings

TRUTHFULQA_VARIABLE = "HALLULAB_TRUTHFULQA"


def sweep_words(
    out: Annotated[Path, typer.Option(help="Folder for the records; what is in it is not measured again.")],
    preset: Annotated[
        str | None, typer.Option(help="The world whose checkpoints answer; HALLULAB_PRESET by default.")
    ] = None,
    questions: Annotated[
        Literal["truthfulqa", "misconceptions"] | None,
        typer.Option(
            help="truthfulqa, from the CSV that HALLULAB_TRUTHFULQA names or from the Hub; or the shipped set."
        ),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="Whose answers are scored, by name or by folder; all by default. Repeatable."),
    ] = None,
    adapters: AdaptersOption = None,
    seeds: Annotated[
        int | None, typer.Option(help="Answers per question and checkpoint, with seeds SEED, SEED + 1, …")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The first seed.")] = None,
    variant: Annotated[
        Literal["answer_only", "paper_code"] | None,
        typer.Option(
            help="answer_only: chat format, the answer alone is scored; paper_code: as the public code does."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most so many questions of each kind, spread over the set.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Resemblance to common wrong answers with its controls, and text verdicts, for every checkpoint."""
    chosen = given(question_set=questions, limit=limit, seed=seed, n_seeds=seeds, variant=variant)
    with quiet_stdout():
        world = own_world(load_preset(preset or os.environ.get("HALLULAB_PRESET")), adapters=adapters)
        world, names = with_folders(world, "words", checkpoint or ())
        chosen |= given(checkpoints=names or None)
        settings, last = _run(world, chosen, out)
    _print(out, settings, last, as_json=as_json)


def _run(world: Any, chosen: dict[str, Any], out: Path) -> tuple["WordsSweepSettings", "SweepStep"]:
    """Both experiments, with progress on stderr; refused before a model is loaded."""
    quiet_libraries()
    from hallulab.engine.core import Engine
    from hallulab.experiments.words_sweep import run_words_sweep, sweep_settings

    settings = sweep_settings(**chosen)
    engine = Engine(world)
    for name in settings.resemblance.checkpoints:
        engine.checkpoint_place("words", name)
    asked = _questions(settings.question_set)
    last = None
    with SweepProgress() as progress:
        for last in run_words_sweep(engine, settings, asked, output_folder(out)):
            progress.show(last.part, last.message, last.part_done, last.part_total)
    assert last is not None  # each experiment ends with a step
    return settings, last


def _questions(name: str) -> tuple["ReferencedQuestion", ...]:
    """The question set, refused in one sentence where TruthfulQA is out of reach."""
    from hallulab.data.question_sets import load_question_set

    if name != "truthfulqa":
        return load_question_set(name)
    place = os.environ.get(TRUTHFULQA_VARIABLE) or None
    if place is None:
        from huggingface_hub.utils import logging

        print("Looking for TruthfulQA on the Hub …", file=sys.stderr)
        logging.set_verbosity_error()  # it reports each of its retries
    return load_question_set(name, place)


def _print(out: Path, settings: "WordsSweepSettings", last: "SweepStep", *, as_json: bool) -> None:
    from hallulab.experiments.words_sweep import paper_table, read_words_sweep, sweep_rows

    sweep = read_words_sweep(out)
    variant = settings.resemblance.variant
    run = next(
        run
        for run in sweep.resemblance
        if (run.question_set, run.result.settings.variant) == (settings.question_set, variant)
    )
    verdicts = sweep.verdicts.summary if sweep.verdicts else None
    if as_json:
        print_json(
            {
                "run": out,
                "n_done": last.n_done,
                "n_total": last.n_total,
                "question_set": settings.question_set,
                "variant": variant,
                "n_questions": run.result.questions.n,
                "questions_sha256": run.result.questions.sha256,
                "table": [asdict(row) for row in sweep_rows(run.summary, verdicts)],
                "n_compared": run.summary.n_compared,
                "verdicts": verdicts.to_json() if verdicts else None,
                "paper": paper_table(),
                "records": list(sweep.record_paths),
            }
        )
        return
    _print_words(sweep, sweep.resemblance.index(run), out)


def _print_words(sweep: "WordsSweep", which: int, out: Path) -> None:
    from hallulab.reports.words_sentences import resemblance_finding, verdicts_finding
    from hallulab.reports.words_tables import checkpoint_table, paper_table_1, score_table

    run, verdicts = sweep.resemblance[which], sweep.verdicts
    findings = [resemblance_finding(run), *([verdicts_finding(verdicts)] if verdicts else [])]
    tables = [score_table(run), paper_table_1(), *([checkpoint_table(verdicts)] if verdicts else [])]
    for table in tables:
        print(f"{table.title}:")
        print_table(table.header, _cells(table.rows))
        print()
    for finding in findings:
        print(f"{finding.headline}")
        for sentence in finding.sentences:
            print(f"  {sentence}")
    print(f"\nThe page about it: python -m hallulab report {out}")


def _cells(rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return [tuple(row) for row in rows]
