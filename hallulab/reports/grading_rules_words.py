"""How often the rules of grading are right, in cells and sentences: command line, page and report."""

from collections.abc import Sequence

from hallulab.experiments.grade_rules import VERDICTS, CheckedRate, RulesCheck
from hallulab.reports.numbers import MISSING
from hallulab.scoring.grades import GRADES

RULES_HEADER = ("the person says, the rules say", *GRADES, "rules agree", "right, where the rules say so")


def rules_rows(check: RulesCheck) -> list[Sequence[str]]:
    """The confusion matrix, one row per grade of the person; the last two columns are recall and precision."""
    return [
        (
            by_hand,
            *(str(check.confusion[by_hand, by_rules]) for by_rules in GRADES),
            checked_rate(check.recall(by_hand)),
            checked_rate(check.precision(by_hand)),
        )
        for by_hand in GRADES
    ]


def rules_sentences(check: RulesCheck) -> tuple[str, str, str]:
    """Three shares: the same grade, right verdicts, verdicts found."""
    right, found = checked_rate(check.precision(*VERDICTS)), checked_rate(check.recall(*VERDICTS))
    n_open = sum(check.confusion[by_hand, "ungradable"] for by_hand in VERDICTS)
    return (
        f"The same grade as the person: {checked_rate(check.agreement)}.",
        f"Of what the rules call correct or wrong, the person says the same: {right}.",
        f"Of what the person calls correct or wrong, the rules say the same: {found}; {n_open} they leave ungradable.",
    )


def rules_note(check: RulesCheck) -> str:
    """The sentences in one, with where the intervals come from."""
    return (
        f"{len(check.answers)} answers to {check.n_questions} questions. {' '.join(rules_sentences(check))} Wilson "
        "95 % intervals, answers as the independent things."
    )


def checked_rate(rate: CheckedRate) -> str:
    """A share in percent with its interval and n."""
    if rate.value is None or rate.interval is None:
        return MISSING
    low, high = 100 * rate.interval.low, 100 * rate.interval.high
    return f"{100 * rate.value:.1f} % [{low:.1f}, {high:.1f}] of {rate.n}"
