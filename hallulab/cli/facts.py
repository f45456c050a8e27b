"""`facts`: arbitrary facts, learners beside the bounds of [KNVZ] on them; or Theorem 2 in many worlds."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import Outcome, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import chosen_device, given, output_folder
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.experiments.facts_audit import FactsAudit
    from hallulab.experiments.facts_run import FactsSettings
    from hallulab.experiments.facts_summary import FactsResult

WIDTH = 110
"""of notes below a table"""


def facts(
    prompts: Annotated[int | None, typer.Option(help="Invented people, one prompt each.")] = None,
    answers: Annotated[int | None, typer.Option(help="|R_c|: plausible answers to a prompt.")] = None,
    fewest_answers: Annotated[
        int | None, typer.Option(help="Draw |R_c| of each prompt between this and ANSWERS.")
    ] = None,
    zipf: Annotated[float | None, typer.Option(help="Zipf exponent of the prompts; 0: all alike.")] = None,
    answer_rate: Annotated[
        float | None, typer.Option(help="α: how often the data answers rather than says IDK.")
    ] = None,
    rarest_answer_rate: Annotated[
        float | None, typer.Option(help="α of the rarest prompt; in between by rank.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="N: training samples.")] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(
            help="memoriser, counter, abstainer, trigram, bigram, unigram or qwen (trained). Repeatable."
        ),
    ] = None,
    all_learners: Annotated[
        bool, typer.Option("--all-learners", help="Every learner, qwen included.")
    ] = False,
    rounds: Annotated[int | None, typer.Option(help="Worlds, with seeds SEED, SEED + 1, …")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first world.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of the learner qwen.")] = None,
    worlds: Annotated[
        int | None, typer.Option(help="Only check how often Theorem 2 holds, in so many worlds.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Only write the first world's training text to this file.")
    ] = None,
    show_corpus: Annotated[
        int | None, typer.Option(help="Only print so many lines of that text.", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="Where qwen learns: cpu, or a GPU such as cuda:0.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; what is in it is not measured again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Arbitrary facts: how often learners must state something false, and how often they do."""
    world = given(
        n_prompts=prompts, n_answers=answers, fewest_answers=fewest_answers, zipf_exponent=zipf,
        answer_rate=answer_rate, rarest_answer_rate=rarest_answer_rate,
    )  # fmt: skip
    learning = given(learner=learner or None, all_learners=all_learners or None, rounds=rounds, epochs=epochs)
    _check_only_one(given(worlds=worlds, corpus=corpus, show_corpus=show_corpus), learning, out)
    run = given(n_samples=samples, rounds=rounds, seed=seed)
    with quiet_stdout():
        settings = _settings(world, run, learner or [], all_learners=all_learners, epochs=epochs)
        if worlds is not None:
            outcome = _audit(settings, worlds, out)
        elif corpus is not None or show_corpus is not None:
            outcome = _corpus(settings, corpus, show_corpus)
        else:
            outcome = _run(settings, out, device)
    outcome.tell(as_json=as_json)


def _check_only_one(only: dict[str, Any], learning: dict[str, Any], out: Path | None) -> None:
    """Refuse what would be left aside: nobody learns where only worlds are checked or a text is written."""

    def named(options: dict[str, Any]) -> str:
        return ", ".join(f"--{name.replace('_', '-')}" for name in options)

    if len(only) > 1:
        raise RefusedInputError(f"expected one of {named(only)}, got them together: leave one out")
    if only and learning:
        raise RefusedInputError(
            f"expected {named(only)} without {named(learning)}: the learners of Theorem 2 and the text of a world do "
            "not depend on them"
        )
    if out and only and "worlds" not in only:
        raise RefusedInputError(f"expected {named(only)} without --out: it leaves no records")


