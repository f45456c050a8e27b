"""Answers that a person graded: what the written rules of grading are measured on."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

GRADED_FILE = Path(__file__).with_name("graded_by_hand.jsonl")
Part = Literal["held_out", "tuned"]
PARTS: dict[Part, str] = {
    "held_out": "written by the same hand before the rules were changed; which of them are missed was not looked at",
    "tuned": "used to change the rules",
}
"""Part → what the rules know of it."""


@dataclass(frozen=True)
class HandGradedAnswer:
    """One answer with the grade a person gave it."""

    id: str
    part: Part
    kind: str
    """what makes it hard, such as "denial" or "number" """
    question: str
    answer: str
    correct_answers: tuple[str, ...]
    incorrect_answers: tuple[str, ...]
    grade: str
    """of the person: correct, wrong, abstained, empty or ungradable"""


@cache
def hand_graded_answers() -> tuple[HandGradedAnswer, ...]:
    """Every answer of the set that ships with the project, in its order."""
    lines = GRADED_FILE.read_text(encoding="utf-8").split("\n")
    return tuple(_read(line) for line in lines if line)


def _read(line: str) -> HandGradedAnswer:
    row = json.loads(line)
    return HandGradedAnswer(
        **row | {name: tuple(row[name]) for name in ("correct_answers", "incorrect_answers")}
    )
