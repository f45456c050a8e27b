"""How likely checkpoints find every plausible answer, valid or not: what Is-It-Valid is measured on, resumable."""

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from hallulab.data.candidate_answers import CANDIDATE_SETS, CandidateQuestion, candidate_questions
from hallulab.data.coins import check_whole
from hallulab.engine.core import Engine
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.errors import RefusedInputError
from hallulab.experiments.asked_model import AskedModel, asked_model
from hallulab.experiments.poor_models import FILE_NAME as POOR_MODELS_FILE
from hallulab.experiments.run_log import QuestionsHeader, RunLog, record_format
from hallulab.models.qwen import LoadedQwen
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.job_progress import taking_turns

RECORDS_PATTERN = "iiv-*.jsonl"
MAY_GROW = ("checkpoints",)
DEFAULT_SETS = ("misconceptions", "open_ended", "known_answers", "birthdays")
"""what ships with the project"""
SCORED_AT_ONCE = 500
"""wordings between two steps, about: a page can stop only there"""


@dataclass(frozen=True)
class IivSettings:
    """One run: one question set, checkpoint after checkpoint."""

    question_set: str = "birthdays"
    """one of `CANDIDATE_SETS`"""
    n_questions: int | None = 100
    """spread evenly over the set; None: all"""
    checkpoints: tuple[str, ...] = ()
    """which; none named: every checkpoint of the preset"""
    seed: int = 0
    """of the errors that open-ended questions borrow, and of the bootstrap"""

    def __post_init__(self) -> None:
        if self.question_set not in CANDIDATE_SETS:
            raise RefusedInputError(
                f"unknown question set {self.question_set!r}: use one of {', '.join(CANDIDATE_SETS)}"
            )
        if self.n_questions is not None:
            check_whole("n_questions", self.n_questions, 1, 1_000_000)
        check_whole("seed", self.seed, 0, 2**31)
        if len(set(self.checkpoints)) < len(self.checkpoints):
            raise RefusedInputError(
                f"expected every checkpoint once, got {', '.join(self.checkpoints)}: name each once"
            )


@dataclass(frozen=True)
class ListedQuestion:
    """A question of a run with its plausible answers."""

    id: str
    question: str
    category: str
    answers: tuple[str, ...]
    """the first wording of each"""
    is_valid: tuple[bool, ...]
    data_probability: tuple[float, ...]


@dataclass(frozen=True)
class CandidateScores:
    """What one checkpoint finds likely after one question."""

    checkpoint: str
    question_id: str
    log_likelihoods: tuple[float, ...]
    """ln p̂(r|c) of every answer, all its wordings together, end token included, nats"""
    n_tokens: tuple[float, ...]
    """of every answer, end token included, mean over its wordings"""


@dataclass(frozen=True)
class IivResult:
    """Everything a run measured so far."""

    settings: IivSettings
    questions: tuple[ListedQuestion, ...]
    models: tuple[AskedModel, ...]
    scores: dict[tuple[str, str], CandidateScores]
    """by checkpoint and question"""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IivStep:
    """How far a run is."""

    note: str
    n_done: int
    """questions, times checkpoints"""
    n_total: int
    result: IivResult | None = None
    """what there is so far; None while the device is waited for"""


def run_iiv(
    engine: Engine,
    settings: IivSettings,
    *,
    records: RecordFile | None = None,
    questions_path: Path | str | None = None,
) -> Generator[IivStep]:
    """Score every answer of every question under every checkpoint, step by step; close it to stop.

    Holds the engine's device queue while it works.

    Args:
        engine: of the preset whose checkpoints are asked.
        settings: the run.
        records: where scores are kept; those it already holds are not computed again.
        questions_path: a local copy of the question set, as `load_question_set`.

    Raises RefusedInputError for an unknown checkpoint or question set, and when `records` belongs to a run with other
    settings, other questions or other weights under a checkpoint's name.
    """
    names = settings.checkpoints or engine.checkpoint_names("words")
    for name in names:
        engine.checkpoint_place("words", name)
    asked = candidate_questions(
        settings.question_set, settings.n_questions, path=questions_path, seed=settings.seed
    )
    header = HEADER.written(settings, _sha256(asked))
    log: RunLog[Recorded] = RunLog(FORMAT, records)
    log.check(HEADER.decides(header), HEADER.decides)
    log.begin(header)
    log.keep_new(map(_listed, asked))
    named = replace(settings, checkpoints=tuple(names))
    n_total = len(names) * len(asked)
    with engine.enter("Is-It-Valid") as ticket:
        for waiting in taking_turns(ticket):
            yield IivStep(waiting.message, 0, n_total)
        for place, name in enumerate(names):
            qwen = engine.qwen(name)
            model = asked_model(engine, name)
            log.check_weights(model)
            log.keep_new([model])
            left = [question for question in asked if ("scores", name, question.id) not in log.items]
            n_done = (place + 1) * len(asked) - len(left)
            for batch in _batches(left):
                log.keep(_scored(qwen, name, batch))
                n_done += len(batch)
                yield IivStep(name, n_done, n_total, _result(log, named, library_versions()))
    yield IivStep("done", n_total, n_total, _result(log, named, library_versions()))


