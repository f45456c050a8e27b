"""The coin experiment against a plain loop: `python benchmarks/coins.py` prints how many times quicker hallulab is.

Both do the same work in this one process: the same flips, network, optimiser, epochs and rounds, scored after each
epoch. The plain loop is `plain_coins.py`. How to read the tables: "the plain loop takes" so many times as long as
hallulab, from the first flip to the last score of all rounds. "Matrix products alone" is a floor that nobody who takes
these products gets under: the operations of all training steps over the float32 matrix rate of this machine, as torch
multiplies by default and as hallulab has it multiply (by oneDNN's kernels where those are quicker). The second table
says whether both learned the same thing: the interval of the difference, paired by round, should hold 0. Flips and
their split are the same for both; initial weights and the order of batches are not.

Run it on an idle machine. torch's threads spin while they wait, as they do by default, because the plain loop is
quicker so; where others want the cores too, spinning makes it many times slower, and the ratio says nothing. "Cores
busy" tells: on an idle machine the plain loop has nearly as many as torch has threads.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import comb
from operator import attrgetter
from pathlib import Path
from statistics import fmean
from typing import get_args

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.floor import expected_distinct, matrix_rates, training_operations  # noqa: E402
from benchmarks.plain_coins import PlainEpoch, plain_rounds  # noqa: E402
from benchmarks.table import Clock, Taken, machine, print_markdown  # noqa: E402
from hallulab.errors import RefusedInputError  # noqa: E402
from hallulab.experiments.coin_events import CoinMoment  # noqa: E402
from hallulab.experiments.coin_points import CoinPoint  # noqa: E402
from hallulab.experiments.coin_result import coin_result  # noqa: E402
from hallulab.experiments.coin_settings import CoinSettings, Variant  # noqa: E402
from hallulab.experiments.coins import run_coins  # noqa: E402
from hallulab.models.coin_transformer import CoinTransformerSettings  # noqa: E402
from hallulab.theory.intervals import mean_interval  # noqa: E402

PROMISED_RATIO = 10
CLAIM = replace(CoinSettings(coins_per_draw=5, flips=20_000).as_in_paper(), points_per_epoch=1)
LEARNED = (
    ("training loss", "train_loss", "train_loss"),
    ("validation loss", "scores.validation_loss", "validation_loss"),
    ("conditional probability", "scores.conditional_probability", "held_out_conditional_probability"),
    ("hallucination rate", "scores.hallucination_rate", "held_out_hallucination_rate"),
)
"""what is compared, on the same held-out flips, and where the plain loop and hallulab keep it"""


@dataclass(frozen=True)
class Comparison:
    """Both ways through one run."""

    settings: CoinSettings
    plain: "Taken"
    plain_epochs: tuple[PlainEpoch, ...]
    ours: "Taken"
    ours_points: tuple[CoinPoint, ...]
    """at the last epoch, one per round"""
    matrix_rates: dict[str, float]
    """operations per second"""

    @property
    def ratio(self) -> float:
        """How many times as long the plain loop takes."""
        return self.plain.wall_s / self.ours.wall_s

    @property
    def n_held_out(self) -> int:
        """Rows of one evaluation."""
        return round(self.settings.held_out_share * self.settings.flips)

    @property
    def n_steps(self) -> int:
        """Optimiser steps of all rounds."""
        n_train = self.settings.flips - self.n_held_out
        return len(self.plain_epochs) * -(-n_train // self.settings.batch_size)

    @property
    def operations(self) -> float:
        """Of the matrix products of all training steps, as if every batch were full."""
        n_inputs = self.n_steps * inputs_of_step(self.settings)
        return training_operations(n_inputs, self.settings.coins_per_draw, network_shape(self.settings))

    def speed_rows(self) -> list[tuple[str, ...]]:
        """What took how long."""
        training_s = sum(epoch.training_s for epoch in self.plain_epochs)
        evaluation_s = sum(epoch.evaluation_s for epoch in self.plain_epochs)
        n_rows = self.n_held_out * len(self.plain_epochs)
        rows = [
            ("plain loop", f"{self.plain.wall_s:.1f} s", self.plain.cores),
            ("… training", f"{training_s:.1f} s", f"{1e3 * training_s / self.n_steps:.2f} ms a step"),
            ("… evaluation", f"{evaluation_s:.1f} s", f"{1e3 * evaluation_s / n_rows:.3f} ms a row"),
            (
                "hallulab",
                f"{self.ours.wall_s:.1f} s",
                f"{1e3 * self.ours.wall_s / self.n_steps:.2f} ms a step, evaluation included; {self.ours.cores}",
            ),
            ("… the plain loop takes", f"{self.ratio:.1f} ×", f"promised: ≥ {PROMISED_RATIO} ×"),
        ]
        for route, rate in self.matrix_rates.items():
            floor_s = self.operations / rate
            each = f"{self.operations / self.n_steps / 1e6:.0f} MFLOP a step at {rate / 1e9:.0f} GFLOP/s"
            share = f"{floor_s / self.ours.wall_s:.0%} of hallulab's time"
            rows.append((f"matrix products alone, {route}", f"{floor_s:.1f} s", f"{each}; {share}"))
        return [(self.settings.variant, *row) for row in rows]

    def learned_rows(self) -> list[tuple[str, ...]]:
        """What both reached at the last epoch, mean over rounds."""
        plain = [epoch for epoch in self.plain_epochs if epoch.epoch == self.settings.epochs]
        rows = []
        for what, of_plain, of_ours in LEARNED:
            theirs = [attrgetter(of_plain)(epoch) for epoch in plain]
            ours = [attrgetter(of_ours)(point) for point in self.ours_points]
            differences = [o - t for o, t in zip(ours, theirs, strict=True)]
            rows.append((what, *map(with_interval, (theirs, ours, differences))))
        return [(self.settings.variant, *row) for row in rows]


def main() -> None:
    """Run both, print the tables."""
    runs = parse_arguments()
    print(machine())
    comparisons = [compare(settings) for settings in runs]
    asked = runs[0]
    print(
        f"N = {asked.coins_per_draw}, M = {asked.flips:,}, batches of {asked.batch_size}, epochs: {asked.epochs}, "
        f"rounds: {asked.rounds}; load at the end {os.getloadavg()[0]:.1f}\n"
    )
    print_markdown(("variant", "what", "whole run", "each"), [r for c in comparisons for r in c.speed_rows()])
    print("\nAt the last epoch, mean over rounds with 95 % interval:\n")
    print_markdown(
        ("variant", "what", "plain loop", "hallulab", "hallulab − plain loop"),
        [r for c in comparisons for r in c.learned_rows()],
    )


def parse_arguments() -> tuple[CoinSettings, ...]:
    """The runs that the command line asks for; refuses an environment that slows the plain loop."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="With the default numbers it takes about 20 minutes on 2 cores, nearly all of it in the plain loop; "
        "`--rounds 1 --epochs 1` takes half a minute.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--variant", action="append", choices=get_args(Variant), help="repeat for several; default: all"
    )
    numbers = ("coins_per_draw", "flips", "epochs", "rounds", "batch_size")
    for name in numbers:
        claimed = getattr(CLAIM, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=claimed, help=f"default: {claimed}"
        )
    arguments = parser.parse_args()
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE":
        parser.error(
            "expected torch's own wait policy, got OMP_WAIT_POLICY=PASSIVE: unset it, it slows the plain loop"
        )
    asked = {name: getattr(arguments, name) for name in numbers}
    try:
        return tuple(
            replace(CLAIM, variant=variant, **asked) for variant in arguments.variant or get_args(Variant)
        )
    except RefusedInputError as error:
        parser.error(str(error))


