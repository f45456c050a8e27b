"""The tables of resemblance: slopes, power, Table 1 with intervals, the paper's own, grades, the likest answers."""

from collections.abc import Iterator

from hallulab.data.paper_table_1 import SOURCE, TABLE_1, paper_models, paper_scores
from hallulab.experiments.words_power import POWER, ScorePower
from hallulab.experiments.words_resemblance_summary import CONTROLS, GradeShare
from hallulab.experiments.words_slopes import paper_slopes
from hallulab.experiments.words_sweep import ResemblanceRun
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import PageTable
from hallulab.reports.words_cells import difference, interval, mean, p_value, rate_of_learning, slope
from hallulab.scoring.grades import GRADES
from hallulab.scoring.resemblance import gestalt_ratio

N_LIKEST = 20
MEANS = {
    "incorrect": "paper's score: like a wrong answer",
    "correct": "like a right answer",
    "margin": "wrong − right",
    "null_incorrect": "like another question's wrong answer",
    "null_correct": "like another question's right answer",
    "excess": "score − other question's",
    "length_alone": "length alone",
    "over_length": "score − length alone",
    "n_characters": "characters",
    "n_tokens": "tokens",
}
"""quantity of a checkpoint → column"""
SCORES = {
    "incorrect": "the paper's score",
    "margin": "wrong − right",
    "excess": "left under control: score − other questions'",
    "over_length": "left under control: score − length alone",
}
"""quantity → its name where scores are compared"""
TESTED = MEANS | {f"is_{grade}": f"share {grade}" for grade in GRADES}
"""every quantity that is compared with the base's"""


def slope_tables(run: ResemblanceRun) -> Iterator[PageTable]:
    """The comparison that was chosen beforehand: change per epoch; none without trained checkpoints."""
    slopes = run.summary.slopes
    if not slopes:
        return
    paper = paper_slopes().values()
    score, left = slopes.get("incorrect"), slopes.get(CONTROLS[run.result.settings.variant])
    rows = [
        (
            SCORES[one.quantity], slope(one.slope), p_value(one.slope.p_value), f"± {decimal(one.slope.bound, 5)}",
            str(one.n_trainings), str(one.slope.n_columns), f"{one.slope.n_rows:,}",
        )
        for one in slopes.values()
    ]  # fmt: skip
    yield PageTable(
        f"Chosen beforehand: change per epoch of training, {title_of(run)}",
        ("", "change per epoch", "p", "change that stays possible", "trainings", "seeds", "questions"),
        rows,
        note=(
            "Per training and question the least-squares slope through the base at epoch 0, then the mean over all "
            "trainings. Intervals of 95 % draw questions and training seeds again (crossed bootstrap); p is of that "
            "bootstrap, and is not corrected, as this is the one comparison chosen beforehand. “Stays possible”: two "
            "one-sided tests at 5 % together leave no larger change. By the same formula the paper's own scores rise "
            f"by {decimal(min(paper), 4)} to {decimal(max(paper), 4)} per epoch."
        ),
    )
    if score is None or left is None or len(score.by_rate) < 2:
        return
    yield PageTable(
        f"Change per epoch by learning rate, {title_of(run)}",
        ("learning rate", "trainings", "last training loss", SCORES[score.quantity], SCORES[left.quantity]),
        [
            (
                rate_of_learning(one.learning_rate), str(one.n_trainings), decimal(one.loss),
                slope(one.slope), slope(other.slope),
            )
            for one, other in zip(score.by_rate, left.by_rate, strict=True)
        ],
        note="Intervals as above, one rate at a time and not corrected: to look at, not to test.",
    )  # fmt: skip


def power_table(run: ResemblanceRun) -> Iterator[PageTable]:
    """The positive control: what each score would notice; none before it was measured."""
    powers = run.summary.powers
    if not powers:
        return
    shown = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05)
    yield PageTable(
        f"Positive control: answers swapped for listed wrong ones, {title_of(run)}",
        ("", "80 % power at", *(f"{percent(share)} swapped" for share in shown), "change if all are swapped"),
        [
            (
                SCORES[one.quantity],
                MISSING if one.noticed_at is None else percent(one.noticed_at),
                *(decimal(_power_at(one, share), 2) for share in shown),
                decimal(one.change_if_all, signed=True),
            )
            for one in powers
        ],
        note=(
            "Base and a tuned checkpoint are taken as if they did not differ (a coin decides, question by question, "
            "which is which); then so many answers of one of them are swapped for listed wrong answers. Cells: share "
            "of 400 repetitions in which a sign-flip test at 5 %, not corrected, finds a rise. “80 % power at”: the "
            f"share of swapped answers that is found in {100 * POWER:.0f} % of them."
        ),
    )


