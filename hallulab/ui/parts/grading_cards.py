"""What the Grading tab says: the verdict at t, one mark for every answer, the table, who wins under which grading."""

from collections.abc import Sequence
from html import escape

import numpy as np

from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.reports.grading_words import (
    AUDIT_HEADER,
    AUDIT_NOTE,
    audit_row,
    bracket,
    counted,
    never_wrong_sentence,
    p_value,
    rank_sentence,
    threshold_sentence,
    ungradable_sentence,
)
from hallulab.reports.numbers import MISSING
from hallulab.scoring.answer_file import BadLine
from hallulab.scoring.graded_answers import GradedAnswers
from hallulab.scoring.grades import RULES
from hallulab.scoring.grading import (
    READINGS,
    Rate,
    Regraded,
    RegradedAnswer,
    Withholding,
    Worth,
)
from hallulab.scoring.grading_audit import audit_as_stated, audit_by_confidence, best_own_thresholds
from hallulab.scoring.grading_rank import Ranking, Standing
from hallulab.theory.clustered_rates import ClusteredMean
from hallulab.theory.confidence_targets import percent_text, target_text
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.density_cards import percent

MAX_ROWS = 200
MAX_MARKS = 400
MAX_SHOWN_CHARACTERS = 240
"""of a question or an answer in the table"""
MAX_NAMED_LINES = 20
SIGNS = {"correct": "✓", "wrong": "✕", "abstained": "–", "empty": "∅", "ungradable": "?"}
TONES = {"correct": "hl-correct", "wrong": "hl-mistake"}
ALL, MISTAKES, WITHHELD, OTHERS = "all", "wrong", "withheld at t", "no answer or ungradable"
FILTERS = (ALL, MISTAKES, WITHHELD, OTHERS)
WORTHS: dict[Worth, tuple[str, str]] = {
    "better than saying nothing": ("✓ Better than saying nothing", INSIDE),
    "worse than saying nothing": ("✕ Worse than saying nothing", OUTSIDE),
    "not told from saying nothing": ("? Not told from saying nothing", NEUTRAL),
    "the ungradable ones decide": ("? The ungradable answers would decide", NEUTRAL),
    "too few questions": ("? Too few questions for a verdict", NEUTRAL),
    "nothing to grade": ("? Nothing to grade", NEUTRAL),
}
"""what a verdict is called, and its colour"""
OTHERS_HELP = "tick “Any other answer is wrong” above the button and grade again"
SCALE = " · ".join(f"{target:g} {name}" for target, name in READINGS.items())
"""what named targets suit, in one line"""


def verdict_card(found: Regraded, answers: GradedAnswers) -> str:
    """Whether answering beats saying nothing at t, what a mistake costs, and what withholding changes.

    Args:
        found: the answers of one who answered, at t.
        answers: the same answers.
    """
    text, tone = WORTHS[found.as_given.worth]
    asides = "".join(f'<p class="hl-note">{escape(aside)}</p>' for aside in _asides(found, answers))
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f'{text}</span><p class="hl-sentence">{verdict_sentence(found, answers)}</p>{asides}</div>'
    )


def verdict_sentence(found: Regraded, answers: GradedAnswers) -> str:
    """The verdict in words; HTML."""
    given = found.as_given
    if given.score is None:
        return "No answer could be graded by its words, so there are no points to show."
    t = found.target
    costs = "nothing" if found.penalty == 0 else _points_word(found.penalty)
    wrong = _count(given.n_by_grade["wrong"], "is wrong", "are wrong")
    said = [
        f"<b>At t = {target_text(t)} ({found.reading.split(':')[0]}) a mistake costs {costs}.</b> Of "
        f"{counted(given.answered.n, 'graded answer')} {wrong}: {_signed(given.score.mean)} points a question "
        f"({_between(given.score)})."
    ]
    if found.withholding is None:
        said.append("None of them says how sure it is, so nothing can be withheld.")
    elif t == 0:
        said.append(
            "Under binary grading guessing never hurts, so withholding an answer can only lose points."
        )
    else:
        said += [_withheld_sentence(found.withholding, t), _audit_sentence(answers, t)]
    return " ".join(said)


