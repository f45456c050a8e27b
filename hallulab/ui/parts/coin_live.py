"""What the page does to train networks: settings from the page, frames while it runs, what is left at its end."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from hallulab.data.coins import check_whole
from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_run import CoinPoint, CoinSettings
from hallulab.experiments.coin_summary import CoinResult
from hallulab.experiments.coins import coin_truth, run_coins
from hallulab.records import as_plain
from hallulab.reports.coin_figures import training_figure
from hallulab.scoring.coins import CoinRule
from hallulab.ui.parts.coin_cards import result_card, result_table, training_card
from hallulab.ui.parts.coin_files import exports_enabled
from hallulab.ui.parts.coin_runs import Runs, remembered, shown_runs
from hallulab.ui.parts.controls import shown_plot, stop_enabled
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import Session

MAX_SHOWN_COINS = 8
"""the largest N whose 2N coins fit on a small screen"""
MAX_TRAINED_COINS, MAX_TRAINED, MAX_STEPS = MAX_SHOWN_COINS, 5_000_000, 65_000
"""coins per draw, flips × epochs × rounds, and those per batch, that one visitor may train with; the paper's
largest run, M = 40,000, is allowed"""
TRAINING_FIELDS = (
    "coins_per_draw", "flips", "epochs", "batch_size", "learning_rate", "rounds", "seed", "variant", "objective",
)  # fmt: skip
"""settings in the order in which the page sends them"""
SECONDS_PER_FRAME = 0.7
"""how often the curves are drawn anew while training"""
NOT_TRAINED = "Not trained yet: press “Train live”."


def train_live(session: Session, rule: CoinRule, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Train and yield (card, figure, result); closing it stops it, and the last result is what exists.

    Args:
        rule: what counts as a hallucination.
        values: what the visitor set, in the order of `TRAINING_FIELDS`.
    """
    with shown_to_visitor():
        settings = visitor_settings(rule, **dict(zip(TRAINING_FIELDS, values, strict=True)))
        with session.engine.enter("coins") as ticket:
            for position in ticket.positions():
                yield progress_card(f"Waiting: {position} in front of you."), gr.skip(), gr.skip()
            yield from _frames(settings)


def visitor_settings(rule: CoinRule, **values: Any) -> CoinSettings:
    """Settings from what a visitor sent; refused when they would hold the device for long."""
    check_whole("coins per draw on this page", values["coins_per_draw"], 1, MAX_TRAINED_COINS)
    # JSON and sliders may write a whole number as 2.0
    whole: dict[str, Any] = {
        name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in values.items()
    }
    settings = CoinSettings(**whole, delta=rule.delta, hdr_mass=rule.hdr_mass)
    n_trained = settings.flips * settings.epochs * settings.rounds
    for n, most, what in (
        (n_trained, MAX_TRAINED, "flips × epochs × rounds"),
        (n_trained // settings.batch_size, MAX_STEPS, "flips × epochs × rounds / batch size"),
    ):
        if n > most:
            raise RefusedInputError(
                f"expected at most {most:,} {what} on this page, got {n:,}: lower one, or use the command line"
            )
    return settings


def settled(result: CoinResult | None, runs: Runs) -> tuple[Any, ...]:
    """After the last step or a Stop: what was trained stays, and joins the runs of this visit.

    Returns: card, figure, Stop, table, record, runs, table and picture of the runs, their clear button, export buttons.
    """
    if result is None or not result.points:
        card = idle_card("Stopped before the first step.")
        return (
            card,
            gr.skip(),
            stop_enabled(False),
            "",
            None,
            runs,
            *shown_runs(runs),
            *exports_enabled(False),
        )
    runs = remembered(runs, result)
    # a run that was stopped fills the figure with what exists
    reached = max(point.epoch for point in result.points)
    figure = training_figure([result]).update_xaxes(range=[0, reached or result.settings.epochs])
    return (
        result_card(result), shown_plot(figure), stop_enabled(False), result_table(result),
        as_plain(result.to_json()), runs, *shown_runs(runs), *exports_enabled(True),
    )  # fmt: skip


def paper_numbers() -> tuple[int, int, float, int]:
    """Epochs, batch size, learning rate and rounds of the paper."""
    paper = CoinSettings().as_in_paper()
    return paper.epochs, paper.batch_size, paper.learning_rate, paper.rounds


def _frames(settings: CoinSettings) -> Iterator[tuple[Any, ...]]:
    points: list[CoinPoint] = []
    exact = coin_truth(settings)
    drawn_at = -SECONDS_PER_FRAME
    for event in run_coins(settings):
        if isinstance(event, CoinPoint):
            points.append(event)
        if points and time.monotonic() - drawn_at >= SECONDS_PER_FRAME:
            result = CoinResult(settings, tuple(points), exact)
            yield training_card(result, event), shown_plot(training_figure([result])), result
            drawn_at = time.monotonic()
    result = CoinResult(settings, tuple(points), exact)
    yield result_card(result), shown_plot(training_figure([result])), result
