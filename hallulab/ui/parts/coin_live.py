"""What the page does to train networks: settings from the page, frames while it runs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import torch

from hallulab.data.coins import check_whole
from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_result import coin_result, with_moments
from hallulab.experiments.coin_settings import PAPER_TRAINING, CoinSettings
from hallulab.experiments.coins import coin_grid, run_coins
from hallulab.scoring.coin_rule import CoinRule
from hallulab.ui.parts.coin_network import Results
from hallulab.ui.parts.coin_summaries import ended_card, training_card
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import progress_card
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
FIGURE_3_SIZES = (2, 3, 5)
FIGURE_3_QUICK: dict[str, Any] = {
    "flips": 20_000,
    "epochs": 10,
    "batch_size": 1024,
    "learning_rate": 1e-3,
    "rounds": 5,
}
"""about a minute on two cores: larger and longer steps than the paper's, a thirtieth as many"""
FIGURE_3_PAPER: dict[str, Any] = {"flips": 20_000} | dict(PAPER_TRAINING)
SECONDS_PER_FRAME = 0.7
"""how often the page hears of a training"""
NOT_TRAINED = "Not trained yet: press “Train live”, or see Figure 3."


def train_live(session: Session, rule: CoinRule, *values: Any) -> Iterator[tuple[str, Results]]:
    """Train one run and yield (card, results); closing it stops it, and the last results are what exists.

    Args:
        rule: what counts as a hallucination; the page may judge by another one at any time.
        values: what the visitor set, in the order of `TRAINING_FIELDS`.
    """
    with shown_to_visitor():
        settings = visitor_settings(rule, **dict(zip(TRAINING_FIELDS, values, strict=True)))
        yield from _trained(session, [settings])


def train_figure_3(
    session: Session, rule: CoinRule, as_in_paper: bool, seed: Any, variant: str, objective: str
) -> Iterator[tuple[str, Results]]:
    """The same for N = 2, 3 and 5, one after the other, as in Figure 3 of [LHZSL]."""
    with shown_to_visitor():
        numbers = FIGURE_3_PAPER if as_in_paper else FIGURE_3_QUICK
        grid = [
            visitor_settings(
                rule, coins_per_draw=n, seed=seed, variant=variant, objective=objective, **numbers
            )
            for n in FIGURE_3_SIZES
        ]
        yield from _trained(session, grid)


def visitor_settings(rule: CoinRule, **values: Any) -> CoinSettings:
    """Settings from what a visitor sent; refused when they would hold the device for long."""
    check_whole("coins per draw on this page", values["coins_per_draw"], 1, MAX_TRAINED_COINS)
    # JSON and sliders may write a whole number as 2.0
    whole: dict[str, Any] = {
        name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in values.items()
    }
    (settings,) = coin_grid(
        {
            name: value
            for name, value in whole.items()
            if name not in ("coins_per_draw", "variant", "objective")
        }
        | {"delta": rule.delta, "hdr_mass": rule.hdr_mass},
        coins_per_draw=(whole["coins_per_draw"],),
        variants=(whole["variant"],),
        objectives=(whole["objective"],),
    )
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


def training_device(session: Session) -> torch.device | str:
    """Where coin networks are trained: the engine's GPU, else the CPU, whose kernels their training is written for."""
    device = session.engine.device
    return device if device.type == "cuda" else "cpu"


def variant_numbers(variant: str) -> tuple[int, float]:
    """Batch size and learning rate that a variant trains with."""
    settings = coin_grid({}, variants=(variant,))[0]
    return settings.batch_size, settings.learning_rate


def paper_numbers() -> tuple[int, int, float, int]:
    """Epochs, batch size, learning rate and rounds of the paper."""
    return tuple(PAPER_TRAINING[name] for name in ("epochs", "batch_size", "learning_rate", "rounds"))


def _trained(session: Session, grid: Sequence[CoinSettings]) -> Iterator[tuple[str, Results]]:
    """Wait for the turn, then run after run."""
    with session.engine.enter("coins") as ticket:
        for position in ticket.positions():
            yield progress_card(f"Waiting: {position} in front of you."), ()
        before: Results = ()
        for settings in grid:
            results = before
            for card, results in _frames(session, settings, before, len(grid)):
                yield card, results
            before = results
        yield ended_card(before, len(grid)), before


def _frames(
    session: Session, settings: CoinSettings, before: Results, n_runs: int
) -> Iterator[tuple[str, Results]]:
    """One run: a frame now and then, and one at its end."""
    result, new = coin_result(settings, ()), []
    shown_at, event = -SECONDS_PER_FRAME, None
    with closing(run_coins(settings, device=training_device(session))) as events:
        for event in events:
            if isinstance(event, CoinMoment):
                new.append(event)
            if (new or result.moments) and time.monotonic() - shown_at >= SECONDS_PER_FRAME:
                result, new = with_moments(result, new), []
                results = (*before, result)
                yield training_card(results, event, n_runs), results
                shown_at = time.monotonic()
        assert event is not None  # every run has a last moment
        results = (*before, with_moments(result, new))
        yield training_card(results, event, n_runs), results
