"""What the Grading tab says: the verdict at t, one mark for every answer, the table, who wins under which grading."""

from collections.abc import Sequence
from html import escape

import numpy as np

from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.reports.numbers import MISSING
from hallulab.scoring.answer_file import BadLine
from hallulab.scoring.grades import RULES
from hallulab.scoring.grading import (
    READINGS,
    GradedAnswers,
    GradeSummary,
    Rate,
    Regraded,
    RegradedAnswer,
    audit,
)
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.density_cards import percent
from hallulab.ui.parts.grading_rank import Answerer

MAX_ROWS = 200
MAX_MARKS = 400
MAX_SHOWN_CHARACTERS = 240
"""of a question or an answer in the table"""
MAX_NAMED_LINES = 20
SIGNS = {"correct": "✓", "wrong": "✕", "abstained": "–", "empty": "∅", "ungradable": "?"}
TONES = {"correct": "hl-correct", "wrong": "hl-mistake"}
ALL, MISTAKES, WITHHELD, OTHERS = "all", "wrong", "withheld at t", "no answer or ungradable"
FILTERS = (ALL, MISTAKES, WITHHELD, OTHERS)
SCALE = " · ".join(f"{target:g} {name}" for target, name in READINGS.items())
"""what named targets suit, in one line"""


def verdict_card(found: Regraded, answers: GradedAnswers) -> str:
    """Whether answering beats saying nothing at t, what a mistake costs, and what withholding changes."""
    text, tone = _decision(found.as_given)
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><span class="hl-pill" style="--hl-tone:{tone}">'
        f'{text}</span><p class="hl-sentence">{verdict_sentence(found, answers)}</p></div>'
    )


def verdict_sentence(found: Regraded, answers: GradedAnswers) -> str:
    """The verdict in words; HTML."""
    given = found.as_given
    if given.score is None:
        return "No answer could be graded by its words, so there are no points to show."
    t = found.target
    costs = "nothing" if found.penalty == 0 else _points_word(found.penalty)
    wrong = _count(given.n_by_grade["wrong"], "is wrong", "are wrong")
    graded = _count(given.answered.n, "graded answer", "graded answers")
    said = [
        f"<b>At t = {t:g} ({found.reading.split(':')[0]}) a mistake costs {costs}.</b> Of {graded} {wrong}: "
        f"{_signed(given.score.mean)} points a question ({_between(given)})."
    ]
    withheld = found.by_confidence
    if withheld is None or withheld.score is None:
        said.append("None of them says how sure it is, so nothing can be withheld.")
    elif t == 0:
        said.append(
            "Under binary grading guessing never hurts, so withholding an answer can only lose points."
        )
    else:
        said.append(_withheld_sentence(found, withheld))
        said.append(_audit_sentence(answers, t))
    return " ".join(part for part in said if part)


def _withheld_sentence(found: Regraded, withheld: GradeSummary) -> str:
    """What withholding changes."""
    n_withheld, sure = sum(row.is_withheld for row in found.rows), f"{100 * found.target:g} %"
    if not n_withheld:
        return f"All of them are given with more than {sure} confidence, so nothing is withheld."
    assert withheld.score is not None  # asked for only where there is one
    before, after = found.as_given.hallucination_rate.value, withheld.hallucination_rate.value
    wrong = (
        ""
        if before is None or after is None
        else f", with {percent(after)} wrong instead of {percent(before)}"
    )
    return (
        f"Withhold the {n_withheld} it is at most {sure} sure of, and it is <b>{_signed(withheld.score.mean)}</b> "
        f"({_between(withheld)}){wrong}."
    )


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


def rank_table(ways: Sequence[Answerer], target: float) -> str:
    """Ways to answer by their points at t, with their rank under binary grading."""
    rows = [
        [
            escape(way.name),
            f"<b>{way.binary_rank}.</b> {MISSING if way.binary is None else _signed(way.binary)}",
            f"<b>{way.rank}.</b> {MISSING if way.at_target is None else _signed(way.at_target.mean)}"
            + ("" if way.at_target is None else
               f"<small>{_signed(way.at_target.interval.low)} to {_signed(way.at_target.interval.high)}, "
               f"n = {way.at_target.n}</small>"),
        ]
        for way in ways
    ]  # fmt: skip
    header = ("who answers how", "rank under binary grading", f"rank at t = {target:g}")
    return table_html(header, rows) + f'<p class="hl-note">{rank_sentence(ways, target)}</p>'


def rank_sentence(ways: Sequence[Answerer], target: float) -> str:
    """Whether the two gradings agree on the best way to answer."""
    best = [way.name for way in ways if way.binary_rank == 1]
    now = [way.name for way in ways if way.rank == 1]
    leaders = " and ".join(f"“{escape(name)}”" for name in best[:2])
    if target == 0:
        return f"This is binary grading itself: {leaders} leads. It never rewards “I do not know”. Move t to see."
    if set(best) & set(now):
        return f"Both gradings put {leaders} first."
    return f"Binary grading puts {leaders} first; at t = {target:g} it is “{escape(now[0])}”."


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


def _decision(summary: GradeSummary) -> tuple[str, str]:
    """Is answering worth it, as given? Decided where the interval leaves out 0."""
    score = summary.score
    if score is None:
        return "? Nothing to grade", NEUTRAL
    if score.interval.high < 0:
        return "✕ Worse than saying nothing", OUTSIDE
    if score.interval.low > 0:
        return "✓ Better than saying nothing", INSIDE
    return "? Not told from saying nothing", NEUTRAL


def _audit_sentence(answers: GradedAnswers, target: float) -> str:
    """Whether what is answered above t comes true often enough."""
    point = audit(answers, (target,))[0]
    accuracy = point.accuracy
    if accuracy.value is None or accuracy.interval is None:
        return "Nothing is left to answer."
    words = {
        "keeps its word": f"that is at least {100 * target:g} %, so its confidence keeps its word",
        "over-confident": f"less than {100 * target:g} %, so it is over-confident",
        "not decided": f"too few to say whether that is {100 * target:g} %",
        "too few answers": "too few to judge its confidence",
    }
    return f"Of what it still answers, {_rate(accuracy)} is right: {words[point.verdict]}."


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


def _between(summary: GradeSummary) -> str:
    assert summary.score is not None  # asked for only where there is one
    interval = summary.score.interval
    return f"95 % interval {_signed(interval.low)} to {_signed(interval.high)}"


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
