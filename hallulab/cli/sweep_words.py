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
from hallulab.cli.world import AdaptersOption, given, output_folder, own_world, truthfulqa_path
from hallulab.engine.own_checkpoints import with_folders
from hallulab.engine.presets import Preset, load_preset
from hallulab.engine.quiet import quiet_libraries

if TYPE_CHECKING:
    from hallulab.data.question_sets import ReferencedQuestion
    from hallulab.experiments.words_sweep import ResemblanceRun, SweepStep, VerdictsRun, WordsSweepSettings


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
    only: Annotated[
        Literal["resemblance", "verdicts"] | None,
        typer.Option(help="Run one of the two experiments; the text verdicts need no question set."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Resemblance to common wrong answers with its controls, and text verdicts, for every checkpoint."""
    chosen = given(
        question_set=questions, limit=limit, seed=seed, n_seeds=seeds, variant=variant,
        parts=(only,) if only else None,
    )  # fmt: skip
    with quiet_stdout():
        world = own_world(load_preset(preset or os.environ.get("HALLULAB_PRESET")), adapters=adapters)
        world, names = with_folders(world, "words", checkpoint or ())
        chosen |= given(checkpoints=names or None)
        found = _run(world, chosen, out)
    if found is None:  # another process of this launch speaks
        return
    settings, last = found
    _print(out, settings, last, as_json=as_json)


def _run(world: Preset, chosen: dict[str, Any], out: Path) -> tuple["WordsSweepSettings", "SweepStep"] | None:
    """The finished sweep, with progress on stderr; None in every process of a launch but the first."""
    quiet_libraries()
    from hallulab.engine.core import Engine
    from hallulab.experiments.words_sweep import run_words_sweep, sweep_settings
    from hallulab.experiments.workers import Workers

    settings = sweep_settings(**chosen)
    workers = Workers.of_launch()
    engine = Engine(world)
    for name in settings.resemblance.checkpoints:
        engine.checkpoint_place("words", name)
    asked = _questions(settings.question_set) if "resemblance" in settings.parts else ()
    last = None
    with SweepProgress() as progress:
        for last in run_words_sweep(engine, settings, asked, output_folder(out), workers=workers):
            progress.show(last.part, last.message, last.part_done, last.part_total)
    assert last is not None  # each experiment ends with a step
    return (settings, last) if workers.index == 0 else None


def _questions(name: str) -> tuple["ReferencedQuestion", ...]:
    """The question set, refused in one sentence where TruthfulQA is out of reach."""
    from hallulab.data.question_sets import load_question_set

    if name != "truthfulqa":
        return load_question_set(name)
    place = truthfulqa_path()
    if place is None:
        from huggingface_hub.utils import logging

        print("Looking for TruthfulQA on the Hub …", file=sys.stderr)
        logging.set_verbosity_error()  # it reports each of its retries
    return load_question_set(name, place)


def _print(out: Path, settings: "WordsSweepSettings", last: "SweepStep", *, as_json: bool) -> None:
    from hallulab.experiments.words_sweep import paper_table, read_words_sweep, sweep_rows

    sweep = read_words_sweep(out)
    run = None
    if "resemblance" in settings.parts:
        wanted = settings.question_set, settings.resemblance.variant
        run = next(
            one for one in sweep.resemblance if (one.question_set, one.result.settings.variant) == wanted
        )
    verdicts = sweep.verdicts if "verdicts" in settings.parts else None
    if not as_json:
        _print_words(run, verdicts, out)
        return
    scored, judged = run and run.summary, verdicts and verdicts.summary
    print_json(
        {
            "run": out,
            "n_done": last.n_done,
            "n_total": last.n_total,
            "question_set": run and run.question_set,
            "variant": run and run.result.settings.variant,
            "n_questions": run and run.result.questions.n,
            "questions_sha256": run and run.result.questions.sha256,
            "table": [asdict(row) for row in sweep_rows(scored, judged)],
            "slopes": scored and {name: asdict(slope) for name, slope in scored.slopes.items()},
            "powers": scored and [asdict(power) for power in scored.powers],
            "n_compared": scored and scored.n_compared,
            "verdicts": judged and judged.to_json(),
            "paper": paper_table(),
            "records": list(sweep.record_paths),
        }
    )


def _print_words(run: "ResemblanceRun | None", verdicts: "VerdictsRun | None", out: Path) -> None:
    from hallulab.reports.words_sentences import resemblance_finding, verdicts_finding
    from hallulab.reports.words_tables import paper_table_1, power_table, score_table, slope_tables
    from hallulab.reports.words_verdict_tables import checkpoint_table

    tables = [score_table(run), *slope_tables(run), *power_table(run), paper_table_1()] if run else []
    tables += [checkpoint_table(verdicts)] if verdicts else []
    for table in tables:
        print(f"{table.title}:")
        print_table(table.header, _cells(table.rows))
        print()
    findings = [resemblance_finding(run)] if run else []
    findings += [verdicts_finding(verdicts)] if verdicts else []
    for finding in findings:
        print(f"{finding.headline}")
        for sentence in finding.sentences:
            print(f"  {sentence}")
    print(f"\nThe page about it: python -m hallulab report {out}")


def _cells(rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return [tuple(row) for row in rows]
