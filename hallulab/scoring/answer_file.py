"""Answers to be graded, from JSON lines that anybody can write: one answer a line, with its references."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError

EXAMPLE_ANSWERS = Path(__file__).parents[1] / "data" / "example_answers.jsonl"
"""answers of a real run that ship with the project"""
FIELDS = ("id", "question", "answer", "correct_answers", "incorrect_answers")
"""every line has these"""
MAX_NAMED_LINES = 8
MAX_ANSWER_CHARACTERS = 50_000
"""of one answer, about 8,000 words: longer ones are refused rather than cut"""


@dataclass(frozen=True)
class GivenAnswer:
    """One answer with what it is compared with."""

    id: str
    question: str
    answer: str
    """the text alone; empty is allowed, and a grade of its own"""
    correct_answers: tuple[str, ...]
    incorrect_answers: tuple[str, ...]
    confidence: float | None = None
    """probability, as stated by whoever answered, that the answer is right; in [0, 1]"""
    model: str | None = None
    """who answered, where the file holds answers of several"""
    stated_target: float | None = None
    """the confidence target that the prompt stated when this was answered"""


@dataclass(frozen=True)
class BadLine:
    """A line that holds no answer, and why."""

    line: int
    """counted from 1"""
    reason: str


@dataclass(frozen=True)
class AnswerFile:
    """What a file holds."""

    answers: tuple[GivenAnswer, ...]
    bad_lines: tuple[BadLine, ...]
    """left out, because it was asked for"""


def read_answers(path: Path | str, *, skip_bad_lines: bool = False) -> AnswerFile:
    """The answers in a file; arguments and errors as `parse_answers`, and for a file that cannot be read."""
    place = Path(path).expanduser()
    try:
        text = place.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedInputError(f"cannot read the answers in {place}: {error}") from error
    return parse_answers(text, name=str(place), skip_bad_lines=skip_bad_lines)


def parse_answers(text: str, *, name: str = "the answers", skip_bad_lines: bool = False) -> AnswerFile:
    """Answers from JSON lines with the fields `FIELDS` and, if known, confidence, model and stated_target.

    Args:
        text: one JSON object a line; blank lines are passed over.
        name: what the text is called in errors.
        skip_bad_lines: leave lines out that hold no answer and name them in the result, rather than refuse all.

    Raises RefusedInputError that names the bad lines by number, and for a text without a single answer.
    """
    answers: dict[tuple[str, str | None, float | None], GivenAnswer] = {}
    bad: list[BadLine] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            answer = _parsed(line)
            key = (answer.id, answer.model, answer.stated_target)
            if key in answers:
                raise ValueError(f"id {answer.id!r} for the second time")
            answers[key] = answer
        except ValueError as error:  # of JSON as well
            bad.append(BadLine(number, str(error)))
    if bad and not skip_bad_lines:
        raise RefusedInputError(
            f"expected an answer on every line of {name}, got {_named(bad)}: correct them, or skip bad lines to grade "
            "the rest"
        )
    if not answers:
        why = f" ({_named(bad)})" if bad else ""
        raise RefusedInputError(
            f"expected answers in {name}, found none{why}: write one JSON object a line with {', '.join(FIELDS)}"
        )
    return AnswerFile(tuple(answers.values()), tuple(bad))


def _parsed(line: str) -> GivenAnswer:
    """The answer on one line; ValueError in words for what is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON, {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    if not isinstance(row, dict):
        raise ValueError(f"{type(row).__name__} instead of a JSON object")
    missing = [field for field in FIELDS if field not in row]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    return GivenAnswer(
        id=_text(row, "id"),
        question=_text(row, "question"),
        answer=_text(row, "answer"),
        correct_answers=_texts(row, "correct_answers"),
        incorrect_answers=_texts(row, "incorrect_answers"),
        confidence=_share(row, "confidence", is_one_allowed=True),
        model=None if row.get("model") is None else _text(row, "model"),
        stated_target=_share(row, "stated_target", is_one_allowed=False),
    )


def _text(row: dict[str, Any], field: str) -> str:
    given = row[field]
    if field == "id" and isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if not isinstance(given, str):
        raise ValueError(f"{field} that is no text, {given!r}")
    _check_whole_characters(given, field)
    if field == "answer" and len(given) > MAX_ANSWER_CHARACTERS:
        raise ValueError(
            f"answer of {len(given):,} characters, at most {MAX_ANSWER_CHARACTERS:,} are graded: give the part that "
            "answers"
        )
    return given


def _texts(row: dict[str, Any], field: str) -> tuple[str, ...]:
    given = row[field]
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise ValueError(f'{field} that is no list of texts, write ["…", "…"]')
    for text in given:
        _check_whole_characters(text, field)
    return tuple(text for text in (text.strip() for text in given) if text)


def _check_whole_characters(text: str, field: str) -> None:
    """JSON can spell half a character, such as "\\ud800", which no file can hold."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"{field} with half a character (a lone surrogate), write the whole one")


def _share(row: dict[str, Any], field: str, *, is_one_allowed: bool) -> float | None:
    given = row.get(field)
    if given is None:
        return None
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not (0 <= given <= 1) or (given == 1 and not is_one_allowed):
        raise ValueError(f"{field} that is not from 0 to {'1' if is_one_allowed else 'below 1'}, {given!r}")
    return float(given)


def _named(bad: Sequence[BadLine]) -> str:
    named = "; ".join(f"line {one.line}: {one.reason}" for one in bad[:MAX_NAMED_LINES])
    n_others = len(bad) - MAX_NAMED_LINES
    return f"{named}; and {n_others} more" if n_others > 0 else named
