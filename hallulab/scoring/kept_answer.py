"""A judged answer as a record, whole: read back, it is decided at any mass without a model."""

from dataclasses import asdict
from typing import Any

import numpy as np

from hallulab.densities.hcdr import HcdrFrame
from hallulab.records import as_plain, as_tuples
from hallulab.scoring.words import AnswerToken, AskResult, AskSettings
from hallulab.scoring.words_frame import StateCheck, WordsFrame


def answer_record(result: AskResult) -> dict[str, Any]:
    """Everything of a judged answer, as JSON can hold it."""
    frame, hcdr = result.frame, result.frame.hcdr
    return as_plain(
        _fields(result)
        | {
            "settings": asdict(result.settings),
            "tokens": [asdict(token) for token in result.tokens],
            "frame": _fields(frame)
            | {
                "checks": [asdict(check) for check in frame.checks],
                "hcdr": None if hcdr is None else _fields(hcdr),
            },
        }
    )


def answer_of_record(record: dict[str, Any]) -> AskResult:
    """The judged answer of such a record."""
    frame = record["frame"]
    hcdr = frame["hcdr"]
    if hcdr is not None:
        genuine: Any = tuple(map(np.asarray, hcdr["genuine_log_densities"]))
        hcdr = HcdrFrame(**_tuples(hcdr) | {"genuine_log_densities": genuine})
    return AskResult(
        **record
        | {
            "settings": AskSettings(**_tuples(record["settings"])),
            "tokens": tuple(AnswerToken(**token) for token in record["tokens"]),
            "log_densities": np.asarray(record["log_densities"]),
            "frame": WordsFrame(
                **_tuples(frame)
                | {"checks": tuple(StateCheck(**check) for check in frame["checks"]), "hcdr": hcdr}
            ),
        }
    )


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, without what it has cached."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _tuples(record: dict[str, Any]) -> dict[str, Any]:
    return {name: as_tuples(value) for name, value in record.items()}
