"""What the Coins tab says of a training: how far it is, and what its networks reach, beside the exact truth."""

from collections.abc import Sequence

from hallulab.experiments.coin_events import CoinMoment, CoinStep
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow, summary_table
from hallulab.reports.coin_claim_words import claim_sentences
from hallulab.reports.coin_numbers import value_words, with_spread
from hallulab.reports.coin_words import ANSWER_TITLES, listed, rule_title
from hallulab.reports.figures import NEUTRAL
from hallulab.reports.numbers import MISSING, percent
from hallulab.ui.parts.coin_network import Results
from hallulab.ui.parts.coin_tables import beside_perfect, measured, table_html
from hallulab.ui.parts.progress import idle_card, progress_card


def training_card(results: Results, event: CoinStep | CoinMoment, n_runs: int) -> str:
    """Where a running training is, and up to where its rounds can be compared.

    Args:
        results: so far, the running one last.
        event: its latest.
        n_runs: how many there will be.
    """
    settings = results[-1].settings
    epoch = min(event.epoch, settings.epochs)
    which = f"N = {settings.coins_per_draw} ({len(results)} of {n_runs}): " if n_runs > 1 else ""
    rounds = "" if settings.rounds == 1 else f", {settings.rounds} rounds at once"
    loss = "" if event.train_loss is None else f", loss {event.train_loss:.3f}"
    last = results[-1].last_epoch
    is_shared = len(results[-1].started_seeds) == settings.rounds and last is not None
    finished = f"; every round has finished {last}" if rounds and is_shared else ""
    return progress_card(
        f"{which}Epoch {epoch:.1f} of {settings.epochs}{rounds}{loss}{finished}",
        round(10 * (epoch + (len(results) - 1) * settings.epochs)),
        10 * settings.epochs * n_runs,
    )


def ended_card(results: Results, n_runs: int) -> str:
    """What was trained, once nothing trains any more."""
    if not any(result.moments for result in results):
        return idle_card("Stopped before the first step.")
    settings = results[-1].settings
    sizes = listed([str(result.settings.coins_per_draw) for result in results])
    rounds = "" if settings.rounds == 1 else f", {settings.rounds} rounds"
    whole = all(_is_finished(result) for result in results) and len(results) == n_runs
    if whole:
        each = " each" if n_runs > 1 else ""
        epochs = f"{settings.epochs} {'epoch' if settings.epochs == 1 else 'epochs'}"
        return idle_card(f"Trained {epochs}{rounds}{each}: N = {sizes}.")
    return idle_card(
        f"Stopped after {results[-1].reached_epoch:.2g} of {settings.epochs} epochs{rounds}: N = {sizes}. "
        "What exists stays."
    )


def summary_html(results: Results) -> str:
    """The point in a few sentences, then networks beside what they can reach; empty before an epoch ends."""
    ended = [result for result in results if result.last_epoch]
    if not ended:
        return ""
    rows = summary_table(ended)
    card = (
        f'<div class="hl-card" role="status" style="--hl-tone:{NEUTRAL}">'
        f'<p class="hl-sentence">{summary_sentence(ended[-1], rows)}</p></div>'
    )
    return card + (_one_run(ended[0], rows) if len(ended) == 1 else _side_by_side(rows))


def summary_sentence(result: CoinResult, rows: Sequence[SummaryRow]) -> str:
    """What one run, the last one, shows."""
    row = next(row for row in rows if row.coins_per_draw == result.settings.coins_per_draw)
    right, rate, unrounded = (
        row.conditional_probability_data_law,
        row.hallucination_rate,
        row.impossible_share,
    )
    if right.mean is None or rate.mean is None:
        return "The network’s answers are not numbers any more: lower the learning rate."
    of_n = f"N = {row.coins_per_draw}: " if len({row.coins_per_draw for row in rows}) > 1 else ""
    first = (
        ""
        if unrounded.exact is None or unrounded.mean is None
        else f"As they come out of the network, <b>{percent(unrounded.mean)}</b> of its answers are numbers of heads "
        "that "
        f"can never happen ({percent(unrounded.exact)} for the exact minimiser). "
    )
    best = percent(row.best_conditional_probability)
    second = (
        f"{'Rounded, it' if first else 'It'} is right <b>{percent(right.mean)}</b> of the time; no answer can be "
        "right more "
        f"than {best}. "
    )
    line = rule_title(result.settings)
    if rate.mean == rate.exact == 0:
        third = f"At {line} rounding repairs all of it: raise the line to see where that ends."
    else:
        third = (
            f"At {line}, <b>{percent(rate.mean)}</b> of {'the rounded answers' if first else 'its answers'} "
            "hallucinate; "
            f"trained to perfection it would be {percent(rate.exact)}."
        )
    return f"{of_n}{first}{second}{third}"


