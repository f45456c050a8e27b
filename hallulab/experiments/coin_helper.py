"""A process that trains stacks of coin rounds for another one: threads would take turns at Python's one lock."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

import torch

from hallulab.errors import HallulabError
from hallulab.experiments.coin_events import CoinMoment, moment_from_json, moment_to_json
from hallulab.experiments.coin_messages import CoinMessage, receive_message, send_message
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_round import CoinRound, RoundState, train_epoch
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_table import scored_table

# a script of its own rather than multiprocessing's spawn, which would run the caller's main module again
SCRIPT = "from hallulab.experiments.coin_helper import main; main()"
MAX_KEPT_BYTES = 1 << 27
"""of rounds that a helper does not train at the moment: small ones it keeps, large ones it makes again from their seed
when their turn comes, so that M flips of many rounds lie in memory but once"""


class CoinHelper:
    """A process with one thread of torch. It is not waited for while it starts.

    It ends with `close`, or by itself when whoever started it is gone.
    """

    def __init__(self, settings: CoinSettings):
        # Ctrl+C is for the process that the person sees, which then closes this one: hence a session of its own
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        self._settings = settings
        objective = OBJECTIVES[settings.objective]
        n_draws = len(scored_table(settings.coins_per_draw).labels)
        self._answers = objective.answers
        self._n_outputs = n_draws * objective.n_outputs(settings.coins_per_draw)

    @property
    def is_alive(self) -> bool:
        """Whether its process goes on."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Until it has started; HallulabError when it did not."""
        self._send("settings", asdict(self._settings))
        self._receive()

    def train_epoch(self, rounds: Sequence[CoinRound]) -> Iterator[CoinMoment | None]:
        """What `coin_round.train_epoch` does, done there; the same numbers.

        Raises HallulabError with what went wrong there.
        """
        self._send("train", {}, [each.state() for each in rounds])
        while (news := self._receive()).kind == "news":
            for each, (epoch, train_loss) in zip(rounds, news.content["progress"], strict=True):
                each.epoch, each.train_loss = epoch, train_loss
            record = news.content["moment"]
            yield record and moment_from_json(record, answers=self._answers, n_outputs=self._n_outputs)
        for each, state in zip(rounds, news.states, strict=True):
            each.go_on_from(state)

    def close(self) -> None:
        """End it at once, whatever it does; whoever waits for it gets a HallulabError."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(OSError):  # what was not sent any more
                self._process.stdin.close()

    def _send(self, kind: str, content: Mapping[str, Any], states: Sequence[RoundState] = ()) -> None:
        assert self._process.stdin is not None  # it was asked for
        try:
            send_message(self._process.stdin, kind, content, states)
        except (OSError, ValueError) as error:  # ended by itself, or closed
            raise self._ended() from error

    def _receive(self) -> CoinMessage:
        assert self._process.stdout is not None  # it was asked for
        try:
            message = receive_message(self._process.stdout)
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if message.kind == "failure":
            raise HallulabError(f"a helper process could not train coin rounds: {message.content['error']}")
        return message

    def _ended(self) -> HallulabError:
        return HallulabError(
            f"expected a helper process to train coin rounds, but it ended (exit status {self._process.wait()}): "
            "if memory ran out, choose fewer flips or rounds"
        )


def main() -> None:
    """Be the helper of whoever is at the other end of stdin and stdout, until they are closed."""
    # one core is its share
    torch.set_num_threads(1)
    # whatever a library prints must not fall among the messages
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin.buffer, answers)
    except (EOFError, OSError):
        # nobody is left to train for, nor to read what is still to be written
        os._exit(0)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Train what is asked for; EOFError or OSError when the other end is gone."""
    settings = CoinSettings(**receive_message(requests).content)
    send_message(answers, "started", {})
    rounds: dict[int, CoinRound] = {}
    while True:
        request = receive_message(requests)
        try:
            _train(answers, settings, rounds, request)
        except OSError:
            raise
        except Exception as error:
            send_message(answers, "failure", {"error": f"{type(error).__name__}: {error}"})


def _train(
    answers: IO[bytes], settings: CoinSettings, rounds: dict[int, CoinRound], request: CoinMessage
) -> None:
    """One epoch of the rounds in these states, told as it goes; `rounds` keeps what has been trained here."""
    seeds = [state.seed for state in request.states]
    others = [seed for seed in rounds if seed not in seeds]
    if sum(rounds[seed].n_bytes for seed in others) > MAX_KEPT_BYTES:
        for seed in others:
            del rounds[seed]
    for state in request.states:
        if state.seed not in rounds:
            rounds[state.seed] = CoinRound(settings, state.seed, "cpu")
        rounds[state.seed].go_on_from(state)
    stack = [rounds[seed] for seed in seeds]
    for event in train_epoch(stack, settings):
        progress = [[each.epoch, each.train_loss] for each in stack]
        moment = None if event is None else moment_to_json(event)
        send_message(answers, "news", {"moment": moment, "progress": progress})
    send_message(answers, "trained", {}, [each.state() for each in stack])
