"""What the Coins tab says: the verdict on chosen coins, and how far a training has come."""

from collections.abc import Sequence

from hallulab.densities.hcdr import Verdict
from hallulab.experiments.coins import CoinPoint, CoinResult, CoinSettings, CoinStep
from hallulab.reports.coin_figures import ESTIMATOR_TITLES
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.scoring.coins import EstimatorVerdict
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
    rows = "".join(
        f"<tr><td>{ESTIMATOR_TITLES[estimator.name]}:<br><b>{_heads(estimator.answer)}</b></td>"
        f"<td>{_percent(estimator.conditional_probability)}</td><td>{_short_pill(estimator.verdict)}</td></tr>"
        for estimator in estimators
    )
    return _table(("answer", "right", "verdict"), rows)


def result_card(result: CoinResult, opening: str) -> str:
    """What the latest round has reached, beside what can be reached on the same flips."""
    last = result.points[-1]
    if last.conditional_probability_data_law is None or last.hallucination_interval is None:
        sentence = "the network’s predictions are not numbers any more: lower the learning rate."
        return f'<div class="hl-card" role="status"><p class="hl-sentence">{opening} {sentence}</p></div>'
    low, high = last.hallucination_interval
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{NEUTRAL}"><p class="hl-sentence">{opening} '
        f"the network’s answer is right <b>{_percent(last.conditional_probability_data_law)}</b> of the time; "
        f"on the same flips no answer is right more than {_percent(last.best_conditional_probability)}. "
        f"Its squared error is {_decimal(last.validation_loss)}, the exact average’s "
        f"{_decimal(last.bayes_mean_loss)}. It hallucinates in {_percent(last.hallucination_rate)} of its answers "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %, n = {last.n:,}).</p></div>"
    )


def result_table(result: CoinResult) -> str:
    """Each round's last point, then the exact values of every estimator."""
    rows: list[tuple[str, float | None, float | None, float | None]] = [
        (
            f"network, seed {seed}",
            last.conditional_probability_data_law,
            last.hallucination_rate,
            last.validation_loss,
        )
        for seed in result.started_seeds
        for last in result.round_points(seed)[-1:]
    ]
    for name, title in ESTIMATOR_TITLES.items():
        exact = result.exact[name]
        rows.append(
            (
                f"exact: {title}",
                exact["conditional_probability"],
                exact["hallucination_rate"],
                exact["squared_error"],
            )
        )
    cells = "".join(
        f"<tr><td>{title}</td>" + "".join(f"<td>{_decimal(value)}</td>" for value in values) + "</tr>"
        for title, *values in rows
    )
    return _table(("answer", "right", "halluc.", "squared error"), cells)


def training_card(settings: CoinSettings, event: CoinStep | CoinPoint) -> str:
    """Where a running training is."""
    which = f"Round {event.seed - settings.seed + 1} of {settings.rounds}, " if settings.rounds > 1 else ""
    loss = "" if event.train_loss is None else f", loss {event.train_loss:.3f}"
    message = f"{which or 'Training: '}epoch {event.epoch:.1f} of {settings.epochs}{loss}"
    n_epochs_done = (event.seed - settings.seed) * settings.epochs + int(event.epoch)
    return progress_card(message, n_epochs_done, settings.rounds * settings.epochs)


def _short_pill(verdict: Verdict) -> str:
    """A pill that leaves room for the rest of its row on a phone."""
    text, tone = ("✕ hallucination", OUTSIDE) if verdict.is_hallucination else ("✓ plausible", INSIDE)
    return f'<span class="hl-pill" style="--hl-tone:{tone}">{text}</span>'


def _table(header: Sequence[str], rows: str) -> str:
    cells = "".join(f"<th>{title}</th>" for title in header)
    return (
        f'<div class="hl-scroll"><table class="hl-table"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _heads(count: float) -> str:
    return f"{count:.4g} {'head' if count == 1 else 'heads'}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
