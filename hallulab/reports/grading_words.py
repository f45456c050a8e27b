"""What a grading found, in sentences and cells: the same words on the command line, on the page and in the report."""

from collections.abc import Sequence

from hallulab.reports.numbers import MISSING
from hallulab.scoring.grading import GradeSummary, Rate, Regraded, ScoreCurve
from hallulab.scoring.grading_audit import AuditPoint, OwnThreshold
from hallulab.scoring.grading_rank import RankedWay, Ranking, Standing
from hallulab.theory.bootstrap import PairedDifference
from hallulab.theory.clustered_rates import ClusteredMean
from hallulab.theory.confidence_targets import target_text
from hallulab.theory.intervals import Interval

INTERVALS_NOTE = (
    "Intervals are 95 %, with questions as the independent things: Wilson's for shares; for points, those of the right "
    "and of the wrong share joined (MOVER)."
)
AUDIT_NOTE = (
    "The intervals of what is right hold together for all targets of the table (Bonferroni). Over-confident: even the "
    "upper end lies below t; keeps its word: even the lower end reaches it."
)
RANK_NOTE = (
    "Everybody is scored on the questions that all have a score on. Behind: points a question fewer than the first, "
    "paired by question; p: sign-flip test, Holm-corrected for all pairs of ways."
)
RANK_HEADER = (
    "who answers how",
    "rank, binary",
    "points",
    "behind",
    "p",
    "rank at t",
    "points",
    "behind",
    "p",
    "ungradable",
)


def cost_sentence(found: Regraded) -> str:
    """What a mistake costs at this target."""
    what = "nothing" if found.penalty == 0 else points_word(found.penalty)
    return f"At t = {target_text(found.target)} ({found.reading.split(':')[0]}) a wrong answer costs {what}."


def verdict_sentence(summary: GradeSummary) -> str:
    """Whether these answers, as given, are better than saying nothing."""
    if summary.score is None:
        return f"No answer of {summary.n_questions} could be graded by its words, so there are no points to show."
    worth = {
        "too few questions": "too few questions to say whether that beats saying nothing",
        "the ungradable ones decide": "whether that beats saying nothing depends on the ungradable ones",
    }.get(summary.worth, summary.worth)
    return f"As given: {score(summary.score)} points a question, n = {summary.score.n}: {worth}."


def withholding_sentence(found: Regraded) -> str:
    """What withholding unsure answers changes, on the answers for which it is known."""
    known, missing = found.withholding, _missing_sentence(found)
    t = target_text(found.target)
    if known is None or known.as_given.score is None or known.by_confidence.score is None:
        return "No answer says how sure it is, so nothing can be withheld."
    if not known.n_withheld:
        return f"No answer has a confidence of {t} or less, so nothing is withheld.{missing}"
    return (
        f"Withholding the {counted(known.n_withheld, 'answer')} with confidence of {t} or less takes the same "
        f"{known.gain.n} from {signed(known.as_given.score.mean)} to {signed(known.by_confidence.score.mean)}, by "
        f"{score(known.gain)}.{missing}"
    )


def ungradable_sentence(summary: GradeSummary) -> str:
    """How the numbers would change if the ungradable answers were wrong, abstentions or right; nothing without one."""
    found = summary.ungradable
    if found is None or not found.n:
        return ""
    rates = sorted((found.hallucination_rate_otherwise, found.hallucination_rate_if_wrong))
    return (
        f"{counted(found.n, 'answer')} could not be graded and {'is' if found.n == 1 else 'are'} left out: were all "
        f"wrong, it would be {signed(found.score_if_wrong.mean)} points; abstentions, "
        f"{signed(found.score_if_abstained.mean)}; right, {signed(found.score_if_right.mean)}. Hallucinations: "
        f"{share(rates[0])} to {share(rates[1])}."
    )


def never_wrong_sentence(summary: GradeSummary, how: str) -> str:
    """A warning where questions list no wrong answer, so that nothing can be called wrong; nothing elsewhere."""
    n, total = summary.n_never_wrong, sum(summary.n_by_grade.values())
    if not n:
        return ""
    return (
        f"Careful: {n} of {total} answers are to questions that list no incorrect_answers, so the rules can call none "
        f"of them wrong. If all correct answers are listed, {how}."
    )


def threshold_sentence(found: OwnThreshold, target: float) -> str:
    """Above which own confidence somebody's answers score most."""
    at = max(0.0, found.threshold)
    within = f" [{found.interval.low:.3f}, {found.interval.high:.3f}]" if found.interval else ""
    t = target_text(target)
    return (
        f"Best threshold at t = {t}: these answers score most when given above confidence {at:.3f}{within}; for true "
        f"confidences that is {t}. Chosen on these very answers."
    )


