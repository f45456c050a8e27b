"""What a coin run tells while it trains: how far it is, and what its networks say at scored moments."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError


@dataclass(frozen=True)
class CoinStep:
    """How far the training has come; all rounds advance together."""

    epoch: float
    """epochs behind this step, with fraction: mean over the rounds that train"""
    train_loss: float | None
    """the epoch's batches so far, in the objective's own loss: mean over the rounds that train"""


@dataclass(frozen=True)
class HeldOutScores:
    """The flips that were kept from training, answered in one way: how the paper scores."""

    answer: str
    """how the network's output became an answer: one of the objective's `answers`"""
    conditional_probability: float | None
    """mean probability of exactly the answered number of heads, under the variant's law"""
    conditional_probability_data_law: float | None
    """the same answers under the law that made the flips"""
    hallucination_rate: float | None
    """share of the answers that δ-hallucinate, by the rule that the run was started with"""
    squared_error: float | None
    """mean (answer − heads)², of the answer as given"""
    n: int
    """flips scored"""
    n_missing: int
    """flips whose answer was NaN"""


@dataclass(frozen=True)
class CoinMoment:
    """One network at one moment of its training: nothing here depends on what counts as a hallucination but the
    held-out rate."""

    seed: int
    """of the round"""
    epoch: float
    """epochs behind it; 0 is the untrained network"""
    train_loss: float | None
    """the epoch's batches so far, in the objective's own loss; None before the first"""
    validation_loss: float | None
    """the held-out flips, in the objective's own loss"""
    outputs: bytes
    """what the network gives for every draw of `scored_table`, float32, little-endian, draw by draw: enough to judge
    its answers by any δ or mass later"""
    held_out: tuple[HeldOutScores, ...]
    """one per way to answer"""

    @property
    def ends_epoch(self) -> bool:
        """Whether a whole epoch ends here: these are the points of the JSON contract."""
        return self.epoch > 0 and self.epoch == int(self.epoch)

    def output_table(self, n_outputs: int) -> NDArray[np.float32]:
        """The outputs, shape (n_draws, n_outputs)."""
        return np.frombuffer(self.outputs, dtype="<f4").reshape(-1, n_outputs)


def moment_to_json(moment: CoinMoment) -> dict[str, Any]:
    """As it is recorded: outputs in base64, a third longer than the numbers themselves."""
    return asdict(moment) | {"outputs": b64encode(moment.outputs).decode()}


def moment_from_json(record: Mapping[str, Any], *, answers: tuple[str, ...], n_outputs: int) -> CoinMoment:
    """A recorded moment.

    Args:
        record: as `moment_to_json` makes it.
        answers: ways to answer that the run's objective has.
        n_outputs: numbers that a network gives for all scored draws together.

    Raises RefusedInputError for anything else.
    """
    try:
        outputs = b64decode(record["outputs"], validate=True)
        held_out = tuple(HeldOutScores(**scores) for scores in record["held_out"])
        values = {field.name: record[field.name] for field in fields(CoinMoment)}
    except (KeyError, TypeError, ValueError, Base64Error) as error:
        raise RefusedInputError(f"a moment lacks something or holds something else ({error!r})") from error
    moment = CoinMoment(**(values | {"outputs": outputs, "held_out": held_out}))
    if len(outputs) != 4 * n_outputs:
        raise RefusedInputError(f"a moment has {len(outputs)} bytes of outputs, expected {4 * n_outputs}")
    if tuple(scores.answer for scores in held_out) != answers:
        raise RefusedInputError(f"a moment has other answers than {', '.join(answers)}")
    _check_types(moment)
    for scores in held_out:
        _check_types(scores)
    return moment


def _check_types(record: Any) -> None:
    """Numbers where numbers belong: a record that was edited by hand is refused before it is averaged."""
    wanted = {"seed": int, "n": int, "n_missing": int, "epoch": float, "answer": str}
    for name, value in vars(record).items():
        if name in ("outputs", "held_out"):
            continue
        kind = wanted.get(name)
        allowed = (int, float, NoneType) if kind is None else (int, float) if kind is float else (kind,)
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise RefusedInputError(f"a moment has {name} = {value!r}")
