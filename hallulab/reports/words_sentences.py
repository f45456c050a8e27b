"""What a words sweep found, in sentences that its own numbers make true."""

from collections.abc import Iterator, Sequence
from typing import Literal

from hallulab.data.paper_table_1 import HIGHEST, LOWEST
from hallulab.experiments.words_comparisons import Comparison
from hallulab.experiments.words_resemblance_summary import CONTROLS, CheckpointSummary
from hallulab.experiments.words_slopes import paper_slopes
from hallulab.experiments.words_sweep import ResemblanceRun, VerdictsRun
from hallulab.experiments.words_verdicts_rows import CheckpointRow, CoverageRow, VerdictsSummary
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import Finding
from hallulab.reports.words_cells import p_value, slope
from hallulab.reports.words_tables import SCORES, set_title, title_of
from hallulab.reports.words_verdict_tables import SOURCES
from hallulab.scoring.grades import GRADES
from hallulab.theory.crossed_bootstrap import CrossedMean

OPENING = (
    "Two questions are asked of a language model before and after fine-tuning. First: do its answers grow more like "
    "common wrong answers? A paper (arXiv 2509.21473, Table 1) says so: its score, the likeness to the closest of a "
    f"list of wrong answers, lies between {LOWEST} and {HIGHEST} and is higher after tuning. But such a score also "
    "depends on how long an answer is. So each answer is held here against the wrong answers to other questions, of "
    "which it can know nothing: only what is above that is about the question. Second: can a frozen copy of the model "
    "tell, from probabilities alone, which answers are hallucinations?"
)


def resemblance_finding(run: ResemblanceRun) -> Finding:
    """One question set and variant: what the paper's score does, and what is left of it."""
    rows = [row for row in run.summary.checkpoints if row.means["incorrect"] is not None]
    tuned = [row for row in rows if row.against_base]
    return Finding(title_of(run), _headline(run, rows, tuned), list(_resemblance_sentences(run, rows, tuned)))


def verdicts_finding(run: VerdictsRun) -> Finding:
    """Text verdicts: who hallucinates, and how far the verdicts can be trusted."""
    return Finding("Text verdicts", _verdicts_headline(run.summary), list(_verdicts_sentences(run.summary)))


def n_rising(rows: Sequence[CheckpointSummary], quantity: str) -> int:
    """Checkpoints whose quantity is above the base's, by a p-value corrected for all comparisons of the run."""
    return sum(_is_rise(row.against_base.get(quantity)) for row in rows)


def n_falling(rows: Sequence[CheckpointSummary], quantity: str) -> int:
    """Checkpoints whose quantity is below the base's, likewise."""
    return sum(one is not None and one.is_fall for row in rows for one in [row.against_base.get(quantity)])


def _headline(
    run: ResemblanceRun, rows: Sequence[CheckpointSummary], tuned: Sequence[CheckpointSummary]
) -> str:
    if not rows:
        return "Nothing was scored yet."
    if not tuned:
        return "One model alone, or no base: there is nothing to compare yet."
    slopes = run.summary.slopes
    score, left = slopes.get("incorrect"), slopes.get(CONTROLS[run.result.settings.variant])
    if score is None or left is None:
        return _headline_by_checkpoint(run, tuned)
    kept = _direction(left.slope)
    remains = "nothing is clearly left of it" if kept is None else f"what is left of it {kept}"
    match _direction(score.slope):
        case None:
            return "The paper's score neither clearly rises nor clearly falls with the epochs of training."
        case "falls":
            return f"The paper's score falls with every epoch of training; under control {remains}."
        case _:
            return f"The paper's score rises with every epoch of training; under control {remains}."


def _headline_by_checkpoint(run: ResemblanceRun, tuned: Sequence[CheckpointSummary]) -> str:
    """Where no epochs are known."""
    left = CONTROLS[run.result.settings.variant]
    n, rises, remains = len(tuned), n_rising(tuned, "incorrect"), n_rising(tuned, left)
    falls = n_falling(tuned, "incorrect")
    if not rises and falls:
        return f"Tuning lowers the paper's score in {_of(falls, n)} checkpoints and raises it in none."
    if not rises:
        return f"The paper's score clearly rises or falls in none of {n} checkpoints."
    if not remains:
        return f"The paper's score rises in {_of(rises, n)} checkpoints, and nothing of it is left under control."
    return f"The paper's score rises in {_of(rises, n)} checkpoints; under control a rise is left in {_of(remains, n)}."