def _settings(
    world: dict[str, Any], run: dict[str, Any], learners: list[str], *, all_learners: bool, epochs: int | None
) -> "FactsSettings":
    from hallulab.experiments.facts_run import LEARNERS, FactsSettings

    if all_learners and learners:
        raise RefusedInputError("expected --learner or --all-learners, got both: leave one out")
    settings = FactsSettings()
    chosen = LEARNERS if all_learners else tuple(learners) or settings.learners
    return replace(
        settings,
        world=replace(settings.world, **world),
        qwen=replace(settings.qwen, **given(epochs=epochs)),
        learners=chosen,
        **run,
    )


def _run(settings: "FactsSettings", out: Path | None, device: str) -> Outcome:
    from hallulab.experiments.facts import records_path, run_facts
    from hallulab.experiments.facts_run import LearnerPoint
    from hallulab.experiments.facts_summary import FactsResult
    from hallulab.records import RecordFile, library_versions

    records = RecordFile(records_path(output_folder(out), settings)) if out else None
    points = []
    with progress_bar(None, "point") as bar:
        for point in run_facts(settings, records=records, device=chosen_device(device)):
            points.append(point)
            bar.update()
            if isinstance(point, LearnerPoint):
                bar.set_description(f"world {point.seed}, {point.learner}", refresh=False)
    result = FactsResult(settings, tuple(points), library_versions())
    where = {"records": str(records.path)} if records else {}
    return Outcome(result.to_json() | where, partial(_print_result, result))


def _audit(settings: "FactsSettings", n_worlds: int, out: Path | None) -> Outcome:
    from hallulab.experiments.facts_audit import AuditSettings, FactsAudit
    from hallulab.experiments.facts_audit_run import audit_worlds, records_path
    from hallulab.records import RecordFile, library_versions

    asked = AuditSettings(settings.world, settings.n_samples, n_worlds, settings.seed)
    records = RecordFile(records_path(output_folder(out), asked)) if out else None
    found = []
    with progress_bar(n_worlds, "world") as bar:
        for world in audit_worlds(asked, records=records):
            found.append(world)
            bar.update()
    audit = FactsAudit(asked, tuple(found), library_versions())
    where = {"records": str(records.path)} if records else {}
    return Outcome(audit.to_json() | where, partial(_print_audit, audit))


def _corpus(settings: "FactsSettings", path: Path | None, n_lines: int | None) -> Outcome:
    """The training text of the first world, to a file or its beginning to the screen."""
    from dataclasses import asdict
    from itertools import islice

    from hallulab.experiments.facts_corpus import training_lines, write_corpus
    from hallulab.experiments.facts_measure import draw_facts

    facts, counts = draw_facts(settings.world, settings.n_samples, settings.seed)
    lines = training_lines(facts, counts, seed=settings.seed)
    about = {"settings": asdict(settings.world) | {"n_samples": settings.n_samples, "seed": settings.seed}}
    if path is not None:
        n = write_corpus(path, lines)
        return Outcome(
            about | {"corpus": str(path), "n_lines": n},
            lambda: print(f"Wrote {n:,} training sentences to {path}."),
        )
    shown = list(islice(lines, n_lines))
    return Outcome(about | {"lines": shown}, lambda: print("\n".join(shown)))


def _print_result(result: "FactsResult") -> None:
    from hallulab.reports.facts_report import facts_headline, facts_sentences, run_title
    from hallulab.reports.facts_tables import bounds_table

    print(f"{run_title(result)}, worlds: {len(result.worlds)}. {facts_headline(result)}")
    table = bounds_table(result, has_intervals=False)
    print_table(table.header, table.rows)
    print(fill(table.note, WIDTH, initial_indent="  ", subsequent_indent="  "))
    print()
    for sentence in facts_sentences(result):
        print(f"  {sentence}")


def _print_audit(audit: "FactsAudit") -> None:
    from hallulab.reports.theorem_2_report import audit_sentences, audit_table

    print(f"Theorem 2 in {len(audit.worlds):,} worlds:")
    table = audit_table(audit)
    print_table(table.header, table.rows)
    for sentence in audit_sentences(audit):
        print(f"  {sentence}")
