"""What the Coins tab says: the verdict on chosen coins, and how far a training has come."""

from collections.abc import Sequence

from hallulab.densities.hcdr import Verdict
from hallulab.experiments.coin_run import CoinPoint, CoinStep
from hallulab.experiments.coin_summary import CoinResult, OverRounds, SummaryRow, summary_table
from hallulab.reports.coin_words import ANSWER_TITLES, estimator_title
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.reports.numbers import between, decimal, percent
from hallulab.scoring.coins import EstimatorVerdict
from hallulab.ui.parts.coin_tables import gap, measured, number, table_html
from hallulab.ui.parts.progress import progress_card
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
        first = f"{best}, which comes up {_percent(mean.conditional_probability)} of the time."
    second = (
        f"No answer is right more often than {_heads(mode.answer)}: {_percent(mode.conditional_probability)}."
    )
    if mode.verdict.is_hallucination:
        second += " Even that is not above the line, so here every answer is a hallucination."
    return f"{first} {second}"


def estimator_table(estimators: Sequence[EstimatorVerdict]) -> str:
    """Answer, probability and verdict of every estimator."""
    rows = [
        [
            f"{estimator_title(estimator.name)}:<br><b>{_heads(estimator.answer)}</b>",
            _percent(estimator.conditional_probability),
            _short_pill(estimator.verdict),
        ]
        for estimator in estimators
    ]
    return table_html(("answer", "right", "verdict"), rows)


def result_card(result: CoinResult) -> str:
    """What was learned, in two sentences that need no other."""
    row = summary_table([result])[0]
    right, halluc = row.conditional_probability_data_law, row.hallucination_rate
    opening = _opening(result)
    if row.epoch is None:
        return _card(f"{opening} No epoch is finished in every round, so there is nothing to compare yet.")
    if right.mean is None or halluc.mean is None:
        return _card(f"{opening} The network’s answers are not numbers any more: lower the learning rate.")
    learned = (
        f"{opening} The network’s answer is right <b>{percent(right.mean)}</b> of the time{_spread(right)}; "
        f"on the same flips no answer is right more than {percent(row.best_conditional_probability.mean)}."
    )
    if halluc.mean == halluc.exact == 0:
        return _card(f"{learned} None of its answers falls below this line: raise δ to see that change.")
    return _card(
        f"{learned} It hallucinates in <b>{percent(halluc.mean)}</b> of its answers{_spread(halluc)}; "
        f"trained to perfection it would in {percent(halluc.exact)}."
    )


def result_table(result: CoinResult) -> str:
    """The network beside what its objective can reach at best, with the gap, for each way to answer."""
    rows: list[list[str]] = []
    summary = [row for row in summary_table([result]) if row.epoch is not None]
    for row in summary:
        if len(summary) > 1:
            rows.append([f"Answering with <b>{ANSWER_TITLES[row.answer]}</b>"])
        quantities = [
            ("right", row.conditional_probability_data_law, True),
            ("hallucinates", row.hallucination_rate, True),
            ("squared error", row.squared_error, False),
        ]
        if result.settings.choices.law == "shifted":
            quantities.insert(1, ("right, by the public code’s law", row.conditional_probability, True))
        rows += [
            [
                title,
                measured(over, as_percent=as_percent),
                number(over.exact, as_percent=as_percent),
                gap(over.gap, as_percent=as_percent),
            ]
            for title, over, as_percent in quantities
        ]
    if not summary:
        return ""
    header = ("", "network", "perfect", "gap")
    return table_html(header, rows) + _table_note(summary[0])


def training_card(result: CoinResult, event: CoinStep | CoinPoint) -> str:
    """Where a running training is, and up to where its rounds can be compared."""
    settings = result.settings
    epoch = min(event.epoch, settings.epochs)
    rounds = "" if settings.rounds == 1 else f", {settings.rounds} rounds at once"
    loss = "" if event.train_loss is None else f", loss {event.train_loss:.3f}"
    is_shared = len(result.started_seeds) == settings.rounds and result.last_epoch is not None
    finished = f"; every round has finished {result.last_epoch}" if rounds and is_shared else ""
    return progress_card(
        f"Epoch {epoch:.1f} of {settings.epochs}{rounds}{loss}{finished}",
        round(10 * epoch),
        10 * settings.epochs,
    )


def _opening(result: CoinResult) -> str:
    settings, seeds = result.settings, result.started_seeds
    rounds = "" if settings.rounds == 1 else f", {settings.rounds} rounds"
    if result.last_epoch == settings.epochs and len(seeds) == settings.rounds:
        return f"Trained {settings.epochs} {'epoch' if settings.epochs == 1 else 'epochs'}{rounds}."
    return f"Stopped after {result.reached_epoch:.2g} of {settings.epochs} epochs{rounds}."


def _spread(over: OverRounds) -> str:
    """The interval over rounds as an aside."""
    if over.low is None:
        return ""
    if over.low == over.high:
        return " in every round"
    return f" ({between(over.low, over.high, as_percent=True)})"


def _table_note(row: SummaryRow) -> str:
    rounds = (
        "one round: no interval"
        if row.n_rounds == 1
        else f"mean and 95 % interval over {row.n_rounds} rounds"
    )
    together = row.spearman
    if together.mean is None:
        moved = "The loss or P(right) stood still, so they have no rank correlation."
    else:
        moved = (
            f"Rank correlation of training loss and P(right) over the epochs: {decimal(together.mean, 2)}"
            f"{_plain_spread(together)}; −1 would mean that less loss always brings more right answers."
        )
    missing = f" {row.n_missing:,} answers were not numbers and are left out." if row.n_missing else ""
    return (
        f'<p class="hl-note">{row.n_flips_scored:,} flips kept from training, {rounds}. <b>Perfect</b>: the '
        f"exact values of a network that has nothing left to learn from this objective.{missing} {moved}</p>"
    )


def _plain_spread(over: OverRounds) -> str:
    if over.low is None or over.high is None:
        return ""
    return f" ({decimal(over.low, 2)} to {decimal(over.high, 2)})"


def _card(sentence: str) -> str:
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{NEUTRAL}">'
        f'<p class="hl-sentence">{sentence}</p></div>'
    )


def _short_pill(verdict: Verdict) -> str:
    """A pill that leaves room for the rest of its row on a phone."""
    text, tone = ("✕ hallucination", OUTSIDE) if verdict.is_hallucination else ("✓ plausible", INSIDE)
    return f'<span class="hl-pill" style="--hl-tone:{tone}">{text}</span>'


def _heads(count: float) -> str:
    return f"{count:.4g} {'head' if count == 1 else 'heads'}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"
