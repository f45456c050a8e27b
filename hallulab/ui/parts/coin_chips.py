"""Coins that can be clicked: the check boxes' looks, which coin fell how, and how close the flips have come."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hallulab.data.coins import head_probabilities
from hallulab.theory.total_variation import expected_total_variation, total_variation
from hallulab.ui.parts.coin_flips import FLIPS_PER_PRESS, CoinTally

CHIPS_ID = "coin-chips"
COIN = f"#{CHIPS_ID} .wrap > label"


def coin_choices(coins_per_draw: int) -> list[tuple[str, int]]:
    """The 2N coins with their chance of heads, numbered from 1; the number stands on a line of its own."""
    return [
        (f"coin {label + 1}\n{100 * probability:.0f} %", label + 1)
        for label, probability in enumerate(head_probabilities(range(2 * coins_per_draw), coins_per_draw))
    ]


def chips_style(coins_per_draw: int, tally: CoinTally | None) -> str:
    """A style sheet: each coin's rim is lit as far as its chance of heads; after one flip it shows its side."""
    rims = [
        f"{COIN}:nth-child({label + 1}) {{ --p: {probability:.3f}; }}"
        for label, probability in enumerate(head_probabilities(range(2 * coins_per_draw), coins_per_draw))
    ]
    return f"<style>{''.join(rims)}{''.join(_sides(tally) if tally else ())}</style>"


def flips_panel(pmf: ArrayLike, tally: CoinTally) -> str:
    """How many flips there are, how far their shares are from the exact pmf, and what chance alone leaves.

    Args:
        pmf: exact, shape (n_coins + 1,).
        tally: the flips of these coins.
    """
    if not tally.n_flips:
        return (
            f'<p class="hl-note">Not flipped yet. Flip once, or {FLIPS_PER_PRESS:,} times and watch the shares '
            "close on the exact bars.</p>"
        )
    counts = np.array(tally.counts)
    distance = total_variation(counts / tally.n_flips, pmf)
    chance = expected_total_variation(pmf, tally.n_flips)
    average = float(counts @ np.arange(len(counts)) / tally.n_flips)
    tiles = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd></div>"
        for name, value in (
            ("flips", f"{tally.n_flips:,}"),
            ("average heads", f"{average:.3f}"),
            ("off the exact bars", _share(distance)),
            ("chance alone leaves", _share(chance)),
        )
    )
    return f'<dl class="hl-stats">{tiles}</dl><p class="hl-note" role="status">{_sides_sentence(tally)}</p>'


def _sides(tally: CoinTally) -> list[str]:
    # two equal animations take turns: a name that stays would not start again
    turn = tally.n_flips % 2
    return [
        f'{COIN}:nth-child({label + 1})::after {{ content: "{"heads" if heads else "tails"}"; }}'
        f"{COIN}:nth-child({label + 1}) {{ animation-name: hl-flip-{turn}; "
        f"--face: var(--hl-{'heads' if heads else 'tails'}); }}"
        for label, heads in zip(tally.labels, tally.last_flip(), strict=False)
    ]


def _sides_sentence(tally: CoinTally) -> str:
    fell: Sequence[bool] = tally.last_flip()
    each = ", ".join(
        f"coin {label + 1} fell {'heads' if heads else 'tails'}"
        for label, heads in zip(tally.labels, fell, strict=True)
    )
    n_heads = sum(fell)
    return f"Last flip: {each}. That is <b>{n_heads} {'head' if n_heads == 1 else 'heads'}</b>."


def _share(value: float) -> str:
    """A share in per cent with two digits that count."""
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"
