"""What a coin run found, in sentences that its numbers make true."""

from collections.abc import Iterator, Sequence

from hallulab.experiments.coin_over_rounds import OverRounds
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow
from hallulab.reports.coin_claim_words import claim_sentences
from hallulab.reports.coin_numbers import spread_words
from hallulab.reports.coin_words import (
    ANSWER_TITLES,
    estimator_title,
    listed,
    objective_title,
    rule_title,
)
from hallulab.reports.numbers import decimal, percent
from hallulab.scoring.coin_exact import exact_estimator

AS_GOOD_AS_EXACT, NEARLY_EXACT = 1.01, 1.1
"""expected loss over the least possible, below which it counts as learned"""


def run_headline(rows: Sequence[SummaryRow]) -> str:
    """One line about a run.

    Args:
        rows: its summary, the answer that curves show first; none before anything was scored.
    """
    if not rows or rows[0].epoch is None:
        return "no epoch finished"
    first = rows[0]
    right = first.conditional_probability_data_law.mean
    if right is None:
        return "no answer is a number"
    before = (
        ""
        if not first.impossible_share.mean
        else f"before rounding, {percent(first.impossible_share.mean)} of its outputs cannot happen; "
    )
    return (
        f"{before}right {percent(right)} of the time (best possible: {percent(first.best_conditional_probability)}); "
        f"hallucinations: {percent(first.hallucination_rate.mean)}"
    )


def run_sentences(result: CoinResult, rows: Sequence[SummaryRow]) -> list[str]:
    """One run for somebody who knows no statistics.

    Args:
        result: the run.
        rows: its summary, the answer that curves show first.
    """
    if result.last_epoch is None:
        return ["No epoch was finished in this run, so there is nothing to compare yet."]
    first = rows[0]
    sentences = [*_progress(result), *_sample(result, first), _learned(result, first)]
    if first.conditional_probability_data_law.mean is None:
        return sentences
    return [
        *sentences,
        *_before_rounding(first),
        _right(first),
        *_hallucinates(result, first),
        *_public_law(result, first),
        *claim_sentences(first.claim),
        *(_other_answer(row) for row in rows[1:]),
        _held_out(first),
        *_missing(first),
    ]


def _progress(result: CoinResult) -> Iterator[str]:
    settings, n_started = result.settings, len(result.started_seeds)
    if n_started < settings.rounds:
        yield f"Of {settings.rounds} rounds asked for, {n_started} {_have(n_started)} begun."
    if result.left_out_seeds:
        one = len(result.left_out_seeds) == 1
        yield (
            f"{'The round' if one else 'The rounds'} with seed {listed([str(seed) for seed in result.left_out_seeds])} "
            f"did not finish, and {'is' if one else 'are'} left out of every number here."
        )
    if result.last_epoch is not None and result.last_epoch < settings.epochs:
        yield (
            f"Training was stopped: the numbers here are after epoch {result.last_epoch} of "
            f"{settings.epochs}, the last that every begun round finished."
        )


def _sample(result: CoinResult, row: SummaryRow) -> Iterator[str]:
    if row.hallucination_rate.draws_low is not None:
        yield (
            "There are too many draws to ask a network for all of them, so its numbers are estimates from "
            f"{row.n_draws:,} "
            f"draws made at random, the same at every moment (N = {result.settings.coins_per_draw})."
        )


def _learned(result: CoinResult, row: SummaryRow) -> str:
    """How near the network is to the best that its objective allows."""
    loss, least = row.expected_loss, row.expected_loss.exact
    if loss.mean is None or least is None:
        return (
            "The network's outputs are not numbers any more, so none of its answers can be scored: "
            "train it again with a lower learning rate."
        )
    if loss.mean <= AS_GOOD_AS_EXACT * least:
        how = "learned its task as well as can be"
    elif loss.mean <= NEARLY_EXACT * least:
        how = "learned its task almost as well as can be"
    else:
        how = "has not learned its task yet"
    answer = ANSWER_TITLES.get(row.answer)
    given = f" It answers with {answer}." if answer else ""
    return (
        f"The network {how}: its expected loss ({objective_title(result.settings.objective)}) is {decimal(loss.mean)}, "
        f"and nothing can have less than {decimal(least)}.{given}"
    )


def _before_rounding(row: SummaryRow) -> Iterator[str]:
    """The A* of Def. 4.2 as it comes out of the network."""
    share, far = row.impossible_share, row.far_share
    if share.mean is None or share.exact is None:
        return
    yield (
        f"As it comes out of the network, before any rounding, its output is a number of heads that cannot happen in "
        f"{percent(share.mean)} of the draws{_spread(share)}, and further than a twentieth of a head from every count "
        "that can "
        f"in {percent(far.mean)}. The exact minimiser of the same loss: {percent(share.exact)} and "
        f"{percent(far.exact)}."
    )


def _right(row: SummaryRow) -> str:
    right = row.conditional_probability_data_law
    return (
        f"Its answer is right {percent(right.mean)} of the time{_spread(right)}; no answer can be right more often "
        "than "
        f"{percent(row.best_conditional_probability)} of the time."
    )


def _hallucinates(result: CoinResult, row: SummaryRow) -> Iterator[str]:
    settings = result.settings
    rate, what = row.hallucination_rate, estimator_title(
        exact_estimator(settings.objective, row.answer, settings.choices.rounding)
    )  # fmt: skip
    meaning = (
        f"has a probability of at most {rule_title(settings)}"
        if settings.delta is not None
        else f"is outside the likeliest counts that hold {percent(settings.hdr_mass)} of the flips"
    )
    yield f"{percent(rate.mean)} of its answers hallucinate{_spread(rate)}: such an answer {meaning}."
    yield f"With no network at all, the exact answer ({what}) hallucinates in {percent(rate.exact)} of the draws."


def _public_law(result: CoinResult, row: SummaryRow) -> Iterator[str]:
    if result.settings.choices.law == "shifted":
        reported = row.conditional_probability
        yield (
            "The public code scores the same answers with every coin one step too low, "
            f"and so would report {percent(reported.mean)}{_spread(reported)}."
        )


def _other_answer(row: SummaryRow) -> str:
    right, rate = row.conditional_probability_data_law, row.hallucination_rate
    return (
        f"Answering with {ANSWER_TITLES.get(row.answer, row.answer)} instead, the same network is right "
        f"{percent(right.mean)} of the time{_spread(right)} and hallucinates in {percent(rate.mean)} of its answers"
        f"{_spread(rate)}."
    )


def _held_out(row: SummaryRow) -> str:
    """The paper's way to score, beside the exact numbers."""
    return (
        f"Scored on {row.n_flips_scored:,} flips kept from training, as the paper does, the answers are right "
        f"{percent(row.held_out_conditional_probability_data_law.mean)} of the time: the same networks, with the noise "
        "of these flips."
    )


def _missing(row: SummaryRow) -> Iterator[str]:
    if row.n_draws_missing:
        n_all = row.n_draws * row.n_rounds
        yield f"{row.n_draws_missing:,} of {n_all:,} answers were not numbers; they are left out of every rate."


def _spread(over: OverRounds) -> str:
    """In brackets, or that there is none."""
    words = spread_words(over, as_percent=True)
    if not words:
        return ""
    if over.n_rounds == 1:
        return " (one round, so no interval)"
    return f" (95 % interval {words})" if over.low is not None else f" ({words})"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"