def compare(settings: CoinSettings) -> Comparison:
    """Run both ways from start to finish."""
    n_threads = torch.get_num_threads()
    # neither pays for what torch imports at its first step
    tiny = replace(settings, flips=100, epochs=1, rounds=1)
    for _ in chain(plain_rounds(tiny), run_coins(tiny)):
        pass
    torch.set_num_threads(n_threads)
    clock = Clock()
    plain_epochs = []
    for epoch in plain_rounds(settings):
        plain_epochs.append(epoch)
        tell(f"{settings.variant}, plain loop: seed {epoch.seed}, epoch {epoch.epoch}", clock)
    plain = clock.taken()
    clock = Clock()
    moments = []
    for event in run_coins(settings):
        if isinstance(event, CoinMoment):
            moments.append(event)
            tell(f"{settings.variant}, hallulab: seed {event.seed}, epoch {event.epoch:g}", clock)
    ours = clock.taken()
    last = coin_result(settings, moments).last_points()
    torch.set_num_threads(n_threads)
    n_rows = round(settings.rounds * inputs_of_step(settings) * tokens_of_draw(settings))
    rates = matrix_rates(n_rows, network_shape(settings), n_cores=n_threads)
    return Comparison(settings, plain, tuple(plain_epochs), ours, last, rates)


def inputs_of_step(settings: CoinSettings) -> float:
    """How many different inputs a batch has on average; with dropout every row is one."""
    if settings.choices.dropout:
        return settings.batch_size
    return expected_distinct(settings.batch_size, comb(2 * settings.coins_per_draw, settings.coins_per_draw))


def tokens_of_draw(settings: CoinSettings) -> int:
    """How many tokens one draw has."""
    return settings.coins_per_draw if settings.choices.tokens == "coin" else 1


def network_shape(settings: CoinSettings) -> CoinTransformerSettings:
    """The network that both train."""
    return CoinTransformerSettings(tokens=settings.choices.tokens, dropout=settings.choices.dropout)


def with_interval(values: Sequence[float]) -> str:
    """Mean, with a 95 % interval where there are several values."""
    interval = mean_interval(values) if len(values) > 1 else None
    mean = f"{fmean(values):.4f}"
    return f"{mean} ({interval.low:.4f} … {interval.high:.4f})" if interval else mean


def tell(what: str, clock: Clock) -> None:
    """Progress."""
    print(f"{what}: {clock.taken().wall_s:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
