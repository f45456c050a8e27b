"""Do answers grow more like common wrong answers with fine-tuning? Table 1 of [LHZSL], with its controls.

Every checkpoint answers the same questions with the same seeds; `words_resemblance_summary` sums up.
"""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hallulab.data.question_sets import ReferencedQuestion, question_set_sha256
from hallulab.engine.core import Engine
from hallulab.engine.word_batches import answer_batches
from hallulab.engine.word_prompts import checked_prompt_ids
from hallulab.engine.words import Answer
from hallulab.errors import RefusedInputError
from hallulab.experiments.run_log import RunLog
from hallulab.experiments.words_length_twins import TwinWriter
from hallulab.experiments.words_resemblance_run import (
    FORMAT,
    AnsweringModel,
    LengthTwins,
    ListedAnswer,
    QuestionsUsed,
    Recorded,
    ResemblanceResult,
    ResemblanceStep,
    ScoredAnswer,
    WordsResemblanceSettings,
    decides,
    header_of,
    read_header,
)
from hallulab.experiments.workers import PROCESS, Workers
from hallulab.models.qwen import LoadedQwen
from hallulab.records import RecordFile
from hallulab.scoring.grades import grade_answer
from hallulab.scoring.resemblance import Strangers, resemblance, strangers_of
from hallulab.scoring.training_history import adapter_training, order_of_training

RECORDS_PREFIX = "words-resemblance-"
TEXTS_AT_ONCE = 500
"""controls that are measured between two steps"""


def run_words_resemblance(
    engine: Engine,
    settings: WordsResemblanceSettings,
    questions: Sequence[ReferencedQuestion],
    *,
    records: RecordFile | None = None,
    workers: Workers | None = None,
) -> Generator[ResemblanceStep]:
    """Let every checkpoint answer and score the answers; the last step holds the result. Close it to stop.

    Holds the engine's device queue while it works. Arguments and errors as `OpenResemblance`.
    """
    yield from OpenResemblance(engine, settings, questions, records=records, workers=workers).run()


class OpenResemblance:
    """A run whose checkpoints, questions and records have been found to fit together; nothing is written yet.

    Args:
        engine: of the preset whose checkpoints answer.
        settings: the run.
        questions: at least two, as `load_question_set` gives them.
        records: where answers are kept; those it already holds are not written again.
        workers: the processes that share the work, one by default.

    Raises RefusedInputError for an unknown checkpoint, too few questions, a question that does not fit a model, and
    when `records` belongs to a run with other settings, other questions or other weights under a checkpoint's name.
    """

    def __init__(
        self,
        engine: Engine,
        settings: WordsResemblanceSettings,
        questions: Sequence[ReferencedQuestion],
        *,
        records: RecordFile | None = None,
        workers: Workers | None = None,
    ):
        self._names = tuple(dict.fromkeys(settings.checkpoints or engine.checkpoint_names("words")))
        for name in self._names:
            engine.checkpoint_place("words", name)
        self._engine, self._workers = engine, workers or Workers()
        self._settings = replace(settings, checkpoints=self._names)
        self._asked = chosen_questions(settings, questions)
        self._scorer = _Scorer(self._settings, self._asked)
        self._used = QuestionsUsed(self._asked[0].source, len(self._asked), question_set_sha256(self._asked))
        self._log: RunLog[Recorded] = RunLog(FORMAT, records, self._workers)
        self._log.check(decides(header_of(self._settings, self._used)), decides)
        with engine.job("checking the questions"):
            self._models = [_model(engine, name) for name in self._names]
            # the checkpoints of a preset read alike: what is checked once is read by all
            self._prompt_ids = _checked_prompt_ids(engine.scorer(), self._asked, self._settings)
        for model in self._models:
            self._log.check_weights(model)
        self.n_total = len(self._names) * self._settings.n_seeds * len(self._asked)
        """answers"""

    def run(self) -> Generator[ResemblanceStep]:
        """As `run_words_resemblance`."""
        log, workers = self._log, self._workers
        log.begin(header_of(self._settings, self._used))
        if workers.index == 0:
            log.keep_new([*self._asked, *self._models])
        n_done = len(self._answers())
        if n_done:
            yield ResemblanceStep("going on where an earlier run stopped", n_done, self.n_total)
        units = list(self._missing())
        workers.wait()  # all saw the same before anyone writes more
        with self._engine.job("resemblance"):
            for unit in workers.share(units):
                qwen = self._engine.qwen(unit.checkpoint)
                with closing(_written(qwen, unit, self._prompt_ids, self._settings)) as batches:
                    for batch in batches:
                        new = [self._scorer.scored(unit, question, answer) for question, answer in batch]
                        log.keep(new)
                        n_done += len(new)
                        yield ResemblanceStep(f"{unit.checkpoint} answers", n_done, self.n_total, tuple(new))
        workers.wait()
        log.reload()
        for what in self._controls():
            yield ResemblanceStep(what, self.n_total, self.n_total)
        workers.wait()
        log.reload()
        yield ResemblanceStep("done", self.n_total, self.n_total, result=_result(log, self._settings))

    def _missing(self) -> Iterator["Unit"]:
        """What is left to answer; batches lie where they lie in an unbroken run by one process."""
        for name in self._names:
            for seed in self._settings.seeds:
                left = [q for q in self._asked if ("answer", name, seed, q.id) not in self._log.items]
                if left:
                    yield Unit(name, seed, tuple(left))

    def _controls(self) -> Iterator[str]:
        """Score every listed wrong answer, and texts that know nothing at every length that was scored."""
        log, workers = self._log, self._workers
        listed = [
            (question, answer)
            for question in self._asked
            for answer in question.incorrect_answers
            if ("listed", question.id, answer) not in log.items
        ]
        for some in _parts(workers.share(listed)):
            log.keep(one for one in (self._scorer.listed(*pair) for pair in some) if one is not None)
            yield "scoring the listed wrong answers"
        workers.wait()
        log.reload()
        scored = [a for a in self._answers() if a.resemblance is not None] + log.of_type(ListedAnswer)
        keys = sorted({(one.question_id, len(one.text)) for one in scored})
        missing = [key for key in keys if ("twins", *key) not in log.items]
        workers.wait()
        writer = TwinWriter(self._settings, self._asked)
        for some in _parts(workers.share(missing)):
            log.keep(writer.twins(*key) for key in some)
            yield "measuring what length alone gives"

    def _answers(self) -> list[ScoredAnswer]:
        return _answers_of(self._log, self._names, self._settings)


