"""What the Coins tab says of the chosen coins: the verdict, the answers one by one, the network's among them."""

from collections.abc import Sequence

from hallulab.densities.hcdr import Verdict
from hallulab.reports.coin_words import estimator_title
from hallulab.reports.figures import INSIDE, OUTSIDE
from hallulab.reports.numbers import percent
from hallulab.scoring.coins import EstimatorVerdict
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.verdict import pill


def coins_card(estimators: Sequence[EstimatorVerdict]) -> str:
    """The verdict on the Bayes mean, in words a person who never saw a pmf understands."""
    verdict = estimators[0].verdict
    tone = OUTSIDE if verdict.is_hallucination else INSIDE
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}">{pill(verdict)}'
        f'<p class="hl-sentence">{coins_sentence(estimators)}</p></div>'
    )


def coins_sentence(estimators: Sequence[EstimatorVerdict]) -> str:
    """What the average answers, whether that can happen, and what the best answer would be."""
    by_name = {estimator.name: estimator for estimator in estimators}
    mean, mode = by_name["bayes_mean"], by_name["mode"]
    best = f"The best possible squared-error answer is {_heads(mean.answer)}"
    if mean.answer != int(mean.answer):
        first = f"{best}, which can never happen."
    else:
        first = f"{best}, which comes up {percent(mean.conditional_probability)} of the time."
    second = (
        f"No answer is right more often than {_heads(mode.answer)}: {percent(mode.conditional_probability)}."
    )
    if mode.verdict.is_hallucination:
        second += " Even that is not above the line, so here every answer is a hallucination."
    return f"{first} {second}"


def estimator_table(estimators: Sequence[EstimatorVerdict]) -> str:
    """Answer, probability and verdict of every estimator, and of a trained network where there is one."""
    rows = [
        [
            f"{estimator_title(estimator.name)}:<br><b>{_heads(estimator.answer)}</b>",
            percent(estimator.conditional_probability),
            _short_pill(estimator.verdict),
        ]
        for estimator in estimators
    ]
    return table_html(("answer", "right", "verdict"), rows)


def _short_pill(verdict: Verdict) -> str:
    """A pill that leaves room for the rest of its row on a phone."""
    text, tone = ("✕ hallucination", OUTSIDE) if verdict.is_hallucination else ("✓ plausible", INSIDE)
    return f'<span class="hl-pill" style="--hl-tone:{tone}">{text}</span>'


def _heads(count: float) -> str:
    return f"{count:.4g} {'head' if count == 1 else 'heads'}"