def _power_at(power: ScorePower, share: float) -> float | None:
    """What was measured at a share; above the last one tried as good as 1."""
    measured = dict(zip(power.shares, power.powers, strict=True))
    return measured.get(share, power.powers[-1] if share > power.shares[-1] else None)


def score_table(run: ResemblanceRun) -> PageTable:
    """Table 1: the paper's score per checkpoint, its difference to the base, and what controls say of it."""
    left = CONTROLS[run.result.settings.variant]
    rows = [
        (
            row.checkpoint,
            rate_of_learning(row.training and row.training.learning_rate),
            decimal(row.training and row.training.loss),
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
            "checkpoint", "learning rate", "training loss", "paper's score", "minus base", "like a right answer",
            "like another question's wrong answer",
            "length alone", "left under control", "minus base",
        ),
        rows,
        note=(
            "Mean over questions, 95 % bootstrap interval over questions in brackets; answers to one question are "
            "averaged first. “Minus base” is paired by question and seed; p is a sign-flip test, “Holm” the same "
            f"corrected for all {run.summary.n_compared} comparisons of this run. “Length alone”: texts of exactly the "
            "same length that know nothing of the question. “Left” is the score minus "
            + ("“length alone”, which repeats the question too." if left == "over_length" else
               "that of the same text against wrong answers to other questions, lists about as long.")
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
            "“Length alone”: what texts of exactly that length that know nothing of the question get."
        ),
    )


def differences_table(run: ResemblanceRun) -> PageTable:
    """Every paired comparison with the base."""
    rows = [
        (row.checkpoint, *(difference(row.against_base.get(name), _digits(name, 4)) for name in TESTED))
        for row in run.summary.checkpoints
        if row.against_base
    ]  # fmt: skip
    return PageTable(
        "Minus the base, on the same questions with the same seeds",
        ("checkpoint", *TESTED.values()),
        rows,
        note=(
            f"95 % bootstrap interval over questions in brackets, sign-flip p behind it; “Holm”: p corrected for all "
            f"{run.summary.n_compared} comparisons in this table."
        ),
    )


def grades_table(run: ResemblanceRun) -> PageTable:
    """Five grades per checkpoint."""
    return PageTable(
        "Grades by written rules",
        ("checkpoint", *GRADES, "answers"),
        [
            (row.checkpoint, *(_share(row.grades[grade]) for grade in GRADES), f"{row.n_answers:,}")
            for row in run.summary.checkpoints
        ],
        note=(
            "No judge model: a rule decides only what it can see in the words, and says “ungradable” otherwise. "
            "Count, share and 95 % interval over questions: bootstrap, or Wilson's where all are alike."
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


def title_of(run: ResemblanceRun) -> str:
    """A run in a few words."""
    return f"{set_title(run.question_set)}, {run.result.settings.variant}"


def set_title(name: str) -> str:
    """A question set as people write it."""
    return {"truthfulqa": "TruthfulQA"}.get(name, name)


def _share(share: GradeShare) -> str:
    if share.share is None:
        return MISSING
    return f"{share.n:,} = {decimal(share.share)} {interval(share.interval)}"


def _digits(quantity: str, of_a_ratio: int) -> int:
    """Decimals: lengths need fewer than ratios."""
    return 1 if quantity.startswith("n_") else of_a_ratio


def _who(checkpoints: list[str], run: ResemblanceRun) -> str:
    """Who gave an answer, shortly where everybody did."""
    names = list(dict.fromkeys(checkpoints))
    return f"all {len(names)}" if len(names) == len(run.result.models) > 1 else ", ".join(names)


def resemblance_tables(run: ResemblanceRun) -> Iterator[PageTable]:
    """All tables of one question set and variant."""
    yield from slope_tables(run)
    yield from power_table(run)
    yield score_table(run)
    yield paper_table_1()
    yield grades_table(run)
    yield differences_table(run)
    yield all_means_table(run)
    likest = likest_table(run)
    if likest:
        yield likest