def _one_run(result: CoinResult, rows: Sequence[SummaryRow]) -> str:
    cells: list[list[str]] = []
    for row in rows:
        if len(rows) > 1:
            cells.append([f"Answering with <b>{ANSWER_TITLES[row.answer]}</b>"])
        quantities = [
            ("right", row.conditional_probability_data_law, True),
            ("hallucinates", row.hallucination_rate, True),
            ("squared error", row.squared_error, False),
        ]
        if row.impossible_share.exact is not None:
            quantities.insert(0, ("before rounding: cannot happen", row.impossible_share, True))
        if result.settings.choices.law == "shifted":
            quantities.insert(-2, ("right, by the public code’s law", row.conditional_probability, True))
        cells += [
            [
                title,
                measured(over, as_percent=as_percent),
                value_words(over.exact, as_percent=as_percent),
                value_words(over.gap, as_percent=as_percent, signed=True),
            ]
            for title, over, as_percent in quantities
        ]
    return table_html(("", "network", "perfect", "gap"), cells) + _note(result, rows[0])


def _side_by_side(rows: Sequence[SummaryRow]) -> str:
    header = ("", "before rounding: cannot happen", "right", "hallucinates", "squared error")
    cells = [
        [
            f"<b>N = {row.coins_per_draw}</b>"
            f"{f'<br>{ANSWER_TITLES[row.answer]}' if row.answer in ANSWER_TITLES else ''}",
            beside_perfect(row.impossible_share, as_percent=True)
            if row.impossible_share.exact is not None
            else MISSING,
            *(
                beside_perfect(over, as_percent=as_percent)
                for over, as_percent in (
                    (row.conditional_probability_data_law, True),
                    (row.hallucination_rate, True),
                    (row.squared_error, False),
                )
            ),
        ]
        for row in rows
    ]
    return table_html(header, cells) + f'<p class="hl-note">{_what_it_is(*rows)}</p>'


def _note(result: CoinResult, row: SummaryRow) -> str:
    held_out = with_spread(row.held_out_conditional_probability_data_law, as_percent=True)
    missing = (
        f" {row.n_draws_missing:,} answers were not numbers and are left out." if row.n_draws_missing else ""
    )
    left_out = (
        f" {len(result.left_out_seeds)} rounds did not finish and are left out."
        if result.left_out_seeds
        else ""
    )
    return (
        f'<p class="hl-note">{_what_it_is(row)}{missing}{left_out} On {row.n_flips_scored:,} flips kept from training, '
        f"as the paper scores, it is right {held_out}.</p>"
        f'<p class="hl-note">{" ".join(claim_sentences(row.claim)[:2])}</p>'
    )


def _what_it_is(*rows: SummaryRow) -> str:
    row, counts = rows[0], listed([f"{n:,}" for n in dict.fromkeys(row.n_draws for row in rows)])
    rounds = "One round" if row.n_rounds == 1 else f"Mean of {row.n_rounds} rounds with its 95 % interval"
    draws = (
        f"a sample of {counts} draws"
        if row.hallucination_rate.draws_low is not None
        else f"all {counts} draws, with no noise of flips"
    )
    return (
        f"{rounds}, computed over {draws}. <b>Perfect</b>: a network that has learned all but the last digit of what "
        "minimises its loss."
    )


def _is_finished(result: CoinResult) -> bool:
    return len(result.finished_seeds) == result.settings.rounds
