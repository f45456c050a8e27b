"""Grading somebody's answers, kept as records: what was read, what each answer was graded, at which target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, file_sha256, library_versions
from hallulab.scoring.answer_file import BadLine, GivenAnswer, read_answers
from hallulab.scoring.grading import (
    DEFAULT_TARGET,
    GradedAnswers,
    GradeSummary,
    Ranked,
    Rate,
    audit,
    best_own_threshold,
    grade_all,
    labelled_risk_coverage,
    rank_models,
    regrade,
    score_curve,
)
from hallulab.theory.confidence_targets import penalty

RECORDS_PATTERN = "grades-answers-*.jsonl"


@dataclass(frozen=True)
class GradingSettings:
    """One grading of one file."""

    target: float = DEFAULT_TARGET
    """t: an answer should be given iff it is right with more than this probability"""
    skip_bad_lines: bool = False
    """grade the rest of a file in which some lines hold no answer"""
    seed: int = 0
    """of the bootstrap intervals"""

    def __post_init__(self) -> None:
        penalty(self.target)
        if self.seed < 0:
            raise RefusedInputError(f"expected a seed of 0 or more, got {self.seed}")


@dataclass(frozen=True, eq=False)
class GradingResult:
    """A graded file."""

    settings: GradingSettings
    source: str
    """name of the file"""
    sha256: str
    """of its bytes"""
    graded: GradedAnswers
    bad_lines: tuple[BadLine, ...]
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The object that `grade --json` prints."""
        target, seed = self.settings.target, self.settings.seed
        found = regrade(self.graded, target, seed=seed)
        curve, risk = score_curve(self.graded, seed=seed), labelled_risk_coverage(self.graded)
        own = best_own_threshold(self.graded, target)
        return {
            "source": self.source,
            "sha256": self.sha256,
            "target": target,
            "penalty": found.penalty,
            "reading": found.reading,
            "n": len(found.rows),
            "as_given": summary_json(found.as_given),
            "by_confidence": summary_json(found.by_confidence) if found.by_confidence else None,
            "binary_score": _binary_score(self.graded, seed),
            "break_even_target": curve.break_even if curve else None,
            "best_threshold": asdict(own) if own else None,
            "audit": [
                {
                    "target": point.target,
                    "answered": rate_json(point.answered),
                    "accuracy": rate_json(point.accuracy),
                    "verdict": point.verdict,
                }
                for point in audit(self.graded)
            ]
            if self.graded.knows_confidence
            else [],
            "risk_coverage": [
                {"target": t, "coverage": coverage, "risk": value}
                for t, coverage, value in zip(risk.targets, risk.coverage, risk.risk, strict=True)
            ]
            if risk
            else [],
            "ranking": ranking_json(self.graded, target, seed),
            "answers": [asdict(row) for row in found.rows],
            "bad_lines": [asdict(line) for line in self.bad_lines],
            "seed": seed,
        }


def grade_file(
    path: Path | str, settings: GradingSettings, *, records: RecordFile | None = None
) -> GradingResult:
    """Grade the answers of a file, without any model.

    Args:
        path: JSON lines as `scoring.answer_file` reads them.
        settings: of this grading.
        records: where grades are kept; a file that was recorded already is not recorded twice.

    Raises RefusedInputError for a file without answers, bad lines unless they may be skipped, and when `records`
    holds the grades of another file.
    """
    found = read_answers(path, skip_bad_lines=settings.skip_bad_lines)
    result = GradingResult(
        settings,
        Path(path).name,
        file_sha256(Path(path).expanduser()),
        grade_all(found.answers),
        found.bad_lines,
        library_versions(),
    )
    if records:
        _record(result, records)
    return result


def records_path(folder: Path, source: str) -> Path:
    """The file below `folder` that holds the grades of a file of this name."""
    return folder / f"grades-answers-{Path(source).stem}.jsonl"


