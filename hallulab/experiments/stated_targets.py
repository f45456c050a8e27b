"""Does a confidence target that the prompt states change what a local model does? (§4 of [KNVZ], its second check)

Every checkpoint answers the same questions with the plain prompt, with each target stated, and with a sentence of like
length that states none: what that control changes as well is no effect of the target.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hallulab.data.birthday_questions import birthday_questions, same_answer
from hallulab.data.coins import check_whole
from hallulab.data.question_sets import (
    QUESTION_SETS,
    ReferencedQuestion,
    load_question_set,
    question_set_sha256,
)
from hallulab.data.target_prompts import OTHER_SENTENCE, targeted_prompt
from hallulab.engine.core import Engine
from hallulab.engine.word_batches import answer_batches
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.engine.word_prompts import checked_chat_ids
from hallulab.engine.words import GenerationSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.asked_model import AskedModel, asked_model
from hallulab.experiments.run_log import QuestionsHeader, RunLog, record_format
from hallulab.models.qwen import LoadedQwen
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.answer_file import GivenAnswer
from hallulab.scoring.graded_answers import GradedAnswers, grade_all
from hallulab.theory.confidence_targets import penalty, target_text

RECORDS_PATTERN = "grades-targets-*.jsonl"
BIRTHDAYS = "birthdays"
SETS = (BIRTHDAYS, *QUESTION_SETS)
PLAIN, CONTROL = "plain", "other sentence"
"""prompts that state no target: the bare question, and the question with the control sentence"""
MAY_GROW = ("checkpoints", "targets")


@dataclass(frozen=True)
class StatedTargetsSettings:
    """One run."""

    question_set: str = BIRTHDAYS
    """one of `SETS`"""
    n_questions: int | None = 200
    """spread evenly over the set; None: all"""
    checkpoints: tuple[str, ...] = ()
    """who answers; none named: every checkpoint of the preset"""
    targets: tuple[float, ...] = (0.0, 0.5, 0.75, 0.9, 0.95)
    """stated one after the other; 0 states binary grading"""
    temperature: float = 0.0
    """of the answers; 0 takes the likeliest token"""
    max_new_tokens: int = 40
    seed: int = 0
    """of sampled answers and of the bootstrap"""

    def __post_init__(self) -> None:
        if self.question_set not in SETS:
            raise RefusedInputError(
                f"unknown question set {self.question_set!r}: use one of {', '.join(SETS)}"
            )
        if self.n_questions is not None:
            check_whole("n_questions", self.n_questions, 1, 1_000_000)
        check_whole("seed", self.seed, 0, 2**31)
        for target in self.targets:
            penalty(target)
        if len(set(self.targets)) < len(self.targets):
            raise RefusedInputError(f"expected every target once, got {self.targets}")
        _ = self.generation

    @property
    def generation(self) -> GenerationSettings:
        """How answers are drawn."""
        return GenerationSettings(self.max_new_tokens, self.temperature)

    @property
    def prompts(self) -> tuple["PromptKind", ...]:
        """Every kind of prompt, the plain one first."""
        return (
            PromptKind(PLAIN),
            PromptKind(CONTROL),
            *(PromptKind(f"t = {target_text(target)}", target) for target in self.targets),
        )


@dataclass(frozen=True)
class PromptKind:
    """What stands below the question."""

    name: str
    target: float | None = None
    """that is stated"""

    def prompt(self, question: str) -> str:
        """What the model reads."""
        if self.target is not None:
            return targeted_prompt(question, self.target)
        return question if self.name == PLAIN else f"{question}\n{OTHER_SENTENCE}"


@dataclass(frozen=True)
class TargetAnswer:
    """One answer of one checkpoint to one kind of prompt."""

    checkpoint: str
    prompt: str
    """the name of a `PromptKind`"""
    question_id: str
    answer: str
    confidence: float
    """p̂ of the answer after this prompt, all wordings that `same_answer` knows together, end token included"""
    is_complete: bool
    """False when it was cut at its longest"""


@dataclass(frozen=True)
class StatedTargetsResult:
    """What a run measured."""

    settings: StatedTargetsSettings
    questions: tuple[ReferencedQuestion, ...]
    models: tuple[AskedModel, ...]
    answers: tuple[TargetAnswer, ...]
    versions: dict[str, str]

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Who answered, in the order of the records."""
        return tuple(model.checkpoint for model in self.models)

    def graded(self, checkpoint: str, prompt: str = PLAIN) -> GradedAnswers:
        """One checkpoint's answers to one kind of prompt, in the order of the questions."""
        found = {
            one.question_id: one
            for one in self.answers
            if one.checkpoint == checkpoint and one.prompt == prompt
        }
        target = next(kind.target for kind in self.settings.prompts if kind.name == prompt)
        return grade_all(
            [
                given_answer(question, found[question.id], target)
                for question in self.questions
                if question.id in found
            ]
        )


