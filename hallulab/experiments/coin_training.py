"""All rounds of a coin run trained side by side: one stack of rounds per core, for an epoch at a time."""

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from queue import SimpleQueue

import numpy as np
import torch

from hallulab.experiments.coin_events import CoinMoment, CoinStep
from hallulab.experiments.coin_helper import CoinHelper
from hallulab.experiments.coin_round import CoinRound, RoundState, train_epoch
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.models.products import products_put_back

MIN_STEPS_FOR_HELPERS = 10_000
"""steps of all rounds from which on processes, which take seconds to start, end sooner than threads"""


def train_rounds(
    settings: CoinSettings,
    seeds: Sequence[int],
    *,
    states: Sequence[RoundState] = (),
    device: torch.device | str = "cpu",
) -> Generator[CoinStep | CoinMoment | RoundState]:
    """Train one network per seed, all together; moments of different seeds interleave. Close it to stop.

    A round computes the same whichever rounds it is trained beside and wherever it goes on, up to the last bits of its
    sums. Now and then a round's state follows the moments of its epoch.

    Args:
        settings: the run.
        seeds: of the rounds to train, at least one.
        states: where rounds go on; the others start.
        device: where the networks live.
    """
    rounds = [CoinRound(settings, seed, device) for seed in seeds]
    for each in rounds:
        for state in states:
            if state.seed == each.seed:
                each.go_on_from(state)
    n_cores = torch.get_num_threads() if torch.device(device).type == "cpu" else 1
    n_threads = min(len(rounds), n_cores)
    with products_put_back():
        yield from _Crew(settings, rounds, n_threads).run()


class _Crew:
    """What the threads of a run share: rounds that wait for their next epoch, and what has happened so far."""

    def __init__(self, settings: CoinSettings, rounds: "Sequence[CoinRound]", n_threads: int):
        self.settings = settings
        self.n_threads = n_threads
        self.rounds = rounds
        self._waiting = deque(rounds)
        self._changed = threading.Condition()
        self._stopped = False
        self._told: SimpleQueue[CoinStep | CoinMoment | RoundState | BaseException | None] = SimpleQueue()

    def run(self) -> Iterator[CoinStep | CoinMoment | RoundState]:
        """Events of all threads until every round is trained; raises what a thread raised."""
        n_torch_threads = torch.get_num_threads()
        # Python computes in one thread at a time: where it pays, all but the first have theirs done in a process
        n_helpers = self.n_threads - 1 if self._n_steps_left() >= MIN_STEPS_FOR_HELPERS else 0
        helpers = [CoinHelper(self.settings) for _ in range(n_helpers)]
        threads = [
            threading.Thread(target=self._work, args=(helper,), daemon=True)
            for helper in helpers + [None] * (self.n_threads - n_helpers)
        ]
        try:
            for thread in threads:
                thread.start()
            n_ended = 0
            while n_ended < self.n_threads:
                event = self._told.get()
                if isinstance(event, BaseException):
                    raise event
                if event is None:
                    n_ended += 1
                else:
                    yield event
        finally:
            self._stop()
            for helper in helpers:
                helper.close()
            for thread in threads:
                thread.join()
            torch.set_num_threads(n_torch_threads)

    def _work(self, helper: CoinHelper | None) -> None:
        """Train the least advanced rounds for an epoch, again and again, there or here; ends with a None."""
        # each thread computes alone: sharing products this small costs more than it saves
        torch.set_num_threads(1)
        try:
            if helper:
                helper.wait()
            while stack := self._next_stack():
                for event in helper.train_epoch(stack) if helper else train_epoch(stack, self.settings):
                    self._told.put(self._progress() if event is None else event)
                    if self._stopped:
                        return
                for state in filter(None, (each.due_state() for each in stack)):
                    self._told.put(state)
                self._put_back(stack)
        except BaseException as error:
            self._told.put(error)
        finally:
            self._told.put(None)

    def _next_stack(self) -> "list[CoinRound]":
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped or self._all_trained())
            if self._stopped:
                return []
            # large stacks are quick, but nobody is to be left without rounds
            n_left = sum(each.n_epochs < self.settings.epochs for each in self.rounds)
            n = min(-(-n_left // self.n_threads), len(self._waiting))
            return [self._waiting.popleft() for _ in range(n)]

    def _put_back(self, stack: "Sequence[CoinRound]") -> None:
        with self._changed:
            self._waiting.extend(each for each in stack if each.n_epochs < self.settings.epochs)
            self._changed.notify_all()

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _all_trained(self) -> bool:
        return all(each.n_epochs == self.settings.epochs for each in self.rounds)

    def _n_steps_left(self) -> int:
        n_batches = -(-len(self.rounds[0].flips) // self.settings.batch_size)
        return n_batches * sum(self.settings.epochs - each.n_epochs for each in self.rounds)

    def _progress(self) -> CoinStep:
        losses = [each.train_loss for each in self.rounds if each.train_loss is not None]
        return CoinStep(
            float(np.mean([each.epoch for each in self.rounds])), float(np.mean(losses)) if losses else None
        )