def read_grading(records: RecordFile) -> GradingResult:
    """What a grading recorded, at the target asked for last.

    Raises RefusedInputError for records that this version cannot read.
    """
    found = records.read()
    headers = [record for record in found if record.get("kind") == "settings"]
    try:
        header = headers[-1]
        answers = [_answer(record) for record in found if record.get("kind") == "answer"]
        bad = tuple(
            BadLine(record["line"], record["reason"]) for record in found if record.get("kind") == "bad_line"
        )
        return GradingResult(
            GradingSettings(**header["settings"]),
            header["source"],
            header["sha256"],
            grade_all(answers),
            bad,
            header.get("versions", {}),
        )
    except (IndexError, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected grades of this version in {records.path}, got others ({error}): make them again with "
            "`python -m hallulab grade ANSWERS.jsonl --out FOLDER`"
        ) from error


def summary_json(summary: GradeSummary) -> dict[str, Any]:
    """A summary as JSON: every rate with its interval and n."""
    score = summary.score
    return {
        "n_by_grade": dict(summary.n_by_grade),
        "n_missing": summary.n_missing,
        "score": None
        if score is None
        else {"mean": score.mean, "low": score.interval.low, "high": score.interval.high, "n": score.n},
        "answered": rate_json(summary.answered),
        "accuracy": rate_json(summary.accuracy),
        "hallucination_rate": rate_json(summary.hallucination_rate),
    }


def rate_json(rate: Rate) -> dict[str, Any]:
    """A rate as JSON."""
    low, high = (rate.interval.low, rate.interval.high) if rate.interval else (None, None)
    return {"value": rate.value, "low": low, "high": high, "n": rate.n}


def ranking_json(graded: GradedAnswers, target: float, seed: int) -> list[dict[str, Any]]:
    """Models by points at binary grading and at the target; empty where only one answered."""
    if len(graded.models) < 2:
        return []
    binary = {one.model: one for one in rank_models(graded, 0.0, seed=seed)}
    return [_ranked_json(one, binary[one.model].rank) for one in rank_models(graded, target, seed=seed)]


def _ranked_json(one: Ranked, binary_rank: int) -> dict[str, Any]:
    below = one.below_first
    return {
        "model": one.model,
        "rank": one.rank,
        "binary_rank": binary_rank,
        "score": None if one.summary.score is None else one.summary.score.mean,
        "below_first": None
        if below is None
        else {"mean": below.mean, "p_value": below.p_value, "n": below.n},
    }


def _binary_score(graded: GradedAnswers, seed: int) -> float | None:
    score = regrade(graded, 0.0, seed=seed).as_given.score
    return None if score is None else score.mean


def _record(result: GradingResult, records: RecordFile) -> None:
    header = {
        "kind": "settings",
        "settings": asdict(result.settings),
        "source": result.source,
        "sha256": result.sha256,
        "versions": result.versions,
    }
    headers = [record for record in records.read() if record.get("kind") == "settings"]
    if any(earlier.get("sha256") != result.sha256 for earlier in headers):
        raise RefusedInputError(
            f"expected the grades of the same file in {records.path}, found those of another {result.source}: choose "
            "another --out"
        )
    lines: Sequence[dict[str, Any]] = (
        []
        if headers
        else [
            *(
                {"kind": "answer"}
                | asdict(one.given)
                | {"grade": one.grade, "rule": one.graded.rule, "reference": one.graded.reference}
                for one in result.graded.answers
            ),
            *({"kind": "bad_line"} | asdict(line) for line in result.bad_lines),
        ]
    )
    records.append_all([header, *lines])


def _answer(record: dict[str, Any]) -> GivenAnswer:
    own: dict[str, Any] = {one.name: record[one.name] for one in fields(GivenAnswer)}
    own |= {name: tuple(own[name]) for name in ("correct_answers", "incorrect_answers")}
    return GivenAnswer(**own)