def break_even_sentence(curve: ScoreCurve | None) -> str:
    """From which target on saying nothing would score better; nothing where there is no such target."""
    if curve is None or curve.break_even is None or curve.break_even == 1:
        return ""
    return f"As given, above t = {curve.break_even:.3f} always saying “I do not know” scores better."


def rank_sentence(ranking: Ranking) -> str:
    """Whether the two gradings agree on who is best, and how sure the second is."""
    first, binary = ranking.first, ranking.first_binary
    if not first:
        return "There is no question that all of them have a score on, so nobody is ranked."
    t = target_text(ranking.target)
    if ranking.target == 0:
        return f"This is binary grading itself: {_named(binary)} leads. It never rewards “I do not know”."
    if set(first) & set(binary):
        return f"Both gradings put {_named(binary)} first."
    moved = next(one for one in ranking.ways if one.way.name in binary)
    return (
        f"Binary grading puts {_named(binary)} first; at t = {t} it is {_named(first)}, ahead of it by "
        f"{behind(moved.at_target)} points a question (p = {p_value(moved.at_target.p_holm)})."
    )


def rank_row(one: RankedWay) -> tuple[str, ...]:
    """One way to answer, for a table under `RANK_HEADER`."""
    return (
        one.way.name,
        *_standing_cells(one.binary),
        *_standing_cells(one.at_target),
        str(one.n_ungradable),
    )


def audit_row(point: AuditPoint) -> tuple[str, ...]:
    """One point of an audit: who, t, answered, right of these, ungradable, verdict."""
    return (
        point.answerer.name,
        target_text(point.target),
        rate(point.answered),
        rate(point.accuracy),
        str(point.n_ungradable),
        point.verdict,
    )


AUDIT_HEADER = ("who", "t", "answered", "right of these", "ungradable", "verdict")


def range_cell(summary: GradeSummary) -> str:
    """Points if every ungradable answer were wrong … abstained … right."""
    found = summary.ungradable
    if found is None:
        return MISSING
    if not found.n:  # all of them withheld
        return signed(found.score_if_abstained.mean)
    ends = (found.score_if_wrong, found.score_if_abstained, found.score_if_right)
    return " … ".join(signed(one.mean) for one in ends)


def behind(standing: Standing) -> str:
    """How many points a question fewer than the first, with the interval."""
    below = standing.below_first
    return MISSING if below is None else f"{below.mean:.2f} {bracket(below.interval)}"


def p_value(p: float | None) -> str:
    """A p-value in two digits."""
    return MISSING if p is None else ("< 0.001" if p < 0.001 else f"{p:.2g}")


def rate(found: Rate, digits: int = 1) -> str:
    """A rate in percent with its interval and n."""
    if found.value is None or found.interval is None:
        return MISSING
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return f"{100 * found.value:.{digits}f} % [{low:.{digits}f}, {high:.{digits}f}] of {found.n}"


def score(found: ClusteredMean | None) -> str:
    """Points a question with their interval."""
    return MISSING if found is None else f"{signed(found.mean)} {bracket(found.interval, sign=True)}"


def change(found: PairedDifference | None) -> str:
    """A paired difference in points of a percent."""
    if found is None:
        return ""
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return f"{100 * found.mean:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")


def signed(value: float) -> str:
    """Points with their sign; none before what rounds to 0."""
    written = f"{value:+,.3f}"
    return written[1:] if float(written.replace(",", "")) == 0 else written.replace("-", "−")


def share(value: float) -> str:
    """A share in percent."""
    return f"{100 * value:.1f} %"


def bracket(interval: Interval, *, sign: bool = False) -> str:
    """An interval of points."""
    if sign:
        return f"[{signed(interval.low)}, {signed(interval.high)}]"
    return f"[{interval.low:.2f}, {interval.high:.2f}]".replace("-", "−")


def points_word(points: float) -> str:
    """A number of points with its noun."""
    return f"{points:.3g} point{'s' * (points != 1)}"


def counted(n: int, what: str) -> str:
    """A number with its noun."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def _missing_sentence(found: Regraded) -> str:
    n = found.by_confidence.n_missing if found.by_confidence else 0
    if not n:
        return ""
    return f" {counted(n, 'answer')} without a confidence {'is' if n == 1 else 'are'} left out of this comparison."


def _standing_cells(standing: Standing) -> tuple[str, str, str, str]:
    if standing.points is None or standing.rank is None:
        return MISSING, MISSING, MISSING, MISSING
    return str(standing.rank), signed(standing.points), behind(standing), p_value(standing.p_holm)


def _named(names: Sequence[str]) -> str:
    shown = " and ".join(f"“{name}”" for name in names[:2])
    return shown + (f" and {len(names) - 2} more" if len(names) > 2 else "")
