"""Questions with listed correct and incorrect answers: TruthfulQA, and this project's own misconceptions."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hallulab.errors import HallulabError, RefusedInputError

TRUTHFULQA_ON_HUB = "truthfulqa/truthful_qa"
FROM_HUB = "hub"
"""What stands for a path where TruthfulQA is to be fetched from the Hub."""
TRUTHFULQA_VARIABLE = "HALLULAB_TRUTHFULQA"
"""environment variable that names a local CSV, to be read instead of the Hub"""
MISCONCEPTIONS_FILE = Path(__file__).with_name("misconceptions.jsonl")
QUESTION_SETS = {
    "truthfulqa": "TruthfulQA (Lin, Hilton, Evans 2021; Apache-2.0): read from a CSV or the Hub, not shipped",
    "misconceptions": "common misconceptions, written for this project",
}
"""Name → what it is."""
TRUTHFULQA_COLUMNS = {
    "category": "Category",
    "question": "Question",
    "correct_answers": "Correct Answers",
    "incorrect_answers": "Incorrect Answers",
}
"""Our field → the CSV's column; the Hub's fields are named as ours."""
ROW_FIELDS = ("question", "category", "correct_answers", "incorrect_answers")


@dataclass(frozen=True)
class ReferencedQuestion:
    """A question and the answers that are known to be right and to be wrong."""

    id: str
    question: str
    category: str
    correct_answers: tuple[str, ...]
    """As written in the source, outer blanks removed; not a closed list."""
    incorrect_answers: tuple[str, ...]
    """Commonly believed and wrong; as written, outer blanks removed."""
    source: str
    """Where it is from: a file's name, or a data set's id on the Hub."""


def load_question_set(name: str, path: Path | str | None = None) -> tuple[ReferencedQuestion, ...]:
    """Every question of a set, in the order of its source.

    Args:
        name: one of `QUESTION_SETS`.
        path: a local copy instead of the usual source: for `truthfulqa` the CSV of its authors or a file as
            `cached_truthfulqa` finds it (otherwise, and for `FROM_HUB`, it comes from the Hub); for `misconceptions`
            JSON lines of the same fields.

    Raises RefusedInputError for an unknown name, a missing file, missing columns, a row without question or
    references, and a question asked twice; HallulabError when the Hub is out of reach.
    """
    if name not in QUESTION_SETS:
        raise RefusedInputError(f"unknown question set {name!r}: use one of {', '.join(QUESTION_SETS)}")
    if name == "misconceptions":
        return read_question_lines(path or MISCONCEPTIONS_FILE)
    if path is None or path == FROM_HUB:
        return _truthfulqa_on_hub()
    return _truthfulqa_in_cache(Path(path)) if Path(path).suffix == ".arrow" else read_truthfulqa_csv(path)


def cached_truthfulqa() -> Path | None:
    """TruthfulQA as an earlier fetch from the Hub left it on this machine, the newest; no network is used."""
    from huggingface_hub.constants import HF_HOME

    cache = Path(os.environ.get("HF_DATASETS_CACHE") or Path(HF_HOME) / "datasets")
    folder = TRUTHFULQA_ON_HUB.replace("/", "___")
    found = cache.glob(f"{folder}/generation/*/*/*-validation.arrow")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def read_truthfulqa_csv(path: Path | str) -> tuple[ReferencedQuestion, ...]:
    """TruthfulQA from its authors' CSV; answers are split at semicolons and otherwise kept as they are.

    Raises RefusedInputError as `load_question_set`.
    """
    place = Path(path).expanduser()
    try:
        with place.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = [c for c in TRUTHFULQA_COLUMNS.values() if c not in (table.fieldnames or ())]
            if missing:
                raise RefusedInputError(
                    f"expected a TruthfulQA CSV with the columns {', '.join(TRUTHFULQA_COLUMNS.values())}, but "
                    f"{place} has no {', '.join(missing)}: use the TruthfulQA.csv of its authors"
                )
            rows = [(table.line_num, _from_csv(row)) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RefusedInputError(f"cannot read the questions in {place}: {error}") from error
    return _checked("truthfulqa", place.name, ((f"{place}, line {line}", row) for line, row in rows))


def read_question_lines(path: Path | str) -> tuple[ReferencedQuestion, ...]:
    """Questions from JSON lines with question, category, correct_answers and incorrect_answers (and id).

    Raises RefusedInputError as `load_question_set`, naming the line.
    """
    place = Path(path).expanduser()
    try:
        lines = place.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedInputError(f"cannot read the questions in {place}: {error}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append((f"{place}, line {number}", json.loads(line)))
        except json.JSONDecodeError as error:
            raise RefusedInputError(f"expected one JSON object in {place}, line {number}: {error}") from error
    return _checked("question", place.name, rows)


def question_set_sha256(questions: Sequence[ReferencedQuestion]) -> str:
    """A hash of all questions and references, in order: what a run's records are about."""
    content = [[q.question, list(q.correct_answers), list(q.incorrect_answers)] for q in questions]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _truthfulqa_on_hub() -> tuple[ReferencedQuestion, ...]:
    from datasets import load_dataset

    try:
        rows: Any = load_dataset(TRUTHFULQA_ON_HUB, "generation", split="validation")
    except (OSError, ValueError) as error:  # its own errors are of these kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HallulabError(
            f"cannot get TruthfulQA from the Hub ({reason.rstrip('.')}): connect to the network, set "
            f"{TRUTHFULQA_VARIABLE} to a local TruthfulQA.csv, or use the question set misconceptions, which is shipped"
        ) from error
    return _from_hub_rows(rows)


