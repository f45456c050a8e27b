"""Grading somebody's answers, kept as records: what was read, what each answer was graded, at which target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from hallulab.data.target_prompts import target_sentence
from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, file_sha256, library_versions
from hallulab.scoring.answer_file import BadLine, GivenAnswer, read_answers
from hallulab.scoring.graded_answers import Answerer, GradedAnswers, grade_all
from hallulab.scoring.grading import (
    DEFAULT_TARGET,
    GradeSummary,
    Rate,
    UngradableRange,
    Withholding,
    regrade,
    score_curve,
    summarise,
)
from hallulab.scoring.grading_audit import (
    AuditPoint,
    OwnThreshold,
    audit_as_stated,
    audit_by_confidence,
    best_own_thresholds,
    labelled_risk_coverage,
)
from hallulab.scoring.grading_rank import RankedWay, Ranking, Standing, models_as_given, rank_ways, usual_ways
from hallulab.theory.clustered_rates import ClusteredMean
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
    """of the paired comparisons and of the interval of a threshold"""
    others_are_wrong: bool = False
    """an answer that says no reference is wrong rather than ungradable: all correct answers are listed"""

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

    def thresholds(self) -> tuple[OwnThreshold, ...]:
        """The best threshold of everybody who answered, with its interval."""
        rng = np.random.default_rng(self.settings.seed)
        return best_own_thresholds(self.graded, self.settings.target, rng=rng)

    def ranking(self) -> Ranking:
        """The usual ways to answer, under binary grading and at the target."""
        target = self.settings.target
        return rank_ways(self.graded, usual_ways(self.graded, target), target, seed=self.settings.seed)

    def to_json(self) -> dict[str, Any]:
        """The object that `grade --json` prints."""
        target, graded = self.settings.target, self.graded
        found, curve, risk = regrade(graded, target), score_curve(graded), labelled_risk_coverage(graded)
        is_one = len(graded.answerers) == 1
        own = self.thresholds()
        return {
            "source": self.source,
            "sha256": self.sha256,
            "target": target,
            "penalty": found.penalty,
            "reading": found.reading,
            "prompt_sentence": target_sentence(target),
            "others_are_wrong": self.settings.others_are_wrong,
            "n": len(found.rows),
            "n_questions": found.as_given.n_questions,
            "as_given": summary_json(found.as_given),
            "by_confidence": summary_json(found.by_confidence) if found.by_confidence else None,
            "withholding": withholding_json(found.withholding),
            "worth": found.as_given.worth if is_one else None,
            "binary_score": _binary_score(graded),
            "break_even_target": curve.break_even if curve else None,
            "best_threshold": threshold_json(own[0]) if is_one and own else None,
            "answerers": [self._answerer_json(who, own) for who in graded.answerers],
            "audit": [audit_json(point) for point in audit_by_confidence(graded)],
            "stated_audit": [audit_json(point) for point in audit_as_stated(graded)],
            "risk_coverage": [
                {"target": t, "coverage": coverage, "risk": value}
                for t, coverage, value in zip(risk.targets, risk.coverage, risk.risk, strict=True)
            ]
            if risk
            else [],
            "ranking": self._models_json() if not is_one else [],
            "ways": ranking_json(self.ranking()),
            "answers": [asdict(row) for row in found.rows],
            "bad_lines": [asdict(line) for line in self.bad_lines],
            "seed": self.settings.seed,
        }

    def _answerer_json(self, who: Answerer, thresholds: Sequence[OwnThreshold]) -> dict[str, Any]:
        own = self.graded.of(who)
        found, curve = regrade(own, self.settings.target), score_curve(own)
        threshold = next((one for one in thresholds if one.answerer == who), None)
        return {
            "model": who.model,
            "stated_target": who.stated_target,
            "n": len(own.answers),
            "as_given": summary_json(found.as_given),
            "by_confidence": summary_json(found.by_confidence) if found.by_confidence else None,
            "withholding": withholding_json(found.withholding),
            "worth": found.as_given.worth,
            "break_even_target": curve.break_even if curve else None,
            "best_threshold": threshold_json(threshold) if threshold else None,
        }

    def _models_json(self) -> list[dict[str, Any]]:
        """Everybody with all their answers, on the questions that all have in common."""
        ways = models_as_given(self.graded)
        return ranking_json(rank_ways(self.graded, ways, self.settings.target, seed=self.settings.seed))


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
        grade_all(found.answers, others_are_wrong=settings.others_are_wrong),
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
        settings = GradingSettings(**header["settings"])
        return GradingResult(
            settings,
            header["source"],
            header["sha256"],
            grade_all(answers, others_are_wrong=settings.others_are_wrong),
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
    return {
        "n_by_grade": dict(summary.n_by_grade),
        "n_questions": summary.n_questions,
        "n_missing": summary.n_missing,
        "n_never_wrong": summary.n_never_wrong,
        "score": mean_json(summary.score),
        "answered": rate_json(summary.answered),
        "accuracy": rate_json(summary.accuracy),
        "hallucination_rate": rate_json(summary.hallucination_rate),
        "if_ungradable": _range_json(summary.ungradable),
    }


def rate_json(rate: Rate) -> dict[str, Any]:
    """A rate as JSON."""
    low, high = (rate.interval.low, rate.interval.high) if rate.interval else (None, None)
    return {"value": rate.value, "low": low, "high": high, "n": rate.n}


def mean_json(mean: ClusteredMean | None) -> dict[str, Any] | None:
    """Points a question as JSON."""
    if mean is None:
        return None
    return {"mean": mean.mean, "low": mean.interval.low, "high": mean.interval.high, "n": mean.n}


def withholding_json(found: Withholding | None) -> dict[str, Any] | None:
    """What withholding changes, on the answers for which both policies are known."""
    if found is None:
        return None
    return {
        "as_given": summary_json(found.as_given),
        "by_confidence": summary_json(found.by_confidence),
        "gain": mean_json(found.gain),
        "n_withheld": found.n_withheld,
    }


def threshold_json(found: OwnThreshold) -> dict[str, Any]:
    """A best threshold as JSON; −inf, answer always, becomes null."""
    return {
        "threshold": found.threshold,
        "low": found.interval.low if found.interval else None,
        "high": found.interval.high if found.interval else None,
        "score": found.score,
        "n": found.n,
    }


def audit_json(point: AuditPoint) -> dict[str, Any]:
    """One point of an audit as JSON."""
    return {
        "model": point.answerer.model,
        "stated_target": point.answerer.stated_target,
        "target": point.target,
        "answered": rate_json(point.answered),
        "accuracy": rate_json(point.accuracy),
        "n_ungradable": point.n_ungradable,
        "verdict": point.verdict,
    }


def ranking_json(ranking: Ranking) -> list[dict[str, Any]]:
    """Ways to answer under both gradings as JSON, the best at the target first."""
    return [_way_json(one, ranking.n_questions) for one in ranking.ways]


def _way_json(one: RankedWay, n_shared: int) -> dict[str, Any]:
    who = one.way.answerer
    return {
        "name": one.way.name,
        "model": who.model if who else None,
        "stated_target": who.stated_target if who else None,
        "threshold": one.way.threshold,
        "rank": one.at_target.rank,
        "binary_rank": one.binary.rank,
        "score": one.at_target.points,
        "binary_score": one.binary.points,
        "below_first": below_json(one.at_target),
        "binary_below_first": below_json(one.binary),
        "n": n_shared,
        "n_own": one.n_own,
        "n_ungradable": one.n_ungradable,
    }


def below_json(standing: Standing) -> dict[str, Any] | None:
    """How far one way is behind the first, as JSON."""
    below = standing.below_first
    if below is None:
        return None
    return {
        "mean": below.mean,
        "low": below.interval.low,
        "high": below.interval.high,
        "p_value": below.p_value,
        "p_holm": standing.p_holm,
        "n": below.n,
    }


def _range_json(found: UngradableRange | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "n": found.n,
        "score_if_wrong": mean_json(found.score_if_wrong),
        "score_if_abstained": mean_json(found.score_if_abstained),
        "score_if_right": mean_json(found.score_if_right),
        "hallucination_rate_if_wrong": found.hallucination_rate_if_wrong,
        "hallucination_rate_otherwise": found.hallucination_rate_otherwise,
    }


def _binary_score(graded: GradedAnswers) -> float | None:
    score = summarise(graded, 0.0).score
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
