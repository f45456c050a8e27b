"""A process that trains stacks of coin rounds for another one: threads would take turns at Python's one lock."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import torch

from hallulab.errors import HallulabError
from hallulab.experiments.coin_round import CoinRound, RoundState, train_epoch
from hallulab.experiments.coin_run import CoinPoint, CoinSettings

# a script of its own rather than multiprocessing's spawn, which would run the caller's main module again
SCRIPT = "import sys; from hallulab.experiments.coin_helper import serve; serve(int(sys.argv[1]))"


@dataclass(frozen=True)
class _News:
    """What `train_epoch` yielded in the helper, and how far its rounds are."""

    event: CoinPoint | None
    progress: tuple[tuple[float, float | None], ...]
    """`epoch` and `train_loss` of each round"""


@dataclass(frozen=True)
class _Failure:
    """What was raised in the helper."""

    error: Exception


class CoinHelper:
    """A process with one thread of torch. It is not waited for while it starts.

    It ends with `close`, or by itself when whoever started it is gone.
    """

    def __init__(self, settings: CoinSettings):
        self._pipe, theirs = Pipe()
        # Ctrl+C is for the process that the person sees, which then closes this one: hence a session of its own
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        theirs.close()
        self._settings = settings

    @property
    def is_alive(self) -> bool:
        """Whether its process goes on."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Until it has started; HallulabError when it did not."""
        self._send(self._settings)
        self._receive()

    def train_epoch(self, rounds: Sequence[CoinRound]) -> Iterator[CoinPoint | None]:
        """What `coin_round.train_epoch` does, done there; the same numbers. Raises what was raised there."""
        self._send([each.state() for each in rounds])
        while isinstance(news := self._receive(), _News):
            for each, (epoch, train_loss) in zip(rounds, news.progress, strict=True):
                each.epoch, each.train_loss = epoch, train_loss
            yield news.event
        for each, state in zip(rounds, news, strict=True):
            each.go_on_from(state)

    def close(self) -> None:
        """End it at once, whatever it does; whoever waits for it gets a HallulabError."""
        self._process.kill()
        self._process.wait()

    def _send(self, message: object) -> None:
        try:
            _send(self._pipe, message)
        except OSError as error:
            raise self._ended() from error

    def _receive(self) -> "_News | list[RoundState]":
        try:
            message = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(message, _Failure):
            raise message.error
        return message

    def _ended(self) -> HallulabError:
        return HallulabError(
            f"expected a helper process to train coin rounds, but it ended (exit status {self._process.wait()}): "
            "if memory ran out, choose fewer flips or rounds"
        )


def serve(file_descriptor: int) -> None:
    """Be the helper at the other end of this pipe, until it is closed."""
    # one core is its share
    torch.set_num_threads(1)
    pipe = Connection(file_descriptor)
    try:
        settings: CoinSettings = pickle.loads(pipe.recv_bytes())
        _send(pipe, [])
        rounds: dict[int, CoinRound] = {}
        while True:
            states: list[RoundState] = pickle.loads(pipe.recv_bytes())
            try:
                _train(pipe, settings, rounds, states)
            except OSError:
                raise
            except Exception as error:
                _send(pipe, _Failure(error))
    except (EOFError, OSError):
        return  # nobody is left to train for


def _train(
    pipe: Connection, settings: CoinSettings, rounds: dict[int, CoinRound], states: Sequence[RoundState]
) -> None:
    """One epoch of the rounds in these states, told as it goes; `rounds` keeps what has been trained here."""
    for state in states:
        if state.seed not in rounds:
            rounds[state.seed] = CoinRound(settings, state.seed, "cpu")
        rounds[state.seed].go_on_from(state)
    stack = [rounds[state.seed] for state in states]
    for event in train_epoch(stack, settings):
        _send(pipe, _News(event, tuple((each.epoch, each.train_loss) for each in stack)))
    _send(pipe, [each.state() for each in stack])


def _send(pipe: Connection, message: object) -> None:
    # pickled by hand: `Connection.send` would put tensors in shared memory, which can be short
    pipe.send_bytes(pickle.dumps(message))
