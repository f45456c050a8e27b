"""What a coin run found, in sentences that its numbers make true."""

from collections.abc import Iterator, Sequence

import numpy as np

from hallulab.experiments.coin_run import CoinPoint
from hallulab.experiments.coin_summary import CoinResult, OverRounds, SummaryRow
from hallulab.reports.coin_words import ANSWER_TITLES, estimator_title, objective_title, short_way_title
from hallulab.reports.numbers import between, decimal, percent
from hallulab.scoring.coin_exact import exact_estimator

AS_GOOD_AS_EXACT, NEARLY_EXACT = 1.01, 1.1
"""squared error over that of the exact average on the same flips, below which it counts as learned"""
NO_CHANGE = 5e-4
"""changes that three decimals do not show"""


def run_headline(rows: Sequence[SummaryRow]) -> str:
    """One line about a run.

    Args:
        rows: its summary, the answer that curves show first; none before anything was scored.
    """
    if not rows or rows[0].epoch is None:
        return "no epoch finished"
    right, best = rows[0].conditional_probability_data_law.mean, rows[0].best_conditional_probability.mean
    if right is None:
        return "no answer is a number"
    return (
        f"right {percent(right)} of the time (best possible: {percent(best)}); "
        f"hallucinations: {percent(rows[0].hallucination_rate.mean)}"
    )


def run_sentences(result: CoinResult, rows: Sequence[SummaryRow]) -> list[str]:
    """One run for somebody who knows no statistics.

    Args:
        result: the run.
        rows: its summary, the answer that curves show first.
    """
    if result.last_epoch is None:
        return ["No epoch was finished in this run, so there is nothing to compare yet."]
    points, first = result.last_points(), rows[0]
    sentences = [*_progress(result), *_learned(result, points)]
    if first.conditional_probability_data_law.mean is None:
        return sentences
    return [
        *sentences,
        _right(first),
        *_hallucinates(result, first),
        *_public_law(result, first),
        *_change(result),
        _correlation(result, first.spearman),
        *(_other_answer(row) for row in rows[1:]),
        *_missing(first),
    ]


def objective_sentences(rows: Sequence[SummaryRow]) -> list[str]:
    """Whether any way to train and answer lowers hallucination without losing accuracy, compared on the same flips.

    Args:
        rows: of one N, each with its difference to the reference; those without one are left out.
    """
    compared = [row for row in rows if row.hallucination_rate_difference and row.squared_error_difference]
    if not compared:
        return []
    judged = [(row, *_effects(row)) for row in compared]
    better = [_short(row) for row, rate, error in judged if rate == "lower" and error in ("same", "lower")]
    paid = [_short(row) for row, rate, error in judged if rate == "lower" and error == "higher"]
    worse = [_short(row) for row, rate, _ in judged if rate == "higher"]
    same = [_short(row) for row, rate, _ in judged if rate == "same"]
    unknown = [_short(row) for row, rate, error in judged if "unknown" in (rate, error)]
    sentences = []
    if better:
        sentences.append(
            f"Hallucinates less than squared error, with no measurable loss of accuracy: {_listed(better)}."
        )
    elif not unknown:
        sentences.append("Nothing here hallucinates less than squared error without losing accuracy.")
    if paid:
        sentences.append(f"Hallucinates less, and pays with a larger squared error: {_listed(paid)}.")
    if worse:
        sentences.append(f"Hallucinates more: {_listed(worse)}.")
    if same:
        sentences.append(f"No measurable difference in hallucination: {_listed(same)}.")
    if unknown:
        sentences.append(f"Too few rounds to tell: {_listed(unknown)}.")
    return sentences


def _effects(row: SummaryRow) -> tuple[str, str]:
    """Direction of the hallucination rate and of the squared error against the reference."""
    return _direction(row.hallucination_rate_difference), _direction(row.squared_error_difference)