def _withheld_sentence(known: Withholding, target: float) -> str:
    """What withholding changes, on the answers that say how sure they are."""
    sure, n = f"{percent_text(target)} %", known.n_withheld
    if not n:
        return f"All of them are given with more than {sure} confidence, so nothing is withheld."
    before, after = known.as_given, known.by_confidence
    if before.score is None or after.score is None:
        return ""
    wrong = (
        ""
        if before.hallucination_rate.value is None or after.hallucination_rate.value is None
        else f", with {percent(after.hallucination_rate.value)} wrong instead of "
        f"{percent(before.hallucination_rate.value)}"
    )
    return (
        f"Withhold the {n} it is at most {sure} sure of, and it is <b>{_signed(after.score.mean)}</b> instead of "
        f"{_signed(before.score.mean)} (difference {_between(known.gain, of='')}){wrong}."
    )


def _asides(found: Regraded, answers: GradedAnswers) -> list[str]:
    """What else must be known to believe it: what is left out, and where these answers would do best."""
    n_missing = found.by_confidence.n_missing if found.by_confidence else 0
    missing = (
        f"{counted(n_missing, 'answer')} without a confidence left out of what is withheld."
        if n_missing
        else ""
    )
    best = best_own_thresholds(answers, found.target, rng=np.random.default_rng(0)) if found.target else ()
    asides = (
        ungradable_sentence(found.as_given),
        never_wrong_sentence(found.as_given, OTHERS_HELP),
        missing,
        *(threshold_sentence(one, found.target) for one in best),
    )
    return [aside for aside in asides if aside]


def marks_html(found: Regraded) -> str:
    """One mark for every answer, from the least to the most sure; a dashed line where t lies."""
    known = [row for row in found.rows if row.confidence is not None]
    if not known:
        return ""
    shown = sorted(known, key=lambda row: row.confidence or 0.0)
    places = np.unique(np.linspace(0, len(shown) - 1, min(len(shown), MAX_MARKS)).round().astype(int))
    marks, line = "", False
    for row in (shown[place] for place in places):
        if not line and (row.confidence or 0.0) > found.target:
            marks, line = marks + "<b></b>", True
        withheld = " hl-withheld" if row.is_withheld else ""
        tone = TONES.get(row.grade, "")
        marks += f'<i class="{tone}{withheld}" title="{_mark_title(row)}">{SIGNS[row.grade]}</i>'
    return (
        f'<div class="hl-answers" aria-hidden="true">{marks}</div><p class="hl-note">One mark an answer, the least '
        "sure first: ✓ right, ✕ wrong, – “I do not know”. Left of the dashed line, pale: withheld at this t.</p>"
    )


def answers_table(found: Regraded, shown: str) -> str:
    """The answers with grade, confidence and points at t; visitors' text never becomes markup."""
    rows = [row for row in found.rows if _is_shown(row, shown)]
    body = "".join(_row(row) for row in rows[:MAX_ROWS])
    if not rows:
        return '<p class="hl-note">No answer of this kind.</p>'
    n_more = len(rows) - MAX_ROWS
    more = f'<p class="hl-note">And {n_more} more, graded but not shown.</p>' if n_more > 0 else ""
    return (
        '<div class="hl-graded" tabindex="0" role="region" aria-label="graded answers"><table class="hl-table"><thead>'
        "<tr><th>question and answer</th><th>grade</th><th>sure</th><th>points as given</th><th>withheld below t"
        f"</th></tr></thead><tbody>{body}</tbody></table></div>{more}"
    )


def rank_table(ranking: Ranking) -> str:
    """Ways to answer by their points at t, with their rank under binary grading."""
    rows = [
        [escape(one.way.name), _standing_cell(one.binary), _standing_cell(one.at_target)]
        for one in ranking.ways
    ]
    t = target_text(ranking.target)
    note = (
        f"{escape(rank_sentence(ranking))} {counted(ranking.n_questions, 'question')} in common. Behind: points a "
        "question fewer than the first, with 95 % intervals; p corrected for all pairs (Holm)."
    )
    header = ("who answers how", "rank under binary grading", f"rank at t = {t}")
    return table_html(header, rows) + f'<p class="hl-note">{note}</p>'


def stated_table(answers: GradedAnswers) -> str:
    """For answers to prompts that stated a target: is at least that share right? Nothing where none did."""
    points = audit_as_stated(answers)
    if not points:
        return ""
    rows = [[escape(cell) for cell in audit_row(point)] for point in points]
    return (
        "<h3>Told a target, does it keep to it?</h3>"
        + table_html(AUDIT_HEADER, rows)
        + f'<p class="hl-note">{escape(AUDIT_NOTE)}</p>'
    )


