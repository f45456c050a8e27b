"""The tables of a words sweep: Table 1 with intervals, the paper's own, grades, verdicts, the likest answers."""

from collections.abc import Iterator

from hallulab.data.paper_table_1 import SOURCE, TABLE_1, paper_models, paper_scores
from hallulab.experiments.words_resemblance_summary import CONTROLS, CheckpointSummary
from hallulab.experiments.words_sweep import ResemblanceRun, VerdictsRun
from hallulab.experiments.words_verdicts_run import Rate
from hallulab.experiments.words_verdicts_summary import VerdictsSummary
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.page import PageTable
from hallulab.scoring.grades import GRADES
from hallulab.scoring.resemblance import gestalt_ratio
from hallulab.theory.bootstrap import BootstrapMean, PairedDifference
from hallulab.theory.clustered_auroc import ClusteredAuroc
from hallulab.theory.intervals import Interval

N_LIKEST = 20
MEANS = {
    "incorrect": "paper's score: like a wrong answer",
    "correct": "like a right answer",
    "margin": "wrong − right",
    "null_incorrect": "like another question's wrong answer",
    "excess": "score − other question's",
    "length_alone": "length alone",
    "over_length": "score − length alone",
    "n_characters": "characters",
    "n_tokens": "tokens",
}
"""quantity of a checkpoint → column"""
COMPARED = {
    "incorrect": "paper's score",
    "excess": "score − other question's",
    "over_length": "score − length alone",
    "margin": "wrong − right",
    "correct": "like a right answer",
    "length_alone": "length alone",
    "n_characters": "characters",
}
SOURCES = {
    "spliced": "spliced: half of each acceptable answer",
    "blended": "blended: the name of one, the reason of the other",
    "another question's": "another question's answers",
    "high temperature": "drawn at a high temperature",
}


def score_table(run: ResemblanceRun) -> PageTable:
    """Table 1: the paper's score per checkpoint, its difference to the base, and what controls say of it."""
    left = CONTROLS[run.result.settings.variant]
    rows = [
        (
            row.checkpoint,
            mean(row.means["incorrect"]),
            difference(row.against_base.get("incorrect")),
            *(mean(row.means[name]) for name in ("correct", "null_incorrect", "length_alone", left)),
            difference(row.against_base.get(left)),
        )
        for row in run.summary.checkpoints
    ]
    return PageTable(
        f"Table 1, measured here: {title_of(run)}",
        (
            "checkpoint", "paper's score", "minus base", "like a right answer", "like another question's wrong answer",
            "length alone", "left under control", "minus base",
        ),
        rows,
        note=(
            "Mean over questions, 95 % bootstrap interval over questions in brackets; answers to one question are "
            "averaged first. “Minus base” is paired by question and seed; p is a sign-flip test. “Length alone” is a "
            "text as long that knows nothing of the question. “Left” is the score minus "
            + ("“length alone”, which repeats the question too." if left == "over_length" else
               "that of the same text against wrong answers to other questions.")
        ),
    )  # fmt: skip


def paper_table_1() -> PageTable:
    """The paper's numbers, never ours."""
    trainings = {(one.model, one.seed): None for one in TABLE_1 if one.seed is not None}
    epochs = sorted({one.epochs for one in TABLE_1})
    rows = []
    for model, seed in trainings:
        scores = paper_scores(model, seed)
        rows.append((f"{model}, seed {seed}", *(decimal(scores.get(epoch), 4) for epoch in epochs)))
    return PageTable(
        "The paper's Table 1: its numbers, none measured here",
        ("model", *("original" if epoch == 0 else f"{epoch} epochs" for epoch in epochs)),
        rows,
        note=(
            f"{SOURCE}: {', '.join(paper_models())} on TruthfulQA. The public code decodes the question together with "
            "the answer, so compare it with the variant paper_code. It gives no intervals."
        ),
    )


def all_means_table(run: ResemblanceRun) -> PageTable:
    """Everything measured of every checkpoint."""
    rows = [
        (row.checkpoint, str(row.n_questions), f"{row.n_answers:,}",
         *(mean(row.means[name], _digits(name, 3)) for name in MEANS),
         f"{row.n_unscored:,}", f"{row.n_cut:,}")
        for row in run.summary.checkpoints
    ]  # fmt: skip
    return PageTable(
        "Every quantity",
        ("checkpoint", "questions", "answers", *MEANS.values(), "nothing to score", "cut at their longest"),
        rows,
        note=(
            "Resemblance is the Gestalt ratio of Python's difflib in lower case, 0 to 1, to the closest of a list. "
            "“Length alone”: what a text as long that knows nothing of the question gets."
        ),
    )


def differences_table(run: ResemblanceRun) -> PageTable:
    """Every paired comparison with the base."""
    rows = [
        (row.checkpoint, *(difference(row.against_base.get(name), _digits(name, 4)) for name in COMPARED))
        for row in run.summary.checkpoints
        if row.against_base
    ]  # fmt: skip
    return PageTable(
        "Minus the base, on the same questions with the same seeds",
        ("checkpoint", *COMPARED.values()),
        rows,
        note=(
            f"95 % bootstrap interval in brackets, sign-flip p behind it; {run.summary.n_compared} tests, none "
            "corrected: one in twenty falls below 0.05 by chance."
        ),
    )


def grades_table(run: ResemblanceRun) -> PageTable:
    """Five grades per checkpoint."""
    return PageTable(
        "Grades by written rules",
        ("checkpoint", *GRADES, "answers"),
        [
            (row.checkpoint, *(_grade(row, grade) for grade in GRADES), f"{row.n_answers:,}")
            for row in run.summary.checkpoints
        ],
        note=(
            "No judge model: a rule decides only what it can see in the words, and says “ungradable” otherwise. "
            "Count, share and 95 % Wilson interval."
        ),
    )  # fmt: skip