def _direction(difference: OverRounds | None) -> str:
    """Lower or higher where the 95 % interval excludes 0."""
    if difference is None or difference.low is None or difference.high is None:
        return "unknown"
    if difference.high < 0:
        return "lower"
    return "higher" if difference.low > 0 else "same"


def _progress(result: CoinResult) -> Iterator[str]:
    settings, n_started = result.settings, len(result.started_seeds)
    if n_started < settings.rounds:
        yield f"Of {settings.rounds} rounds asked for, {n_started} {_have(n_started)} begun."
    if result.last_epoch is not None and result.last_epoch < settings.epochs:
        yield (
            f"Training was stopped: the numbers here are after epoch {result.last_epoch} of "
            f"{settings.epochs}, the last that every begun round finished."
        )


def _learned(result: CoinResult, points: Sequence[CoinPoint]) -> Iterator[str]:
    """How near the network is to the best that its objective allows, for squared error; else what it was trained on."""
    losses = [point.validation_loss for point in points if point.validation_loss is not None]
    if not losses:
        yield (
            "The network's outputs are not numbers any more, so none of its answers can be scored: "
            "train it again with a lower learning rate."
        )
        return
    if result.settings.objective != "squared_error":
        answer = ANSWER_TITLES.get(result.answers[0])
        given = f" and answers with {answer}" if answer else ""
        yield f"The network was trained to minimise {objective_title(result.settings.objective)}{given}."
        return
    loss = float(np.mean(losses))
    exact = float(
        np.mean([point.bayes_mean_squared_error for point in points if point.validation_loss is not None])
    )
    if loss <= AS_GOOD_AS_EXACT * exact:
        how = "The network learned the average as well as can be"
    elif loss <= NEARLY_EXACT * exact:
        how = "The network learned the average almost as well as can be"
    else:
        how = "The network has not learned the average yet"
    yield (
        f"{how}: on flips kept from training its prediction has squared error {decimal(loss)}, "
        f"the exact average {decimal(exact)}."
    )


def _right(row: SummaryRow) -> str:
    right, best = row.conditional_probability_data_law, row.best_conditional_probability
    return (
        f"Its answer is right {percent(right.mean)} of the time{_interval(right)}; on the same flips no answer "
        f"can be right more often than {percent(best.mean)} of the time."
    )


def _hallucinates(result: CoinResult, row: SummaryRow) -> Iterator[str]:
    settings = result.settings
    rate, what = row.hallucination_rate, estimator_title(
        exact_estimator(settings.objective, row.answer, settings.choices.rounding)
    )  # fmt: skip
    meaning = (
        f"has a probability of at most δ = {settings.delta:g}"
        if settings.delta is not None
        else f"is outside the likeliest counts that hold {percent(settings.hdr_mass)} of the flips"
    )
    yield f"{percent(rate.mean)} of its answers hallucinate{_interval(rate)}: such an answer {meaning}."
    if settings.objective == "squared_error":
        unrounded = result.exact["bayes_mean"]["hallucination_rate"]
        rounded = {"nearest": "rounded", "ceil": "rounded up"}[settings.choices.rounding]
        yield (
            "With no network at all, the exact average, which no answer beats in squared error, hallucinates in "
            f"{percent(unrounded)} of the draws as it is, and in {percent(rate.exact)} once it is {rounded}."
        )
    else:
        yield f"With no network at all, the exact answer ({what}) hallucinates in {percent(rate.exact)} of the draws."


def _public_law(result: CoinResult, row: SummaryRow) -> Iterator[str]:
    if result.settings.choices.law == "shifted":
        reported = row.conditional_probability
        yield (
            "The public code scores the same answers with every coin one step too low, "
            f"and so would report {percent(reported.mean)}{_interval(reported)}."
        )


