"""What Is-It-Valid runs found, in sentences that their numbers make true."""

from collections.abc import Sequence
from itertools import groupby

from hallulab.data.candidate_answers import CANDIDATE_SETS
from hallulab.experiments.iiv_calibration import CalibrationRow
from hallulab.experiments.iiv_reduction import IivRow
from hallulab.reports.iiv_figures import FACTOR, SET_TITLES
from hallulab.reports.numbers import percent

MAIN_SCALE = "renormalised"
LEVEL = 0.05
"""below which a corrected p-value counts as a change"""


def iiv_headline(rows: Sequence[IivRow]) -> str:
    """The finding in one line."""
    ratios = [row.own_ratio.value for row in _main(rows) if row.own_ratio.value is not None]
    n_above = sum(ratio >= FACTOR for ratio in ratios)
    if not ratios:
        return "No answer was misjudged, so there is no ratio to compare with 2."
    return (
        f"The models err {min(ratios):.2f} to {max(ratios):.2f} times as often when they generate as when they judge; "
        f"2 times or more in {n_above} of {len(ratios)} cases of model and question set."
    )


def iiv_sentences(rows: Sequence[IivRow]) -> list[str]:
    """What to conclude, each sentence true by the numbers of these runs."""
    main = _main(rows)
    said = []
    for question_set, group in groupby(main, key=lambda row: row.question_set):
        first = next(iter(group))
        ratio = "no answer is misjudged" if first.own_ratio.value is None else _times(first)
        said.append(
            f"{SET_TITLES[question_set]}, {first.checkpoint}: {percent(first.err.value)} of its probability is on "
            f"errors, and it misjudges {percent(first.own_err_iiv.value)} of the answers ({ratio}). {_demand(first)}"
        )
    deltas = [row.delta.value for row in main if row.delta.value is not None]
    if any(row.own_ratio.value is not None and row.own_ratio.value < FACTOR for row in main):
        said.append(
            "A ratio below 2 breaks nothing: the factor holds for calibrated models with many possible errors, and δ "
            f"is up to {max(deltas):.2f} here."
        )
    silent = sum((row.bound.value or 0) <= 0 for row in main)
    said.append(
        f"As the paper states it, the bound says nothing in {silent} of {len(main)} cases: it subtracts δ, and "
        "|V|/|E|, which is large where few errors are listed."
    )
    broken = sum(row.is_broken for row in rows)
    said.append(
        f"No bound was broken: {len(rows)} combinations of checkpoint, set and scale, two bounds each."
        if not broken
        else f"Broken bounds: {broken} of {len(rows)} combinations of checkpoint, set and scale."
    )
    return said


def calibration_headline(rows: Sequence[CalibrationRow]) -> str:
    """The most and the least calibrated case in one line."""
    chosen = [row for row in rows if row.view == "is_it_valid" and row.ece.value is not None]
    best, worst = (pick(chosen, key=lambda row: row.ece.value or 0.0) for pick in (min, max))
    return (
        f"Confidence that an answer is valid is off by {percent(best.ece.value)} on {SET_TITLES[best.question_set]} "
        f"({best.checkpoint}) and by {percent(worst.ece.value)} on {SET_TITLES[worst.question_set]} "
        f"({worst.checkpoint}), on average."
    )


def calibration_sentences(rows: Sequence[CalibrationRow]) -> list[str]:
    """Overall confidence, and what fine-tuning changed."""
    said, told = [], {"known_answers"}  # there no single wording is the right one
    for row in rows:
        if row.view == "likeliest" and row.question_set not in told:
            told.add(row.question_set)
            gap = (row.confidence.value or 0.0) - (row.accuracy.value or 0.0)
            how = "over-confident" if gap > 0 else "under-confident"
            said.append(
                f"{SET_TITLES[row.question_set]}, {row.checkpoint}: {percent(row.confidence.value)} sure of its "
                f"likeliest listed answer, which is valid for {percent(row.accuracy.value)} of {row.n_questions} "
                f"questions: {how}."
            )
    changes = [row for row in rows if row.view == "is_it_valid" and row.ece_change_p is not None]
    moved = [row for row in changes if (row.ece_change_p or 0.0) < LEVEL]
    worse = sum((row.ece_change.value or 0.0) > 0 for row in moved)
    if changes:
        against = ", ".join(dict.fromkeys(row.compared_with or "" for row in changes))
        said.append(
            f"Against {against}, calibration of judging (ECE) is worse in {worse}, better in {len(moved) - worse} of "
            f"{len(changes)} comparisons of a fine-tuned model on a question set (p below {LEVEL:g} after Holm's "
            f"correction for all {len(changes)})."
        )
    return said


def _main(rows: Sequence[IivRow]) -> list[IivRow]:
    return [row for row in rows if row.scale == MAIN_SCALE]


def _times(row: IivRow) -> str:
    return f"{row.own_ratio.value:.2f} times as many errors"


def _demand(row: IivRow) -> str:
    """What Theorem 1 asks for, in the better of its two forms."""
    best = max(value for value in (row.bound.value, row.sharp_bound.value, 0.0) if value is not None)
    if best == 0:
        return "Theorem 1 asks for nothing here."
    return f"Theorem 1 asks for at least {percent(best)}."


def shown_view(question_set: str) -> str:
    """The view of calibration to be drawn for a question set."""
    # where every wording is one answer, the likeliest wording is valid more often than it is likely
    return "is_it_valid" if question_set == "known_answers" else "likeliest"


def sets_sentences(rows: Sequence[IivRow]) -> list[str]:
    sets = dict.fromkeys(row.question_set for row in rows)
    return [
        "Every question weighs the same. What is judged: "
        + "; ".join(CANDIDATE_SETS[name] for name in sets)
        + "."
    ]