def _direction(slope: CrossedMean) -> Literal["rises", "falls"] | None:
    """Of a slope whose interval leaves 0 out."""
    if slope.interval.low > 0:
        return "rises"
    return "falls" if slope.interval.high < 0 else None


def _resemblance_sentences(
    run: ResemblanceRun, rows: Sequence[CheckpointSummary], tuned: Sequence[CheckpointSummary]
) -> Iterator[str]:
    if not rows:
        return
    yield from slope_sentences(run)
    yield from power_sentences(run)
    base = next((row for row in rows if row.is_base), rows[0])
    yield from _level_sentences(run, base, tuned)
    rising = [row for row in tuned if _is_rise(row.against_base.get("incorrect"))]
    if rising:
        yield _largest_rise(rising)
    yield from _grade_sentences(base, tuned)
    if tuned:
        variant = run.result.settings.variant
        yield (
            f"{set_title(run.question_set)}: {base.n_questions:,} questions, seeds: {run.result.settings.n_seeds}. Of "
            f"{len(tuned)} tuned checkpoints, {n_rising(tuned, 'incorrect')} are above the base in the score and "
            f"{n_rising(tuned, CONTROLS[variant])} in what is left of it; {n_falling(tuned, 'incorrect')} and "
            f"{n_falling(tuned, CONTROLS[variant])} are below (p corrected by Holm for all {run.summary.n_compared:,} "
            "comparisons)."
        )


def slope_sentences(run: ResemblanceRun) -> Iterator[str]:
    """The comparison chosen beforehand, and what stays possible of what is left under control."""
    slopes = run.summary.slopes
    score, left = slopes.get("incorrect"), slopes.get(CONTROLS[run.result.settings.variant])
    if score is None or left is None:
        return
    mean_of_paper = sum(paper_slopes().values()) / len(paper_slopes())
    n_seeds = score.slope.n_columns
    about = (
        f"other questions and other training seeds ({n_seeds} here)"
        if n_seeds > 1
        else "other questions; one training seed says nothing of others"
    )
    yield (
        f"Chosen beforehand: over {_trainings(score.n_trainings)} the paper's score changes per epoch by "
        f"{slope(score.slope)}, {p_value(score.slope.p_value)}; the interval is about {about}."
    )
    share = left.slope.bound / mean_of_paper
    yield (
        f"What is left of it under control changes by {slope(left.slope)}: two one-sided tests at 5 % leave possible "
        f"no more than {decimal(left.slope.bound, 5)} per epoch, {percent(share)} of what the paper's models rise."
    )


def power_sentences(run: ResemblanceRun) -> Iterator[str]:
    """What a comparison would have noticed."""
    powers = {power.quantity: power for power in run.summary.powers}
    noticed = [
        f"{SCORES[quantity]} {MISSING if power.noticed_at is None else percent(power.noticed_at)}"
        for quantity, power in powers.items()
    ]
    if noticed:
        yield (
            "Positive control: swapping answers for listed wrong ones is noticed with 80 % power from these shares of "
            f"swapped answers on: {'; '.join(noticed)}."
        )


def _level_sentences(
    run: ResemblanceRun, base: CheckpointSummary, tuned: Sequence[CheckpointSummary]
) -> Iterator[str]:
    score, left = (base.means[name] for name in ("incorrect", CONTROLS[run.result.settings.variant]))
    assert score is not None  # such rows were left out
    others = [_mean(row, "incorrect") for row in tuned]
    after = f"; the tuned checkpoints score {_range(others)}" if others else ""
    paper = f" (the paper's models: {LOWEST} to {HIGHEST})" if run.question_set == "truthfulqa" else ""
    who = "The base" if base.is_base else base.checkpoint
    yield f"{who} scores {decimal(score.mean)} for likeness to wrong answers{after}{paper}."
    if run.result.settings.choices.scores_prompt:
        yield (
            "As in the public code the question is part of what is scored, and questions resemble their own answers: "
            "the control is the same question followed by unrelated text of the same length."
        )
    else:
        yield (
            f"Against wrong answers to other questions, of which it can know nothing, it scores "
            f"{decimal(_mean(base, 'null_incorrect'))}."
        )
    if base.means["length_alone"] is not None:
        yield (
            "Texts of the same length that know nothing of the question get "
            f"{decimal(_mean(base, 'length_alone'))}; what is scored is {_mean(base, 'n_characters'):.0f} "
            "characters long on average."
        )
    if left is not None:
        if left.interval.low > 0:
            says = "is above zero."
        elif left.interval.high < 0:
            says = "is below zero: less than a text that knows nothing."
        else:
            says = "cannot be told from zero."
        yield (
            f"Left under control in the base: {decimal(left.mean, 4, signed=True)} "
            f"[{decimal(left.interval.low, 4)}, {decimal(left.interval.high, 4)}], which {says}"
        )
    margin = base.means["margin"]
    if margin is not None:
        more = "wrong" if margin.mean > 0 else "right"
        yield (
            f"Its answers are {decimal(abs(margin.mean))} closer to a {more} answer than to a "
            f"{'right' if more == 'wrong' else 'wrong'} one."
        )