@dataclass(frozen=True)
class TargetsStep:
    """How far a run is."""

    note: str
    n_done: int
    n_total: int
    result: StatedTargetsResult | None = None
    """of the last step"""


def run_stated_targets(
    engine: Engine,
    settings: StatedTargetsSettings,
    *,
    records: RecordFile | None = None,
    questions_path: Path | str | None = None,
) -> Generator[TargetsStep]:
    """Let every checkpoint answer every kind of prompt; the last step holds the result. Close it to stop.

    Holds the engine's device queue while it works.

    Args:
        engine: of the preset whose checkpoints answer.
        settings: the run.
        records: where answers are kept; those it already holds are not written again.
        questions_path: a local copy of the question set, as `load_question_set`.

    Raises RefusedInputError for an unknown checkpoint or question set, and when `records` belongs to a run with other
    settings, other questions or other weights under a checkpoint's name.
    """
    names = settings.checkpoints or engine.checkpoint_names("words")
    for name in names:
        engine.checkpoint_place("words", name)
    questions = asked_questions(settings, questions_path)
    header = HEADER.written(settings, question_set_sha256(questions))
    log: RunLog[Recorded] = RunLog(FORMAT, records)
    log.check(HEADER.decides(header), HEADER.decides)
    log.begin(header)
    log.keep_new(questions)
    n_total = len(names) * len(settings.prompts) * len(questions)
    n_done = 0
    with engine.job("stated targets"):
        for name in names:
            qwen = engine.qwen(name)
            model = asked_model(engine, name)
            log.check_weights(model)
            log.keep_new([model])
            for kind in settings.prompts:
                left = [q for q in questions if ("answer", name, kind.name, q.id) not in log.items]
                n_done += len(questions) - len(left)
                for batch in _answered(qwen, name, kind, left, settings):
                    log.keep(batch)
                    n_done += len(batch)
                    yield TargetsStep(f"{name}, {kind.name}", n_done, n_total)
    result = _result(log, replace(settings, checkpoints=tuple(names)), library_versions())
    yield TargetsStep("done", n_total, n_total, result)


