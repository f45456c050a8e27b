"""`facts`: arbitrary facts, learners beside the bounds of [KNVZ] on them; or Theorem 2 in many worlds."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallulab.cli.console import Outcome, print_table, progress_bar, quiet_stdout
from hallulab.cli.world import chosen_device, given, output_folder
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.experiments.facts_audit import FactsAudit
    from hallulab.experiments.facts_run import FactsSettings
    from hallulab.experiments.facts_summary import FactsResult


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
    run = given(n_samples=samples, rounds=rounds, seed=seed)
    with quiet_stdout():
        settings = _settings(world, run, learner or [], all_learners=all_learners, epochs=epochs)
        if worlds is None:
            outcome = _run(settings, out, device)
        elif out is None:
            outcome = _audit(settings, worlds)
        else:
            raise RefusedInputError("expected --worlds without --out: the seeds repeat its result")
    outcome.tell(as_json=as_json)


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


def _audit(settings: "FactsSettings", n_worlds: int) -> Outcome:
    from hallulab.experiments.facts_audit import FactsAudit, audit_worlds

    found = []
    with progress_bar(n_worlds, "world") as bar:
        for world in audit_worlds(settings, n_worlds):
            found.append(world)
            bar.update()
    audit = FactsAudit(settings, tuple(found))
    return Outcome(audit.to_json(), partial(_print_audit, audit))


def _print_result(result: "FactsResult") -> None:
    from hallulab.reports.facts_figures import LEARNER_TITLES
    from hallulab.reports.facts_report import facts_headline, facts_sentences, run_title, with_interval

    print(f"{run_title(result)}, worlds: {len(result.worlds)}. {facts_headline(result)}")
    print_table(
        ("", "error rate", "says IDK", "err_iiv", "δ", "Theorem 1", "sharper", "Theorem 2", "sharper"),
        [
            (
                LEARNER_TITLES[row.learner],
                with_interval(row.err),
                *(
                    _number(over.mean)
                    for over in (
                        row.abstained, row.err_iiv, row.delta, row.bound, row.sharp_bound, row.paper_lower_bound,
                        row.sharp_lower_bound,
                    )
                ),
            )
            for row in result.table
        ],
    )  # fmt: skip
    for sentence in facts_sentences(result):
        print(f"  {sentence}")


def _print_audit(audit: "FactsAudit") -> None:
    from hallulab.reports.facts_figures import LEARNER_TITLES
    from hallulab.reports.facts_report import BOUND_TITLES

    print(f"Theorem 2 in {len(audit.worlds):,} worlds:")
    rows = []
    for row in audit.rows:
        held = f"{row.n_held:,} of {row.n_worlds:,}"
        interval = f"{row.interval.low:.4f} to {row.interval.high:.4f}"
        numbers = (_number(row.mean_bound), _number(row.mean_err))
        rows.append(
            (
                f"{BOUND_TITLES[row.bound]}: {LEARNER_TITLES[row.learner]}",
                held,
                interval,
                f"{row.n_silent:,}",
                *numbers,
            )
        )
    print_table(("", "held", "95 % interval", "silent", "mean bound", "mean err"), rows)
    for name, title in (("esty", "Esty's interval"), ("proved", "the proved interval")):
        share, interval = audit.coverage(name)
        print(
            f"  {title} of 95 % held the missing mass in {share:.3f} ({interval.low:.3f} to {interval.high:.3f})"
        )
    print(
        f"  99 % of these worlds needed a concentration term of at most {audit.needed_constant:.2f}/√N; Theorem 2 "
        f"subtracts {audit.to_json()['paper_constant']:.1f}/√N"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".replace("-0.0000", "0.0000")