def _change(result: CoinResult) -> Iterator[str]:
    """Loss and probability from the end of epoch 1 to the last, over the rounds that have all four numbers."""
    last = result.last_epoch
    if last is None or last < 2:
        yield "With one finished epoch there is no change over the epochs to report."
        return
    found = []
    for seed in result.started_seeds:
        ends = {point.epoch: point for point in result.round_points(seed) if point.epoch in (1, last)}
        values = [
            getattr(ends.get(epoch), field, None)
            for field in ("train_loss", "conditional_probability_data_law")
            for epoch in (1, last)
        ]
        if None not in values:
            found.append(values)
    if not found:
        yield f"No round has both numbers after epoch 1 and epoch {last}, so no change can be reported."
        return
    loss_first, loss_last, right_first, right_last = np.mean(np.array(found, dtype=float), axis=0).tolist()
    yield (
        f"Between epoch 1 and {last} the training loss {_moved(loss_last - loss_first, loss_first, loss_last)}; "
        f"the chance of being right {_points_moved(right_last - right_first)}"
        f"{f' (means over {len(found)} rounds)' if len(found) > 1 else ''}."
    )


def _moved(change: float, first: float, last: float) -> str:
    if abs(change) < NO_CHANGE:
        return f"stayed at {decimal(last)}"
    return f"{'rose' if change > 0 else 'fell'} by {decimal(abs(change))} (from {decimal(first)} to {decimal(last)})"


def _points_moved(change: float) -> str:
    if abs(change) < NO_CHANGE:
        return "did not change"
    return f"{'rose' if change > 0 else 'fell'} by {decimal(100 * abs(change), 1)} percentage points"


def _correlation(result: CoinResult, spearman: OverRounds) -> str:
    scored = ", as the public code scores it," if result.settings.choices.law == "shifted" else ""
    name = f"The rank correlation (Spearman) of training loss and the chance of being right{scored} over the epochs"
    undefined = (
        f" In {spearman.n_missing} {_rounds(spearman.n_missing)} it is undefined, as one of the two stood still."
        if spearman.n_missing
        else ""
    )
    if spearman.mean is None:
        return f"{name} is undefined, as one of the two stood still or there are too few epochs."
    value = decimal(spearman.mean, 2)
    if spearman.low is None or spearman.high is None:
        return f"{name} is {value} in one round, which says nothing about other rounds.{undefined}"
    if spearman.high < 0:
        meaning = "less loss went with better answers"
    elif spearman.low > 0:
        meaning = "less loss went with worse answers"
    else:
        meaning = "the rounds show no clear relation"
    interval = f"{decimal(spearman.low, 2)} to {decimal(spearman.high, 2)}"
    return (
        f"{name} is {value} on average over {spearman.n_rounds} rounds, 95 % interval {interval}: "
        f"{meaning}.{undefined}"
    )


def _other_answer(row: SummaryRow) -> str:
    right, rate = row.conditional_probability_data_law, row.hallucination_rate
    return (
        f"Answering with {ANSWER_TITLES.get(row.answer, row.answer)} instead, the same network is right "
        f"{percent(right.mean)} of the time{_interval(right)} and hallucinates in {percent(rate.mean)} of its answers"
        f"{_interval(rate)}."
    )


def _missing(row: SummaryRow) -> Iterator[str]:
    if row.n_missing:
        n_all = row.n_flips_scored + row.n_missing
        yield f"{row.n_missing:,} of {n_all:,} answers were not numbers; they are left out of every rate."


def _interval(over_rounds: OverRounds) -> str:
    """In brackets, or that there is none."""
    if over_rounds.low is None or over_rounds.high is None:
        return " (one round, so no interval)" if over_rounds.n_rounds == 1 else ""
    return f" (95 % interval {between(over_rounds.low, over_rounds.high, as_percent=True)})"


def _short(row: SummaryRow) -> str:
    return short_way_title(row.objective, row.answer, row.variant)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _rounds(n: int) -> str:
    return "round" if n == 1 else "rounds"
