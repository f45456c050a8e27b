"""The tables of text verdicts: checkpoints, detection, coverage, where hints pay, questions without a verdict."""

from collections.abc import Iterator

from hallulab.experiments.words_sweep import VerdictsRun
from hallulab.experiments.words_verdicts_rows import VerdictsSummary
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.page import PageTable
from hallulab.reports.words_cells import auroc, difference, rate, rate_of_learning

SOURCES = {
    "spliced": "spliced: half of each acceptable answer",
    "blended": "blended: the name of one, the reason of the other",
    "another question's": "another question's answers",
    "high temperature": "drawn at a high temperature",
}


def checkpoint_table(run: VerdictsRun) -> PageTable:
    """Hallucination rate of every checkpoint beside its training loss."""
    rows = [
        (
            row.checkpoint, rate_of_learning(row.training and row.training.learning_rate),
            decimal(row.training_loss), rate(row.hallucination_rate), difference(row.more_than_base, 3),
            rate(row.wrong),
            rate(row.outside_of_wrong), rate(row.outside_of_right), auroc(row.auroc),
        )
        for row in run.summary.checkpoints
    ]  # fmt: skip
    return PageTable(
        "Hallucination rate on open-ended questions",
        (
            "checkpoint", "learning rate", "training loss", "outside every region", "minus base", "truly wrong",
            "of the wrong, found", "of the right, accused", "AUROC",
        ),
        rows,
        note=(
            f"One frozen scorer, {run.summary.scorer}, judges all; regions hold {100 * run.summary.hdr_mass:.0f} % of "
            "genuine answers. Loss in nats per answer token, the last recorded. Intervals are Wilson's of 95 % at "
            "the effective number of answers: those to one question are not independent. “Minus base” is paired by "
            f"question; p is a sign-flip test, “Holm” the same corrected for all {run.summary.n_compared} comparisons. "
            "“Truly wrong”: no wording of an acceptable answer, known in the small world only."
        ),
    )  # fmt: skip


def coverage_table(summary: VerdictsSummary) -> PageTable:
    """Genuine answers that the thresholds let in."""
    return PageTable(
        f"Coverage: genuine answers inside, should be {100 * summary.hdr_mass:.0f} %",
        (
            "answers",
            "questions",
            "threshold rule",
            "samples behind it",
            "inside their own region",
            "inside any",
        ),
        [
            (
                row.answers,
                row.questions,
                row.rule,
                str(row.n_behind),
                rate(row.own_region),
                rate(row.any_region),
            )
            for row in summary.coverage
        ],
        note=(
            "Fresh genuine answers are drawn under a hint with other seeds. “Recombined” and “new” wordings are "
            "acceptable answers in words that were held out of the training: the verdict is about words."
        ),
    )


def detection_table(summary: VerdictsSummary) -> PageTable:
    """Wrong answers against genuine ones."""
    return PageTable(
        "Detection: answers that are wrong on purpose",
        ("wrong answers", "found", "AUROC of the margin", "of p(answer) alone", "against new wordings"),
        [
            (
                SOURCES.get(row.source, row.source), rate(row.outside), auroc(row.auroc), auroc(row.auroc_plain),
                auroc(row.auroc_held_out.get("new wording")),
            )
            for row in summary.detection
        ],
        note="Against fresh genuine answers to the same questions; intervals over resampled questions.",
    )  # fmt: skip


def hints_table(summary: VerdictsSummary) -> PageTable:
    """Hinted regions against one plain threshold."""
    return PageTable(
        "Where hints pay: genuine answers let in",
        ("causes", "answers of", "questions", "with hints", "one plain threshold", "gain per question"),
        [
            (
                row.causes, f"{row.answers} cause", str(row.n_questions), rate(row.inside_hinted),
                rate(row.inside_plain), difference(row.gain, 3),
            )
            for row in summary.hints
        ],
        note=(
            "Causes: how often each acceptable answer is given without a hint. The plain threshold keeps the same "
            "share of what the model says without a hint. “Holm”: p corrected for the rows of this table."
        ),
    )  # fmt: skip


def questions_table(summary: VerdictsSummary) -> PageTable:
    """Who gets a verdict at all."""
    return PageTable(
        "Questions without a verdict",
        ("questions", "no verdict", "wrong verdicts", "examples of the rarer kind"),
        [
            (
                row.questions,
                rate(row.withheld),
                rate(row.wrong_verdicts),
                "; ".join(row.examples[:2]) or MISSING,
            )
            for row in summary.questions
        ],
        note=(
            "A question is judged only where the scorer keeps to its hints. “Unknown”: the small world's scorer never "
            "met it. Wrong verdicts are counted on unknown questions."
        ),
    )


def verdicts_tables(run: VerdictsRun) -> Iterator[PageTable]:
    """All tables of the text verdicts."""
    yield checkpoint_table(run)
    yield detection_table(run.summary)
    yield coverage_table(run.summary)
    yield hints_table(run.summary)
    yield questions_table(run.summary)
