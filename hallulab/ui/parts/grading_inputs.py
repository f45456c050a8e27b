"""Answers to be graded on the page: the shipped examples, or JSON lines that a visitor pasted or opened."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, BadLine, parse_answers, read_answers
from hallulab.scoring.graded_answers import GradedAnswers, grade_all

MAX_CHARACTERS = 1_000_000
MAX_GRADED = 2_000
"""answers that one visitor may have graded at once"""
EXAMPLES, PASTED = "the shipped examples", "your answers"
OPEN_FILE_SCRIPT = (
    Path(__file__)
    .with_name("grading_files.js")
    .read_text(encoding="utf-8")
    .replace("MAX_CHARACTERS", str(MAX_CHARACTERS))
)
"""reads a file in the visitor's own browser, so that it reaches no file system"""


@dataclass(frozen=True, eq=False)
class GradedSource:
    """A set of answers, graded once by its words."""

    name: str
    sha256: str
    """of the text"""
    graded: GradedAnswers
    bad_lines: tuple[BadLine, ...]

    def of(self, whose: int | None) -> GradedAnswers:
        """The answers of one who answered, by the place in `graded.answerers`; of the first when there is no such."""
        everybody = self.graded.answerers
        place = whose if whose is not None and 0 <= whose < len(everybody) else 0
        return self.graded if len(everybody) == 1 else self.graded.of(everybody[place])


@cache
def example_source() -> GradedSource:
    """The answers that ship with the project."""
    text = EXAMPLE_ANSWERS.read_bytes()
    graded = grade_all(read_answers(EXAMPLE_ANSWERS).answers)
    return GradedSource(EXAMPLES, hashlib.sha256(text).hexdigest(), graded, ())


def pasted_source(
    text: str | None, *, skip_bad_lines: bool = True, others_are_wrong: bool = False
) -> GradedSource:
    """Answers from JSON lines; lines that hold none are left out and named.

    Args:
        text: JSON lines.
        skip_bad_lines: leave them out rather than refuse all.
        others_are_wrong: as in `grade_answer`.

    Raises RefusedInputError for a text that is too long, or holds no answer or too many.
    """
    given = (text or "").removeprefix("\ufeff")  # as editors write it at the beginning of a file
    if not given.strip():
        raise RefusedInputError(
            "expected JSON lines, one answer a line, got nothing: paste some, or open a file"
        )
    if len(given) > MAX_CHARACTERS:
        raise RefusedInputError(
            f"expected at most {MAX_CHARACTERS:,} characters on this page, got {len(given):,}: use "
            "`hallulab grade ANSWERS.jsonl`"
        )
    found = parse_answers(given, name=PASTED, skip_bad_lines=skip_bad_lines)
    if len(found.answers) > MAX_GRADED:
        raise RefusedInputError(
            f"expected at most {MAX_GRADED:,} answers on this page, got {len(found.answers):,}: use "
            "`hallulab grade ANSWERS.jsonl`"
        )
    digest = hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).hexdigest()
    return GradedSource(
        PASTED, digest, grade_all(found.answers, others_are_wrong=others_are_wrong), found.bad_lines
    )