def _truthfulqa_in_cache(path: Path) -> tuple[ReferencedQuestion, ...]:
    from datasets import Dataset

    try:
        return _from_hub_rows(Dataset.from_file(str(path)))
    except (OSError, ValueError) as error:
        raise RefusedInputError(
            f"cannot read the fetched TruthfulQA in {path} ({str(error).splitlines()[0]}): delete it and fetch it again"
        ) from error


def _from_hub_rows(rows: Iterable[Any]) -> tuple[ReferencedQuestion, ...]:
    numbered = ((f"{TRUTHFULQA_ON_HUB}, row {number}", row) for number, row in enumerate(rows))
    return _checked("truthfulqa", TRUTHFULQA_ON_HUB, numbered)


def _from_csv(row: Mapping[str, str | None]) -> dict[str, Any]:
    found = {field: row[column] or "" for field, column in TRUTHFULQA_COLUMNS.items()}
    lists = {field: found[field].split(";") for field in ("correct_answers", "incorrect_answers")}
    return found | lists


def _checked(prefix: str, source: str, rows: Iterable[tuple[str, Any]]) -> tuple[ReferencedQuestion, ...]:
    """Questions from pairs (where it stands, row)."""
    questions: dict[str, ReferencedQuestion] = {}
    for place, (where, row) in enumerate(rows, start=1):
        missing = [field for field in ROW_FIELDS if not isinstance(row, Mapping) or field not in row]
        if missing:
            raise RefusedInputError(
                f"expected {', '.join(ROW_FIELDS)} in {where}, found no {', '.join(missing)}: add it"
            )
        question = ReferencedQuestion(
            id=str(row.get("id") or f"{prefix}-{place:04d}"),
            question=str(row["question"]).strip(),
            category=str(row["category"]).strip(),
            correct_answers=_references(row["correct_answers"], where),
            incorrect_answers=_references(row["incorrect_answers"], where),
            source=source,
        )
        if not question.question or not question.correct_answers or not question.incorrect_answers:
            raise RefusedInputError(
                f"expected a question with at least one correct and one incorrect answer in {where}, got "
                f"{question.question!r} with {len(question.correct_answers)} and "
                f"{len(question.incorrect_answers)}: complete the row or leave it out"
            )
        if question.question in questions:
            raise RefusedInputError(
                f"expected every question once, but {where} asks {question.question!r} again: keep one"
            )
        questions[question.question] = question
    if not questions:
        raise RefusedInputError(f"expected questions in {source}, found none: check the file")
    return tuple(questions.values())


def _references(given: Any, where: str) -> tuple[str, ...]:
    """Answers without outer blanks, empty and repeated ones left out; nothing else is changed."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise RefusedInputError(f'expected lists of answers in {where}, got {given!r}: write ["…", "…"]')
    return tuple(dict.fromkeys(text for text in (str(answer).strip() for answer in given) if text))
