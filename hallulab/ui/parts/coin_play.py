"""What the page does when coins are chosen, flipped or judged anew: plain functions on what the visitor set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from hallulab.data.coins import check_whole, labels_of
from hallulab.reports.coin_figures import pmf_figure
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coins import EstimatorVerdict, coin_pmf, judge_estimators
from hallulab.ui.parts.coin_cards import coins_card, estimator_table
from hallulab.ui.parts.coin_chips import chips_style, coin_choices, flips_panel
from hallulab.ui.parts.coin_drag import draggable
from hallulab.ui.parts.coin_flips import FLIPS_PER_PRESS, CoinTally, animated_steps
from hallulab.ui.parts.coin_line import line_rule
from hallulab.ui.parts.coin_network import NetworkAnswers, Results, network_answers
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card

FLIP_MANY, STOP_FLIPPING = f"Flip {FLIPS_PER_PRESS:,} times", "Stop flipping"
Steps = tuple[int, ...]
"""flips that the pictures of an animated press still have to add"""


@dataclass(frozen=True)
class CoinChoice:
    """What the visitor has set, in the order in which the page sends it."""

    coins_per_draw: float
    coins: Sequence[int]
    """numbered from 1"""
    judge_by: str
    delta: float | None
    hdr_mass: float
    seed: float | None

    @property
    def rule(self) -> CoinRule:
        """What counts as a hallucination; refused when it cannot."""
        return line_rule(self.judge_by, self.delta, self.hdr_mass)

    @property
    def unflipped(self) -> CoinTally:
        """These coins before their first flip; refused without a coin or with a bad seed."""
        seed = check_whole("seed", self.seed, 0, 2**32 - 1)
        labels = labels_of(self.coins, int(self.coins_per_draw))
        return CoinTally(int(self.coins_per_draw), tuple(labels.tolist()), seed)


def first_coins(coins_per_draw: int) -> list[int]:
    """N coins to start with, whose average number of heads is not whole."""
    coins = list(range(2, 2 * coins_per_draw + 1, 2))
    return coins if coins_per_draw % 2 == 0 else [*coins[:-1], 2 * coins_per_draw - 1]


def offer_coins(coins_per_draw: float) -> Any:
    """The coins of another N, with N of them chosen."""
    n = int(coins_per_draw)
    return gr.CheckboxGroup(choices=coin_choices(n), value=first_coins(n))


def show_coins(
    tally: CoinTally | None, results: Results, *chosen: Any
) -> tuple[str, str, go.Figure | None, str, str]:
    """Verdict, table, figure, flips panel and the coins' style; flips of other coins are not shown.

    Args:
        tally: the flips so far.
        results: of the training on the page, whose networks answer too where they can.
        chosen: as `CoinChoice`.
    """
    choice = CoinChoice(*chosen)
    if not choice.coins:
        style = chips_style(int(choice.coins_per_draw), None)
        return idle_card("Choose at least one coin."), "", None, "", style
    with shown_to_visitor():
        drawn = _drawn(tally, results, choice)
    figure = pmf_figure(
        drawn.pmf, drawn.estimators, flipped=drawn.flipped, network_answers=drawn.network.unrounded
    )
    return (
        coins_card(drawn.estimators),
        estimator_table((*drawn.estimators, *drawn.network.judged)),
        draggable(figure, drawn.pmf, choice.rule.delta),
        flips_panel(drawn.pmf, drawn.tally),
        chips_style(drawn.tally.coins_per_draw, drawn.tally),
    )


def pmf_file(
    draw_file: Callable[..., bytes], tally: CoinTally | None, results: Results, *chosen: Any
) -> bytes:
    """The figure of the chosen coins as a file, by `pmf_png` or `pmf_svg`."""
    choice = CoinChoice(*chosen)
    if not choice.coins:
        raise gr.Error("Choose at least one coin to draw.", print_exception=False)
    with shown_to_visitor():
        drawn = _drawn(tally, results, choice)
    return draw_file(
        drawn.pmf, drawn.estimators, flipped=drawn.flipped, network_answers=drawn.network.unrounded
    )


def flip_once(tally: CoinTally | None, steps: Steps, results: Results, *chosen: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """One more flip; an animated press ends here.

    Returns: tally, steps, clock, button, figure, flips panel, coins' style.
    """
    return _shown(_flips_so_far(tally, *chosen).flipped(1), (), *_still(), results, *chosen)


def flip_many(tally: CoinTally | None, steps: Steps, results: Results, *chosen: Any) -> tuple[Any, ...]:
    """Start an animated press with its first flip; or, while one runs, stop it and keep the flips so far."""
    before = _flips_so_far(tally, *chosen)
    if steps:
        return _shown(before, (), *_still(), results, *chosen)
    first, *rest = animated_steps()
    return _shown(
        before.flipped(first), tuple(rest), gr.Timer(active=True), gr.Button(STOP_FLIPPING), results, *chosen
    )


def flip_on(tally: CoinTally | None, steps: Steps, results: Results, *chosen: Any) -> tuple[Any, ...]:
    """The next picture of an animated press, which ends early when other coins or another seed were chosen."""
    choice = CoinChoice(*chosen)
    if not steps or not choice.coins or tally is None or not tally.is_of(choice.unflipped):
        return tally, (), *_still(), gr.skip(), gr.skip(), gr.skip()
    step, *rest = steps
    controls = (gr.skip(), gr.skip()) if rest else _still()
    return _shown(tally.flipped(step), tuple(rest), *controls, results, *chosen)


def start_again(results: Results, *chosen: Any) -> tuple[Any, ...]:
    """No flips yet; the seed starts over."""
    return _shown(None, (), *_still(), results, *chosen)


@dataclass(frozen=True)
class _Drawn:
    """What the figure of the chosen coins shows."""

    tally: CoinTally
    """their flips so far, perhaps none"""
    pmf: NDArray[np.float64]
    estimators: tuple[EstimatorVerdict, ...]
    network: NetworkAnswers

    @property
    def flipped(self) -> tuple[int, ...] | None:
        return self.tally.counts or None


def _drawn(tally: CoinTally | None, results: Results, choice: CoinChoice) -> _Drawn:
    unflipped, rule = choice.unflipped, choice.rule
    return _Drawn(
        tally=tally if tally and tally.is_of(unflipped) else unflipped,
        pmf=coin_pmf(unflipped.labels, unflipped.coins_per_draw),
        estimators=judge_estimators(unflipped.labels, unflipped.coins_per_draw, rule),
        network=network_answers(results, unflipped.coins_per_draw, unflipped.labels, rule),
    )


def _flips_so_far(tally: CoinTally | None, *chosen: Any) -> CoinTally:
    choice = CoinChoice(*chosen)
    if not choice.coins:
        raise gr.Error("Choose at least one coin to flip.", print_exception=False)
    with shown_to_visitor():
        unflipped = choice.unflipped
    return tally if tally and tally.is_of(unflipped) else unflipped


def _shown(
    tally: CoinTally | None, steps: Steps, clock: Any, button: Any, results: Results, *chosen: Any
) -> tuple[Any, ...]:
    _, _, *panels = show_coins(tally, results, *chosen)
    return tally, steps, clock, button, *panels


def _still() -> tuple[Any, Any]:
    """Clock and button while nothing is animated."""
    return gr.Timer(active=False), gr.Button(FLIP_MANY)
