"""The whole words experiment of [LHZSL] in one resumable run: resemblance with its controls, then text verdicts."""

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hallulab.data.paper_table_1 import SOURCE, TABLE_1
from hallulab.data.question_sets import QUESTION_SETS, ReferencedQuestion
from hallulab.engine.core import Engine
from hallulab.errors import RefusedInputError
from hallulab.experiments.words_resemblance import (
    RECORDS_PREFIX,
    OpenResemblance,
    read_words_resemblance,
    records_path,
    records_paths,
)
from hallulab.experiments.words_resemblance_run import ResemblanceResult, WordsResemblanceSettings
from hallulab.experiments.words_resemblance_summary import (
    CheckpointSummary,
    ResemblanceSummary,
    summarise_resemblance,
)
from hallulab.experiments.words_verdicts import RECORDS_NAME, OpenVerdicts, read_words_verdicts
from hallulab.experiments.words_verdicts_rows import CheckpointRow, VerdictsSummary
from hallulab.experiments.words_verdicts_run import VerdictsResult, WordsVerdictsSettings
from hallulab.experiments.words_verdicts_summary import summarise_verdicts
from hallulab.experiments.workers import Workers, process_paths
from hallulab.records import RecordFile

Part = Literal["resemblance", "verdicts"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class WordsSweepSettings:
    """What a sweep is made of."""

    parts: tuple[Part, ...] = PARTS
    """experiments that are run"""
    question_set: str = "truthfulqa"
    """one of `QUESTION_SETS`"""
    resemblance: WordsResemblanceSettings = field(default_factory=WordsResemblanceSettings)
    verdicts: WordsVerdictsSettings = field(default_factory=WordsVerdictsSettings)

    def __post_init__(self) -> None:
        if not self.parts or not set(self.parts) <= set(PARTS):
            raise RefusedInputError(f"expected parts out of {', '.join(PARTS)}, got {', '.join(self.parts)}")
        if self.question_set not in QUESTION_SETS:
            raise RefusedInputError(
                f"unknown question set {self.question_set!r}: use one of {', '.join(QUESTION_SETS)}"
            )


@dataclass(frozen=True)
class SweepStep:
    """How far a sweep is."""

    part: str
    """which of the two experiments"""
    message: str
    part_done: int
    part_total: int
    n_done: int
    """over both experiments: answers to referenced questions, and questions of the verdicts (once per table)"""
    n_total: int


@dataclass(frozen=True)
class ResemblanceRun:
    """One file of answers to referenced questions."""

    path: Path
    question_set: str
    result: ResemblanceResult
    summary: ResemblanceSummary
    versions: dict[str, str]
    """of the libraries that measured"""


@dataclass(frozen=True)
class VerdictsRun:
    """The file of text verdicts."""

    path: Path
    result: VerdictsResult
    summary: VerdictsSummary
    versions: dict[str, str]


@dataclass(frozen=True)
class SweepRow:
    """One checkpoint in both experiments: a line of Table 1."""

    checkpoint: str
    resemblance: CheckpointSummary | None
    verdicts: CheckpointRow | None


@dataclass(frozen=True)
class WordsSweep:
    """Everything in the folder of a sweep: every question set and variant asked so far."""

    resemblance: tuple[ResemblanceRun, ...]
    verdicts: VerdictsRun | None

    @property
    def record_paths(self) -> tuple[Path, ...]:
        """The files it was read from."""
        runs = [*self.resemblance, *([self.verdicts] if self.verdicts else [])]
        return tuple(path for run in runs for path in process_paths(run.path))


def sweep_settings(
    question_set: str = "truthfulqa",
    *,
    parts: tuple[Part, ...] = PARTS,
    limit: int | None = None,
    seed: int = 0,
    **resemblance: Any,
) -> WordsSweepSettings:
    """The settings of both experiments from what a person chooses.

    Args:
        question_set: one of `QUESTION_SETS`.
        parts: experiments that are run.
        limit: at most so many referenced questions, and open-ended questions of every kind; None: all.
        seed: of both.
        resemblance: further fields of `WordsResemblanceSettings`; `checkpoints` is for both.
    """
    whole = WordsVerdictsSettings()
    if limit is not None and limit < 1:
        raise RefusedInputError(f"expected a limit of at least 1 question, got {limit}")
    n = {
        name: getattr(whole, name) if limit is None else min(limit, getattr(whole, name))
        for name in ("n_known", "n_reworded", "n_unknown")
    }
    checkpoints = tuple(resemblance.get("checkpoints", ()))
    if limit is not None:  # a question of a few has fewer others
        resemblance.setdefault("n_others", max(1, min(WordsResemblanceSettings.n_others, limit - 1)))
    return WordsSweepSettings(
        parts,
        question_set,
        WordsResemblanceSettings(n_questions=limit, seed=seed, **resemblance),
        WordsVerdictsSettings(checkpoints=checkpoints, seed=seed, **n),
    )


def run_words_sweep(
    engine: Engine,
    settings: WordsSweepSettings,
    questions: Sequence[ReferencedQuestion],
    folder: Path,
    *,
    workers: Workers | None = None,
) -> Generator[SweepStep]:
    """Run the experiments; what `folder` already holds is not measured again. Close it to stop.

    Args:
        engine: of the preset whose checkpoints answer.
        settings: of both.
        questions: of the question set, as `load_question_set` gives them; unused without the resemblance.
        folder: where the records go, one file per question set and variant and one of verdicts, and one of each more
            for every further process.
        workers: the processes that share the work, one by default.

    Raises RefusedInputError as the two experiments do, before either has written anything.
    """
    resemblance = verdicts = None
    if "resemblance" in settings.parts:
        path = records_path(folder, settings.resemblance, settings.question_set)
        resemblance = OpenResemblance(
            engine, settings.resemblance, questions, records=RecordFile(path), workers=workers
        )
    if "verdicts" in settings.parts:
        records = RecordFile(folder / RECORDS_NAME)
        verdicts = OpenVerdicts(engine, settings.verdicts, records=records, workers=workers)
    n_answers, n_judged = (opened.n_total if opened else 0 for opened in (resemblance, verdicts))
    for part, opened, n_before in (("resemblance", resemblance, 0), ("text verdicts", verdicts, n_answers)):
        for step in opened.run() if opened else ():
            yield SweepStep(
                part, step.message, step.n_done, step.n_total, n_before + step.n_done, n_answers + n_judged
            )


def read_words_sweep(folder: Path) -> WordsSweep:
    """Everything that sweeps recorded in a folder, finished or killed.

    Raises RefusedInputError for a folder without such records, and for records of another version.
    """
    runs = tuple(_resemblance_run(path) for path in sorted(records_paths(folder), key=_set_order))
    path = folder / RECORDS_NAME
    if not runs and not path.is_file():
        raise RefusedInputError(
            f"expected the records of a words sweep in {folder}, found none: make them with "
            "`python -m hallulab sweep words --out FOLDER`"
        )
    verdicts = None
    if path.is_file():
        result = read_words_verdicts(RecordFile(path))
        verdicts = VerdictsRun(path, result, summarise_verdicts(result), _versions(path))
    return WordsSweep(runs, verdicts)


def sweep_rows(resemblance: ResemblanceSummary | None, verdicts: VerdictsSummary | None) -> list[SweepRow]:
    """Table 1: every checkpoint of either experiment, in the order of the preset."""
    scored = {row.checkpoint: row for row in (resemblance.checkpoints if resemblance else ())}
    judged = {row.checkpoint: row for row in (verdicts.checkpoints if verdicts else ())}
    return [SweepRow(name, scored.get(name), judged.get(name)) for name in dict.fromkeys((*scored, *judged))]


def paper_table() -> dict[str, Any]:
    """The paper's own Table 1 for `--json`, labelled as such."""
    return {"source": SOURCE, "measured_here": False, "rows": [asdict(one) for one in TABLE_1]}


def _resemblance_run(path: Path) -> ResemblanceRun:
    result = read_words_resemblance(RecordFile(path))
    name = path.stem.removeprefix(RECORDS_PREFIX).removesuffix(f"-{result.settings.variant}")
    return ResemblanceRun(path, name, result, summarise_resemblance(result), _versions(path))


def _set_order(path: Path) -> tuple[bool, str]:
    """TruthfulQA before others: it is the paper's set."""
    return "truthfulqa" not in path.name, path.name


def _versions(path: Path) -> dict[str, str]:
    return next((r["versions"] for r in RecordFile(path).read() if r.get("kind") == "settings"), {})
