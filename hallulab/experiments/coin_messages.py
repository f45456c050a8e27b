"""What coin processes tell each other: a line of JSON, and tensors as a safetensors file has them. No pickle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from safetensors.torch import load, save
from torch import Tensor

from hallulab.experiments.coin_round import RoundState


@dataclass(frozen=True)
class CoinMessage:
    """One message."""

    kind: str
    content: Mapping[str, Any]
    """what JSON can hold"""
    states: tuple[RoundState, ...] = ()


def send_message(
    pipe: IO[bytes], kind: str, content: Mapping[str, Any], states: Sequence[RoundState] = ()
) -> None:
    """Write one message; OSError when nobody listens."""
    tensors = {
        f"{place}.{name}": tensor
        for place, state in enumerate(states)
        for name, tensor in state.tensors.items()
    }
    packed = save(tensors) if states else b""
    head = {
        "kind": kind, "content": content, "n_tensor_bytes": len(packed),
        "states": [[state.seed, state.n_epochs] for state in states],
    }  # fmt: skip
    pipe.write(json.dumps(head).encode() + b"\n" + packed)
    pipe.flush()


def receive_message(pipe: IO[bytes]) -> CoinMessage:
    """The next message; EOFError when whoever sends has gone."""
    head = json.loads(_whole_line(pipe))
    packed = pipe.read(head["n_tensor_bytes"])
    if len(packed) < head["n_tensor_bytes"]:
        raise EOFError("the other process ended within a message")
    tensors: list[dict[str, Tensor]] = [{} for _ in head["states"]]
    for name, tensor in (load(packed) if packed else {}).items():
        place, _, own_name = name.partition(".")
        tensors[int(place)][own_name] = tensor
    states = tuple(
        RoundState(seed, n_epochs, own) for (seed, n_epochs), own in zip(head["states"], tensors, strict=True)
    )
    return CoinMessage(head["kind"], head["content"], states)


def _whole_line(pipe: IO[bytes]) -> bytes:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the other process ended")
    return line
