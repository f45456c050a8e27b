"""`grade`: anyone's answers graded by written rules and scored at a confidence target, without any model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout
from hallulab.cli.world import given, output_folder

if TYPE_CHECKING:
    from hallulab.experiments.grading import GradingResult
    from hallulab.scoring.graded_answers import GradedAnswers
    from hallulab.scoring.grading import Regraded

N_SHOWN = 12
OTHERS_HELP = "add --others-are-wrong"


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
    others_are_wrong: Annotated[
        bool,
        typer.Option(
            "--others-are-wrong",
            help="All correct answers are listed: an answer that says none of them is wrong, not ungradable.",
        ),
    ] = False,
    skip_bad_lines: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Grade the rest when some lines hold no answer.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of paired comparisons and resampled thresholds.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the records, which `report` reads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Grade answers as correct, wrong, abstained, empty or ungradable, and score them at a confidence target."""
    from hallulab.experiments.grading import GradingSettings, grade_file, records_path
    from hallulab.records import RecordFile

    with quiet_stdout():
        settings = GradingSettings(
            skip_bad_lines=skip_bad_lines,
            seed=seed,
            others_are_wrong=others_are_wrong,
            **given(target=target),
        )
        records = RecordFile(records_path(output_folder(out), answers.name)) if out else None
        result = grade_file(answers, settings, records=records)
        found = result.to_json() | ({"records": str(records.path)} if records else {}) if as_json else None
    if found is not None:
        print_json(found)
    else:
        _print(result)


def _print(result: "GradingResult") -> None:
    """The cost and its sentence, a verdict on everybody who answered, the tables, the first answers."""
    from hallulab.data.target_prompts import target_sentence
    from hallulab.reports.grading_words import cost_sentence
    from hallulab.scoring.grading import regrade

    found = regrade(result.graded, result.settings.target)
    print(f"{cost_sentence(found)} To state it, add to the prompt:")
    print(f"  {target_sentence(found.target)}")
    print()
    _print_verdicts(result)
    _print_policies(result)
    _print_audits(result.graded)
    _print_ranking(result)
    _print_answers(found)
    for line in result.bad_lines:
        print(f"  left out: line {line.line}: {line.reason}")
    print(
        f"  {result.source}, {len(found.rows)} answers to {found.as_given.n_questions} questions, seed "
        f"{result.settings.seed}"
    )


def _print_verdicts(result: "GradingResult") -> None:
    """What can be said of everybody: never of several together."""
    from hallulab.reports.grading_words import (
        break_even_sentence,
        never_wrong_sentence,
        threshold_sentence,
        ungradable_sentence,
        verdict_sentence,
        withholding_sentence,
    )
    from hallulab.scoring.grading import regrade, score_curve

    everybody = result.graded.answerers
    thresholds = {one.answerer: one for one in result.thresholds()}
    for who in everybody:
        own = result.graded.of(who)
        found, curve = regrade(own, result.settings.target), score_curve(own)
        if len(everybody) > 1:
            print(f"{who.name}:")
        sentences = [
            verdict_sentence(found.as_given),
            ungradable_sentence(found.as_given),
            never_wrong_sentence(found.as_given, OTHERS_HELP),
            withholding_sentence(found),
            break_even_sentence(curve),
        ]
        if who in thresholds:
            sentences.append(threshold_sentence(thresholds[who], result.settings.target))
        for sentence in filter(None, sentences):
            print(f"  {sentence}")
    print()


def _print_policies(result: "GradingResult") -> None:
    from hallulab.reports.grading_words import range_cell, rate, score
    from hallulab.scoring.grades import GRADES
    from hallulab.scoring.grading import regrade

    several = len(result.graded.answerers) > 1
    rows = []
    for who in result.graded.answerers:
        found = regrade(result.graded.of(who), result.settings.target)
        for summary in filter(None, (found.as_given, found.by_confidence)):
            policy = summary.policy.replace("_", " ")
            rows.append(
                (
                    f"{who.name}, {policy}" if several else policy,
                    score(summary.score),
                    *(str(summary.n_by_grade[name]) for name in GRADES),
                    rate(summary.answered, 0),
                    rate(summary.accuracy, 0),
                    rate(summary.hallucination_rate, 0),
                    range_cell(summary),
                )
            )
    header = (
        "",
        "points",
        *GRADES,
        "answered",
        "right of these",
        "hallucinations",
        "points, ungradable wrong … right",
    )
    print_table(header, rows)


def _print_audits(graded: "GradedAnswers") -> None:
    from hallulab.reports.grading_words import AUDIT_HEADER, AUDIT_NOTE, audit_row
    from hallulab.scoring.grading_audit import audit_as_stated, audit_by_confidence

    titles = {
        "Answering only above t, by its own confidence:": audit_by_confidence(graded),
        "Answering a prompt that states t:": audit_as_stated(graded),
    }
    for title, points in titles.items():
        if points:
            print()
            print(title)
            print_table(AUDIT_HEADER, [audit_row(point) for point in points])
    if any(titles.values()):
        print(f"  {AUDIT_NOTE}")


def _print_ranking(result: "GradingResult") -> None:
    from hallulab.reports.grading_words import RANK_HEADER, RANK_NOTE, rank_row, rank_sentence

    ranking = result.ranking()
    print()
    print(f"Who wins? {rank_sentence(ranking)}")
    print_table(RANK_HEADER, [rank_row(one) for one in ranking.ways])
    print(f"  {ranking.n_questions} questions in common. {RANK_NOTE}")


def _print_answers(found: "Regraded") -> None:
    print()
    print_table(
        ("answer", "grade", "confidence", "points"),
        [
            (
                " ".join(one.answer.split())[:60] or "(empty)",
                one.grade + (", withheld" if one.is_withheld else ""),
                "–" if one.confidence is None else f"{one.confidence:.2f}",
                "–" if one.score_as_given is None else f"{one.score_as_given:+.3g}",
            )
            for one in found.rows[:N_SHOWN]
        ],
    )
    if len(found.rows) > N_SHOWN:
        print(f"  … and {len(found.rows) - N_SHOWN} more; --json has them all")