def _grade_sentences(base: CheckpointSummary, tuned: Sequence[CheckpointSummary]) -> Iterator[str]:
    grades = {grade: base.grades[grade].n for grade in GRADES}
    top = max(grades, key=lambda grade: grades[grade])
    yield (
        f"By written rules {100 * grades[top] / base.n_answers:.0f} % of its answers are {_GRADE_WORDS[top]}, and "
        f"{grades['wrong']:,} of {base.n_answers:,} are wrong answers from the list."
    )
    for grade in GRADES:
        rises, falls = (count(tuned, f"is_{grade}") for count in (n_rising, n_falling))
        if rises or falls:
            yield (
                f"Answers that are {_GRADE_WORDS[grade]} grow more frequent in {rises} and rarer in {falls} of "
                f"{len(tuned)} tuned checkpoints."
            )


def _largest_rise(rising: Sequence[CheckpointSummary]) -> str:
    rises = {row.checkpoint: row.against_base for row in rising}
    name = max(rises, key=lambda one: _change(rises[one]["incorrect"]))
    score, alone, length = (_change(rises[name][q]) for q in ("incorrect", "length_alone", "n_characters"))
    return (
        f"The largest rise is {decimal(score, 4, signed=True)} ({name}). Its texts are {abs(length):.1f} characters "
        f"{'shorter' if length < 0 else 'longer'} than the base's; texts of these lengths that know nothing change by "
        f"{decimal(alone, 4, signed=True)}."
    )


def _change(found: Comparison | None) -> float:
    return found.mean if found else 0.0


def _trainings(n: int) -> str:
    return "one training" if n == 1 else f"{n} trainings"


_GRADE_WORDS = {
    "correct": "right answers from the list",
    "wrong": "wrong answers from the list",
    "abstained": "“I do not know”",
    "empty": "empty",
    "ungradable": "none of the listed answers (ungradable)",
}


def _verdicts_headline(summary: VerdictsSummary) -> str:
    if all(row.hallucination_rate.value is None for row in summary.checkpoints):
        if any(row.withheld.n_true < row.withheld.n for row in summary.questions):
            return "No checkpoint's answers were judged yet."
        return "No question got a verdict: the scorer does not keep to its hints."
    tuned = [row for row in summary.checkpoints if row.more_than_base is not None]
    rises = sum(_is_rise(row.more_than_base) for row in tuned)
    found = [row.auroc.value for row in summary.detection if row.auroc]
    detected = f"; answers made wrong on purpose are told apart (AUROC {_least(found)})" if found else ""
    new = _new_wordings(summary)
    if new and (new.any_region.value or 0) < 0.5:
        detected += ", but so are right ones in new wordings"
    if not tuned:
        return f"One checkpoint alone hallucinates in {_percent(summary.checkpoints[0])} of its answers{detected}."
    if not rises:
        return f"None of {len(tuned)} tuned checkpoints clearly hallucinates more than the base{detected}."
    return (
        f"{_of(rises, len(tuned)).capitalize()} tuned checkpoints hallucinate more than the base{detected}."
    )