def asked_questions(
    settings: StatedTargetsSettings, path: Path | str | None = None
) -> tuple[ReferencedQuestion, ...]:
    """The questions of a run, spread evenly over the set."""
    if settings.question_set == BIRTHDAYS:
        return birthday_questions(settings.n_questions)
    everything = load_question_set(settings.question_set, path)
    n = min(settings.n_questions or len(everything), len(everything))
    return tuple(everything[place * len(everything) // n] for place in range(n))


def given_answer(
    question: ReferencedQuestion, answer: TargetAnswer, target: float | None = None
) -> GivenAnswer:
    """An answer as `grade` reads it from a file."""
    return GivenAnswer(
        id=question.id,
        question=question.question,
        answer=answer.answer,
        correct_answers=question.correct_answers,
        incorrect_answers=question.incorrect_answers,
        confidence=answer.confidence,
        model=answer.checkpoint,
        stated_target=target,
    )


def records_path(folder: Path, settings: StatedTargetsSettings) -> Path:
    """The file below `folder` that holds this run's answers."""
    how = "greedy" if settings.temperature == 0 else f"T{settings.temperature:g}"
    return folder / f"grades-targets-{settings.question_set}-{how}.jsonl"


def read_stated_targets(records: RecordFile) -> StatedTargetsResult:
    """What a run recorded, finished or killed.

    Raises RefusedInputError for records that this version cannot read.
    """
    log: RunLog[Recorded] = RunLog(FORMAT, records)
    if not log.headers:
        raise RefusedInputError(
            f"expected a run of stated targets in {records.path}, found none: make one with "
            "`python -m hallulab targets --out FOLDER`"
        )
    asked = [HEADER.settings(header) for header in log.headers]
    every_target = dict.fromkeys(target for settings in asked for target in settings.targets)
    names = tuple(model.checkpoint for model in log.of_type(AskedModel))
    grown = replace(asked[-1], checkpoints=names, targets=tuple(every_target))
    return _result(log, grown, log.headers[-1].get("versions", {}))


def _answered(
    qwen: LoadedQwen,
    checkpoint: str,
    kind: PromptKind,
    left: Sequence[ReferencedQuestion],
    settings: StatedTargetsSettings,
) -> Iterator[list[TargetAnswer]]:
    """Answers with their confidences, batch after batch."""
    prompts = [kind.prompt(question.question) for question in left]
    seeds = [settings.seed + place for place in range(len(left))]
    prompt_ids = [checked_chat_ids(qwen, prompt) for prompt in prompts]
    for batch in answer_batches(qwen, prompt_ids, seeds, settings.generation):
        texts = {place: answer.text for place, answer in batch.items()}
        confidences = _confidences(qwen, {place: prompts[place] for place in batch}, texts)
        yield [
            TargetAnswer(
                checkpoint,
                kind.name,
                left[place].id,
                answer.text,
                confidences[place],
                answer.is_complete,
            )
            for place, answer in batch.items()
        ]


def _confidences(qwen: LoadedQwen, prompts: dict[int, str], texts: dict[int, str]) -> dict[int, float]:
    """How likely the model is to say this, in any of its known wordings."""
    pairs = [(place, wording) for place, text in texts.items() for wording in same_answer(text)]
    scores = log_likelihoods(qwen, [prompts[place] for place, _ in pairs], [wording for _, wording in pairs])
    found = dict.fromkeys(texts, 0.0)
    for (place, _), score in zip(pairs, np.exp(scores), strict=True):
        found[place] += float(score)
    return {place: min(1.0, value) for place, value in found.items()}


def _result(
    log: RunLog["Recorded"], settings: StatedTargetsSettings, versions: dict[str, str]
) -> StatedTargetsResult:
    """Everything measured so far of the checkpoints that the settings name."""
    models = {model.checkpoint: model for model in log.of_type(AskedModel)}
    names = settings.checkpoints
    return StatedTargetsResult(
        settings,
        tuple(log.of_type(ReferencedQuestion)),
        tuple(models[name] for name in names if name in models),
        tuple(answer for answer in log.of_type(TargetAnswer) if answer.checkpoint in names),
        versions,
    )


Recorded = AskedModel | ReferencedQuestion | TargetAnswer
"""What is kept of a run, one line each."""


def _key_of(item: Recorded) -> tuple[str, ...]:
    match item:
        case AskedModel():
            return "model", item.checkpoint
        case ReferencedQuestion():
            return "question", item.id
        case TargetAnswer():
            return "answer", item.checkpoint, item.prompt, item.question_id


EXPERIMENT = "a run of stated targets"
HEADER = QuestionsHeader(EXPERIMENT, StatedTargetsSettings, MAY_GROW)
FORMAT = record_format(
    EXPERIMENT,
    {"model": AskedModel, "question": ReferencedQuestion, "answer": TargetAnswer},
    _key_of,
)