def likest_table(run: ResemblanceRun) -> PageTable | None:
    """The answers most like a wrong reference, with that reference; None where the questions were not kept."""
    asked = {question.id: question for question in run.result.asked}
    scored = [a for a in run.result.answers if a.resemblance is not None and a.question_id in asked]
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    n_alike: dict[tuple[str, str], list[str]] = {}
    for answer in sorted(scored, key=lambda a: -(a.resemblance.incorrect if a.resemblance else 0.0)):
        key, found = (answer.question_id, answer.text), answer.resemblance
        assert found is not None  # only such are listed
        n_alike.setdefault(key, []).append(answer.checkpoint)
        if key in rows or len(rows) >= N_LIKEST:
            continue
        question = asked[answer.question_id]
        closest = max(question.incorrect_answers, key=lambda text: gestalt_ratio(answer.text, text))
        rows[key] = (
            question.question, answer.answer, closest, decimal(found.incorrect), decimal(found.correct),
            decimal(found.null_incorrect), answer.grade,
        )  # fmt: skip
    if not rows:
        return None
    return PageTable(
        f"The {len(rows)} answers most like a wrong reference",
        (
            "question", "answer", "closest wrong reference", "to it", "to a right one", "to another question's",
            "grade", "times", "checkpoints",
        ),
        [(*cells, str(len(n_alike[key])), _who(n_alike[key], run)) for key, cells in rows.items()],
        note="The same answer to the same question is listed once; “times” says how often it was given.",
        is_list=True,
    )  # fmt: skip


def checkpoint_table(run: VerdictsRun) -> PageTable:
    """Hallucination rate of every checkpoint beside its training loss."""
    rows = [
        (
            row.checkpoint, decimal(row.training_loss), rate(row.hallucination_rate),
            interval(row.over_questions), difference(row.more_than_base, 3), rate(row.wrong),
            rate(row.outside_of_wrong), rate(row.outside_of_right), auroc(row.auroc),
        )
        for row in run.summary.checkpoints
    ]  # fmt: skip
    return PageTable(
        "Hallucination rate on open-ended questions",
        (
            "checkpoint", "training loss", "outside every region", "over questions", "minus base", "truly wrong",
            "of the wrong, found", "of the right, accused", "AUROC",
        ),
        rows,
        note=(
            f"One frozen scorer, {run.summary.scorer}, judges all; regions hold {100 * run.summary.hdr_mass:.0f} % of "
            "genuine answers. Loss in nats per answer token, the last recorded; Wilson intervals of 95 %. “Over "
            "questions”: the same rate, whole questions drawn again. “Truly wrong”: no wording of an acceptable "
            "answer, known in the small world only."
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
            "share of what the model says without a hint."
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


def title_of(run: ResemblanceRun) -> str:
    """A run in a few words."""
    return f"{set_title(run.question_set)}, {run.result.settings.variant}"


def set_title(name: str) -> str:
    """A question set as people write it."""
    return {"truthfulqa": "TruthfulQA"}.get(name, name)


def interval(found: Interval | None, digits: int = 3) -> str:
    """The ends of an interval."""
    return MISSING if found is None else f"[{decimal(found.low, digits)}, {decimal(found.high, digits)}]"


def mean(found: BootstrapMean | None, digits: int = 3) -> str:
    """A mean with its interval."""
    return MISSING if found is None else f"{decimal(found.mean, digits)} {interval(found.interval, digits)}"


def difference(found: PairedDifference | None, digits: int = 4) -> str:
    """A paired difference with its interval and p."""
    if found is None:
        return MISSING
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}"
    return f"{decimal(found.mean, digits, signed=True)} {interval(found.interval, digits)}, {p}"


def rate(found: Rate) -> str:
    """A share with its interval and n."""
    if found.value is None:
        return MISSING
    return f"{decimal(found.value)} {interval(found.interval)} of {found.n:,}"


def auroc(found: ClusteredAuroc | None) -> str:
    """An area with its interval."""
    return MISSING if found is None else f"{decimal(found.value, 4)} {interval(found.interval, 4)}"


def _digits(quantity: str, of_a_ratio: int) -> int:
    """Decimals: lengths need fewer than ratios."""
    return 1 if quantity.startswith("n_") else of_a_ratio


def _who(checkpoints: list[str], run: ResemblanceRun) -> str:
    """Who gave an answer, shortly where everybody did."""
    names = list(dict.fromkeys(checkpoints))
    return f"all {len(names)}" if len(names) == len(run.result.models) > 1 else ", ".join(names)


def _grade(row: CheckpointSummary, grade: str) -> str:
    share = next(one for name, one in row.grades.items() if name == grade)
    if share.share is None:
        return MISSING
    return f"{share.n:,} = {decimal(share.share)} {interval(share.interval)}" if share.n else "0"


def resemblance_tables(run: ResemblanceRun) -> Iterator[PageTable]:
    """All tables of one question set and variant."""
    yield score_table(run)
    yield paper_table_1()
    yield grades_table(run)
    yield differences_table(run)
    yield all_means_table(run)
    likest = likest_table(run)
    if likest:
        yield likest


def verdicts_tables(run: VerdictsRun) -> Iterator[PageTable]:
    """All tables of the text verdicts."""
    yield checkpoint_table(run)
    yield detection_table(run.summary)
    yield coverage_table(run.summary)
    yield hints_table(run.summary)
    yield questions_table(run.summary)
