"""`check-rules`: how often the written rules of grading agree with a person, on answers graded by hand."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout

if TYPE_CHECKING:
    from hallulab.experiments.grade_rules import CheckedAnswer, RulesCheck


def check_rules(
    part: Annotated[
        Literal["held_out", "tuned", "both"],
        typer.Option(help="Answers that the rules were not changed on, those they were changed on, or both."),
    ] = "both",
    misses: Annotated[
        bool, typer.Option("--misses", help="List every answer on which the two differ.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the rules of `grade` on answers that a person graded: confusion matrix, intervals."""
    from hallulab.data.graded_by_hand import PARTS
    from hallulab.experiments import grade_rules

    with quiet_stdout():
        checks = [grade_rules.check_rules(name) for name in PARTS if part in (name, "both")]
    if as_json:
        print_json({"parts": [check.to_json() for check in checks]})
        return
    for check in checks:
        _print(check, misses=misses)


def _print(check: "RulesCheck", *, misses: bool) -> None:
    from hallulab.data.graded_by_hand import PARTS
    from hallulab.reports.grading_rules_words import RULES_HEADER, rules_rows, rules_sentences

    n = len(check.answers)
    print(
        f"{check.part.replace('_', ' ')}: {n} answers to {check.n_questions} questions, {PARTS[check.part]}"
    )
    for sentence in rules_sentences(check):
        print(f"  {sentence}")
    print()
    print_table(RULES_HEADER, rules_rows(check))
    if misses:
        print()
        print_table(
            ("answer", "right", "person", "rules"), [_miss(one) for one in check.answers if not one.agrees]
        )
    print()


def _miss(one: "CheckedAnswer") -> tuple[str, ...]:
    return (
        " ".join(one.given.answer.split())[:70] or "(empty)",
        " / ".join(one.given.correct_answers)[:30],
        one.given.grade,
        f"{one.graded.grade} ({one.graded.rule})",
    )