def records_path(folder: Path, settings: IivSettings) -> Path:
    """The file below `folder` that holds this run's scores."""
    return folder / f"iiv-{settings.question_set}.jsonl"


def read_runs(folder: Path) -> tuple[IivResult, ...]:
    """Every run recorded in a folder, finished or killed, by file name.

    Raises RefusedInputError for records that this version cannot read.
    """
    paths = sorted(folder.glob(RECORDS_PATTERN))
    return tuple(_read_run(RecordFile(path)) for path in paths if path.name != POOR_MODELS_FILE)


def _batches(questions: Sequence[CandidateQuestion]) -> Generator[list[CandidateQuestion]]:
    """Questions whose answers are scored together, so that short lists do not go one by one."""
    batch: list[CandidateQuestion] = []
    for question in questions:
        batch.append(question)
        if sum(len(one.wordings) for asked in batch for one in asked.candidates) >= SCORED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _scored(
    qwen: LoadedQwen, checkpoint: str, questions: Sequence[CandidateQuestion]
) -> list[CandidateScores]:
    rows = [
        (question.question, wording)
        for question in questions
        for candidate in question.candidates
        for wording in candidate.wordings
    ]
    totals = iter(log_likelihoods(qwen, [row[0] for row in rows], [row[1] for row in rows]))
    found = []
    for question in questions:
        together, lengths = [], []
        for candidate in question.candidates:
            together.append(float(np.logaddexp.reduce([next(totals) for _ in candidate.wordings])))
            lengths.append(float(np.mean([_n_tokens(qwen, text) for text in candidate.wordings])))
        found.append(CandidateScores(checkpoint, question.id, tuple(together), tuple(lengths)))
    return found


def _n_tokens(qwen: LoadedQwen, text: str) -> int:
    return len(qwen.tokenizer(text, add_special_tokens=False)["input_ids"]) + 1


def _listed(question: CandidateQuestion) -> ListedQuestion:
    return ListedQuestion(
        question.id,
        question.question,
        question.category,
        tuple(one.wordings[0] for one in question.candidates),
        tuple(one.is_valid for one in question.candidates),
        tuple(one.data_probability for one in question.candidates),
    )


def _sha256(questions: Sequence[CandidateQuestion]) -> str:
    content = [[q.question, [asdict(one) for one in q.candidates]] for q in questions]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _read_run(records: RecordFile) -> IivResult:
    log: RunLog[Recorded] = RunLog(FORMAT, records)
    if not log.headers:
        raise RefusedInputError(
            f"expected an Is-It-Valid run in {records.path}, found none: make one with "
            "`python -m hallulab iiv --out FOLDER`"
        )
    settings = HEADER.settings(log.headers[-1])
    names = tuple(model.checkpoint for model in log.of_type(AskedModel))
    return _result(log, replace(settings, checkpoints=names), log.headers[-1].get("versions", {}))


def _result(log: RunLog["Recorded"], settings: IivSettings, versions: dict[str, str]) -> IivResult:
    """Everything measured so far of the checkpoints that the settings name."""
    models = {model.checkpoint: model for model in log.of_type(AskedModel)}
    names = settings.checkpoints
    return IivResult(
        settings,
        tuple(log.of_type(ListedQuestion)),
        tuple(models[name] for name in names if name in models),
        {
            (one.checkpoint, one.question_id): one
            for one in log.of_type(CandidateScores)
            if one.checkpoint in names
        },
        versions,
    )


Recorded = AskedModel | ListedQuestion | CandidateScores
"""What is kept of a run, one line each."""


def _key_of(item: Recorded) -> tuple[str, ...]:
    match item:
        case AskedModel():
            return "model", item.checkpoint
        case ListedQuestion():
            return "question", item.id
        case CandidateScores():
            return "scores", item.checkpoint, item.question_id


EXPERIMENT = "an Is-It-Valid run"
HEADER = QuestionsHeader(EXPERIMENT, IivSettings, MAY_GROW)
FORMAT = record_format(
    EXPERIMENT,
    {"model": AskedModel, "question": ListedQuestion, "scores": CandidateScores},
    _key_of,
)