def _verdicts_sentences(summary: VerdictsSummary) -> Iterator[str]:
    judged = [row for row in summary.checkpoints if row.hallucination_rate.value is not None]
    if judged:
        yield (
            f"Outside every region: {_percent(judged[0])} of the {judged[0].hallucination_rate.n:,} answers of "
            f"{_by_name(judged[0])} to open-ended questions"
            + (f", and {_rates(judged[1:])} of those of the others." if judged[1:] else ".")
        )
        n_wrong, n = (sum(getattr(row.wrong, name) for row in judged) for name in ("n_true", "n"))
        accused = sum(row.outside_of_right.n_true for row in judged)
        if n:
            yield (
                f"In the small world the truth is known: {n_wrong:,} of {n:,} answers are truly wrong"
                + (
                    f", and {sum(row.outside_of_wrong.n_true for row in judged):,} of them are found; "
                    if n_wrong
                    else ", so every accusation is a false alarm: "
                )
                + f"{accused:,} of {n - n_wrong:,} right answers are accused."
            )
    if summary.rate_slope:
        found = summary.rate_slope.slope
        yield (
            f"Over {_trainings(summary.rate_slope.n_trainings)} that rate changes per epoch by {slope(found, 4)}, "
            f"{p_value(found.p_value)}, about other questions and training seeds."
        )
    covered = next(
        (
            row
            for row in summary.coverage
            if (row.questions, row.answers, row.rule, row.n_behind)
            == ("known", "fresh genuine", summary.rule, summary.n_genuine)
        ),
        None,
    )
    if covered and covered.own_region.value is not None:
        yield (
            f"Of {covered.own_region.n:,} fresh genuine answers {100 * covered.own_region.value:.1f} % are let in; the "
            f"aim is {100 * summary.hdr_mass:.0f} %."
        )
    missed = [row for row in summary.detection if row.outside.value is not None]
    if missed:
        yield (
            "Found of answers that are wrong on purpose: "
            + "; ".join(
                f"{SOURCES.get(row.source, row.source).split(':')[0]} {100 * (row.outside.value or 0):.1f} %"
                for row in missed
            )
            + "."
        )
    new = _new_wordings(summary)
    if new:
        yield (
            f"The verdict is about words: of acceptable answers in wordings that the model never met, "
            f"{100 * (new.any_region.value or 0):.1f} % are let in (n = {new.any_region.n:,})."
        )
    rare = next(
        (row for row in summary.hints if row.answers == "rare" and row.inside_plain.value is not None), None
    )
    if rare and rare.inside_hinted.value is not None:
        yield (
            f"Hints pay where causes are unequal: of genuine answers of the rarer cause, "
            f"{100 * rare.inside_hinted.value:.0f} % are let in with hints, "
            f"{100 * (rare.inside_plain.value or 0):.0f} % by one plain threshold."
        )
    unknown = next((row for row in summary.questions if row.questions == "unknown"), None)
    if unknown and unknown.withheld.n:
        yield (
            f"“No verdict” is said for {unknown.withheld.n_true} of {unknown.withheld.n} questions that the scorer "
            "does not know."
        )


def _is_rise(found: Comparison | None) -> bool:
    return found is not None and found.is_rise


def _of(count: int, n: int) -> str:
    return f"all {n}" if count == n else f"{count} of {n}"


def _mean(row: CheckpointSummary, quantity: str) -> float:
    found = row.means[quantity]
    assert found is not None  # rows without a score were left out
    return found.mean


def _range(values: Sequence[float]) -> str:
    low, high = decimal(min(values)), decimal(max(values))
    return low if low == high else f"{low} to {high}"


def _least(values: Sequence[float]) -> str:
    """The smallest, rounded down, so that “at least” stays true."""
    least = int(min(values) * 1000) / 1000
    return f"{least:.3f}" if least == 1 else f"at least {least:.3f}"


def _new_wordings(summary: VerdictsSummary) -> CoverageRow | None:
    """Coverage of acceptable answers in words that were never trained, where it was measured."""
    rows = [
        row for row in summary.coverage if row.answers == "new wording" and row.any_region.value is not None
    ]
    return rows[0] if rows else None


def _percent(row: CheckpointRow) -> str:
    return f"{100 * (row.hallucination_rate.value or 0):.1f} %"


def _by_name(row: CheckpointRow) -> str:
    return f"“{row.checkpoint}”"


def _rates(rows: Sequence[CheckpointRow]) -> str:
    values = [100 * (row.hallucination_rate.value or 0) for row in rows]
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"