def _standing_cell(standing: Standing) -> str:
    if standing.rank is None or standing.points is None:
        return MISSING
    below = standing.below_first
    behind = (
        ""
        if below is None
        else f"<small>{below.mean:.2f} behind {bracket(below.interval)}</small>"
        f"<small>p = {p_value(standing.p_holm)}</small>"
    )
    return f"<b>{standing.rank}.</b> {_signed(standing.points)}{behind}"


def bad_lines_note(bad: Sequence[BadLine], n_answers: int, name: str) -> str:
    """What was read, and which lines were left out and why."""
    read = f"{n_answers:,} answer{'s' * (n_answers != 1)} read from {escape(name)}."
    if not bad:
        return f'<p class="hl-note" role="status">{read}</p>'
    items = "".join(
        f"<li>line {one.line}: {escape(one.reason[:MAX_SHOWN_CHARACTERS])}</li>"
        for one in bad[:MAX_NAMED_LINES]
    )
    n_more = len(bad) - MAX_NAMED_LINES
    more = f"<li>and {n_more:,} more</li>" if n_more > 0 else ""
    return (
        f'<div class="hl-note" role="status">{read} <b>{len(bad):,} line{"s" * (len(bad) != 1)} left out:</b>'
        f"<ul>{items}{more}</ul></div>"
    )


def _audit_sentence(answers: GradedAnswers, target: float) -> str:
    """Whether what is answered above t comes true often enough."""
    point = next(iter(audit_by_confidence(answers, (target,))), None)
    if point is None or point.accuracy.value is None:
        return "Nothing is left to answer."
    sure = f"{percent_text(target)} %"
    words = {
        "keeps its word": f"that is at least {sure}, so its confidence keeps its word",
        "over-confident": f"less than {sure}, so it is over-confident",
        "not decided": f"too few to say whether that is {sure}",
        "the ungradable ones decide": f"whether that is {sure} depends on the ungradable ones",
        "too few questions": "too few to judge its confidence",
    }
    return f"Of what it still answers, {_rate(point.accuracy)} is right: {words[point.verdict]}."


def _row(row: RegradedAnswer) -> str:
    grade = (
        f'<span class="{_grade_css(row)}" title="{escape(_rule(row))}">{SIGNS[row.grade]} {row.grade}</span>'
    )
    withheld = "<small>withheld</small>" if row.is_withheld else ""
    sure = MISSING if row.confidence is None else percent(row.confidence)
    css = ' class="hl-out-of-play"' if row.is_withheld else ""
    return (
        f"<tr{css}><td>{_cut(row.answer) or '(nothing)'}<small>{_cut(row.question)}</small></td><td>{grade}{withheld}"
        f"</td><td>{sure}</td><td>{_points(row.score_as_given)}</td><td>{_points(row.score_by_confidence)}</td></tr>"
    )


def _rule(row: RegradedAnswer) -> str:
    reference = "" if row.reference is None else f" Decided by: {row.reference[:MAX_SHOWN_CHARACTERS]}"
    return RULES[row.rule] + reference


def _grade_css(row: RegradedAnswer) -> str:
    return {"correct": "hl-in", "wrong": "hl-out"}.get(row.grade, "")


def _is_shown(row: RegradedAnswer, shown: str) -> bool:
    if shown == MISTAKES:
        return row.grade == "wrong"
    if shown == WITHHELD:
        return row.is_withheld
    return shown != OTHERS or row.grade not in ("correct", "wrong")


def _mark_title(row: RegradedAnswer) -> str:
    return escape(f"{row.grade}, {percent(row.confidence or 0.0)} sure: {row.answer[:80]}")


def _cut(text: str) -> str:
    return escape(text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + " …")


def _between(mean: ClusteredMean, of: str = "95 % interval ") -> str:
    return f"{of}{_signed(mean.interval.low)} to {_signed(mean.interval.high)}"


def _rate(rate: Rate) -> str:
    return MISSING if rate.value is None else f"{percent(rate.value)} (n = {rate.n})"


def _points(points: float | None) -> str:
    if points is None:
        return MISSING
    return "0" if points == 0 else f"{points:+.3g}".replace("-", "−")


def _points_word(points: float) -> str:
    return f"{points:.3g} point{'s' * (points != 1)}"


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _signed(value: float) -> str:
    rounded = round(value, 2) + 0.0
    return "0.00" if rounded == 0 else f"{rounded:+.2f}".replace("-", "−")