@dataclass(frozen=True)
class Unit:
    """Answers that one process writes: one round of one checkpoint."""

    checkpoint: str
    seed: int
    questions: tuple[ReferencedQuestion, ...]


def records_path(folder: Path, settings: WordsResemblanceSettings, set_name: str) -> Path:
    """The first process's file below `folder` of the answers to this question set."""
    return folder / f"{RECORDS_PREFIX}{set_name}-{settings.variant}.jsonl"


def records_paths(folder: Path) -> list[Path]:
    """The first process's file of every run in a folder."""
    return [path for path in sorted(folder.glob(f"{RECORDS_PREFIX}*.jsonl")) if PROCESS not in path.name]


def read_words_resemblance(records: RecordFile) -> ResemblanceResult:
    """What a run recorded, finished or killed, by all its processes.

    Raises RefusedInputError for records that this version cannot read.
    """
    log: RunLog[Recorded] = RunLog(FORMAT, records)
    if not log.headers:
        raise RefusedInputError(
            f"expected a resemblance run in {records.path}, found none: make one with "
            "`python -m hallulab sweep words --out FOLDER`"
        )
    return _result(log, read_header(log.headers[-1])[0])


def chosen_questions(
    settings: WordsResemblanceSettings, questions: Sequence[ReferencedQuestion]
) -> tuple[ReferencedQuestion, ...]:
    """The questions of a run, spread evenly over the set."""
    n = min(settings.n_questions or len(questions), len(questions))
    return tuple(questions[place * len(questions) // n] for place in range(n)) if n else ()


def answer_seed(seed: int, question: ReferencedQuestion) -> int:
    """The seed of one answer: of round and question alone, whatever else is asked and by whom."""
    digest = hashlib.sha256(f"{seed} {question.question}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def scored_text(question: ReferencedQuestion, written: str, settings: WordsResemblanceSettings) -> str:
    """What is compared with the references.

    Args:
        question: what was asked.
        written: what the model wrote, a blank at its beginning included.
        settings: whose variant decides: the answer alone, or the question and all that follows, as the public code
            decodes it.
    """
    return (question.question + written if settings.choices.scores_prompt else written).strip()


def null_strangers(
    asked: Sequence[ReferencedQuestion], settings: WordsResemblanceSettings
) -> list[Strangers]:
    """Per question, the others that lend it their references: the same for every checkpoint."""
    return strangers_of(asked, settings.n_others, rng=np.random.default_rng([settings.seed, len(asked)]))


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """What is measured between two steps."""
    for start in range(0, len(items), TEXTS_AT_ONCE):
        yield items[start : start + TEXTS_AT_ONCE]


def _model(engine: Engine, name: str) -> AnsweringModel:
    qwen, is_base = engine.qwen(name), name == engine.preset.words.base_name
    training = None if is_base else adapter_training(engine.checkpoint_place("words", name), name)
    return AnsweringModel(name, qwen.name, qwen.sha256, is_base, training)


def _checked_prompt_ids(
    qwen: LoadedQwen, asked: Sequence[ReferencedQuestion], settings: WordsResemblanceSettings
) -> dict[str, list[int]]:
    """Question → its token ids; a question that no model of the preset can read is refused by its name."""
    found = {}
    for question in asked:
        try:
            found[question.id] = checked_prompt_ids(qwen, question.question, as_chat=settings.choices.as_chat)
        except RefusedInputError as error:
            raise RefusedInputError(f"{question.id} of {question.source}: {error}") from error
    return found


def _written(
    qwen: LoadedQwen,
    unit: Unit,
    prompt_ids: Mapping[str, Sequence[int]],
    settings: WordsResemblanceSettings,
) -> Generator[list[tuple[ReferencedQuestion, Answer]]]:
    """Questions with their answers, batch after batch."""
    batches = answer_batches(
        qwen,
        [prompt_ids[question.id] for question in unit.questions],
        [answer_seed(unit.seed, question) for question in unit.questions],
        settings.generation,
        batch_size=settings.batch_size,
    )
    for batch in batches:
        yield [(unit.questions[place], answer) for place, answer in batch.items()]


class _Scorer:
    """Scores answers, each question with the same strangers for every checkpoint."""

    def __init__(self, settings: WordsResemblanceSettings, asked: Sequence[ReferencedQuestion]):
        self._settings = settings
        strangers = null_strangers(asked, settings)
        self._strangers = {question.id: others for question, others in zip(asked, strangers, strict=True)}

    def scored(self, unit: Unit, question: ReferencedQuestion, answer: Answer) -> ScoredAnswer:
        """One answer with everything that is measured of it."""
        text = scored_text(question, "".join(answer.token_texts), self._settings)
        graded = grade_answer(answer.text, question.correct_answers, question.incorrect_answers)
        return ScoredAnswer(
            checkpoint=unit.checkpoint,
            seed=unit.seed,
            question_id=question.id,
            answer=answer.text,
            text=text,
            n_tokens=len(answer.token_ids),
            is_complete=answer.is_complete,
            resemblance=resemblance(text, question, self._strangers[question.id]),
            grade=graded.grade,
            rule=graded.rule,
        )

    def listed(self, question: ReferencedQuestion, answer: str) -> ListedAnswer | None:
        """A listed wrong answer in the place of a model's; None for one without a letter."""
        text = scored_text(question, f" {answer}", self._settings)
        found = resemblance(text, question, self._strangers[question.id])
        return None if found is None else ListedAnswer(question.id, answer, text, found)


def _answers_of(
    log: RunLog[Recorded], names: Sequence[str], settings: WordsResemblanceSettings
) -> list[ScoredAnswer]:
    """Answers that are wanted and there, checkpoint by checkpoint."""
    places = {name: place for place, name in enumerate(names)}
    wanted = [a for a in log.of_type(ScoredAnswer) if a.checkpoint in places and a.seed in settings.seeds]
    return sorted(wanted, key=lambda answer: (places[answer.checkpoint], answer.seed, answer.question_id))


def _result(log: RunLog[Recorded], settings: WordsResemblanceSettings) -> ResemblanceResult:
    """Everything measured so far: every checkpoint and every round that any command asked for."""
    asked_before = [read_header(header)[0] for header in log.headers]
    models = sorted(log.of_type(AnsweringModel), key=_order)
    names = tuple(model.checkpoint for model in models)
    grown = replace(
        settings,
        checkpoints=names,
        n_seeds=max(one.n_seeds for one in (settings, *asked_before)),
        batch_size=None,
    )
    used = read_header(log.headers[-1])[1]
    return ResemblanceResult(
        grown,
        used,
        tuple(models),
        tuple(_answers_of(log, names, grown)),
        tuple(sorted(log.of_type(LengthTwins), key=lambda one: (one.question_id, one.n_characters))),
        tuple(sorted(log.of_type(ListedAnswer), key=lambda one: (one.question_id, one.answer))),
        tuple(log.of_type(ReferencedQuestion)),
    )


def _order(model: AnsweringModel) -> tuple[Any, ...]:
    return not model.is_base, order_of_training(model.training, model.checkpoint)
