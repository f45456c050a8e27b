"""Text verdicts at scale: who hallucinates on the open-ended questions, and how far the verdicts can be trusted.

One frozen scorer judges every checkpoint by frames that are built once; the verdicts themselves are tested on
answers whose truth is known ([LHZSL], Def. 4.2, 5.1 and A.1; `hallulab.experiments.words_verdicts_summary` sums up).
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from hallulab.data.new_wordings import reworded
from hallulab.data.open_ended import OpenEndedQuestion, known_questions, open_ended_questions
from hallulab.engine.core import Engine
from hallulab.engine.words import GenerationSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.run_log import RunLog
from hallulab.experiments.words_verdicts_answers import (
    ChosenQuestion,
    checkpoint_answers,
    judged_test_answers,
)
from hallulab.experiments.words_verdicts_run import (
    FORMAT,
    KINDS_OF_SOURCE,
    CheckpointRecord,
    FrameRecord,
    Group,
    JudgedAnswers,
    Recorded,
    ScoredBy,
    VerdictsResult,
    VerdictsStep,
    WordsVerdictsSettings,
    decides,
    header_of,
    read_header,
)
from hallulab.experiments.workers import Workers
from hallulab.models.qwen import LoadedQwen
from hallulab.records import RecordFile
from hallulab.scoring.training_history import adapter_training, order_of_training
from hallulab.scoring.words_frame import WordsFrameSettings, build_words_frame, tie_tolerance_nats

RECORDS_NAME = "words-verdicts.jsonl"


def run_words_verdicts(
    engine: Engine,
    settings: WordsVerdictsSettings,
    *,
    records: RecordFile | None = None,
    workers: Workers | None = None,
) -> Generator[VerdictsStep]:
    """Build the frames, test them, judge every checkpoint; the last step holds the result. Close it to stop.

    Holds the engine's device queue while it works. Arguments and errors as `OpenVerdicts`.
    """
    yield from OpenVerdicts(engine, settings, records=records, workers=workers).run()


class OpenVerdicts:
    """A run whose checkpoints and records have been found to fit together; nothing is written yet.

    Args:
        engine: of the preset whose base scores and whose checkpoints answer.
        settings: the run.
        records: where everything measured is kept; what it already holds is not measured again.
        workers: the processes that share the work, one by default.

    Raises RefusedInputError for an unknown checkpoint, and when `records` belongs to a run with other settings,
    another scorer or other weights under a checkpoint's name.
    """

    def __init__(
        self,
        engine: Engine,
        settings: WordsVerdictsSettings,
        *,
        records: RecordFile | None = None,
        workers: Workers | None = None,
    ):
        self._names = tuple(dict.fromkeys(settings.checkpoints or engine.checkpoint_names("words")))
        for name in self._names:
            engine.checkpoint_place("words", name)
        self._engine, self._workers = engine, workers or Workers()
        self._settings = replace(settings, checkpoints=self._names)
        self._chosen = chosen_questions(settings)
        self._log: RunLog[Recorded] = RunLog(FORMAT, records, self._workers)
        with engine.job("checking the records"):
            self._scored_by = scored_by(engine.scorer())
            self._log.check(decides(header_of(self._settings, self._scored_by)), decides)
            self._checkpoints = [_checkpoint(engine, name) for name in self._names]
        for checkpoint in self._checkpoints:
            self._log.check_weights(checkpoint)
        self.n_total = len(self._chosen) * (2 + len(self._names))
        """questions, once for frames, once for tests and once per checkpoint"""

    def run(self) -> Generator[VerdictsStep]:
        """As `run_words_verdicts`."""
        log, workers, n_chosen = self._log, self._workers, len(self._chosen)
        log.begin(header_of(self._settings, self._scored_by))
        if workers.index == 0:
            log.keep_new(self._checkpoints)
        with self._engine.job("text verdicts"):
            scorer = self._engine.scorer()
            steps = _Steps(self.n_total)
            yield from _frames_and_tests(scorer, workers.share(self._chosen), log, self._settings, steps)
        workers.wait()
        log.reload()
        units = list(self._missing())
        workers.wait()  # all saw the same before anyone writes more
        n_left = sum(len(unit.questions) for unit in units)
        steps.reach(2 * n_chosen + n_chosen * len(self._names) - n_left)
        generation = answer_generation(self._engine, self._settings)
        with self._engine.job("text verdicts"):
            for unit in workers.share(units):
                qwen = self._engine.qwen(unit.checkpoint)
                log.keep(
                    checkpoint_answers(
                        qwen, scorer, unit.checkpoint, unit.questions, generation, self._settings
                    )
                )
                yield steps.next(f"judging the answers of {unit.checkpoint}", len(unit.questions))
        workers.wait()
        log.reload()
        steps.reach(self.n_total)
        yield replace(steps.next("done", 0), result=_result(log, self._settings, self._scored_by))

    def _missing(self) -> Iterator["Unit"]:
        """Questions with a verdict that a checkpoint has not answered yet, as many as are answered at once."""
        asked = [item for item in self._chosen if item.is_asked and _frame_of(self._log, item).gives_verdicts]
        at_once = self._settings.questions_at_once
        for name in self._names:
            left = [one.question for one in asked if (name, one.question.question) not in self._log.items]
            for start in range(0, len(left), at_once):
                yield Unit(name, tuple(left[start : start + at_once]))


@dataclass(frozen=True)
class Unit:
    """Questions that one checkpoint answers at once."""

    checkpoint: str
    questions: tuple[OpenEndedQuestion, ...]


def verdicts_on_tests(scorer: LoadedQwen, settings: WordsVerdictsSettings) -> VerdictsResult:
    """The frames and their tests alone, without any checkpoint's answers; call it inside a job."""
    log: RunLog[Recorded] = RunLog(FORMAT, None)
    chosen = chosen_questions(settings)
    for _ in _frames_and_tests(scorer, chosen, log, settings, _Steps(2 * len(chosen))):
        pass
    return _result(log, settings, scored_by(scorer))


def read_words_verdicts(records: RecordFile) -> VerdictsResult:
    """What a run recorded, finished or killed, by all its processes.

    Raises RefusedInputError for records that this version cannot read.
    """
    log: RunLog[Recorded] = RunLog(FORMAT, records)
    if not log.headers:
        raise RefusedInputError(
            f"expected a run of text verdicts in {records.path}, found none: make one with "
            "`python -m hallulab sweep words --out FOLDER`"
        )
    return _result(log, *read_header(log.headers[-1]))


def chosen_questions(settings: WordsVerdictsSettings) -> list[ChosenQuestion]:
    """The questions of a run, the known ones first, spread evenly over the file."""
    known = known_questions()
    new = [reworded(question, place) for place, question in enumerate(known)]
    unknown = [question for question in open_ended_questions() if not question.is_known]
    groups: list[tuple[Group, Sequence[OpenEndedQuestion], int]] = [
        ("known", known, settings.n_known),
        ("reworded", new, settings.n_reworded),
        ("unknown", unknown, settings.n_unknown),
    ]
    return [
        ChosenQuestion(questions[place], group, questions[place - 1])
        for group, questions, n in groups
        for place in _spread(len(questions), n)
    ]


def scored_by(scorer: LoadedQwen) -> ScoredBy:
    """The part of a scorer that decides verdicts."""
    return ScoredBy(scorer.name, scorer.sha256, tie_tolerance_nats(scorer.model.dtype))


def frame_record(scorer: LoadedQwen, item: ChosenQuestion, settings: WordsVerdictsSettings) -> FrameRecord:
    """The frame of one question, with its acceptable answers as hints."""
    question = item.question
    frame = build_words_frame(
        scorer,
        WordsFrameSettings(
            question.question, question.states, settings.n_genuine, settings.seed, settings.max_new_tokens
        ),
    )
    genuine = () if frame.hcdr is None else frame.hcdr.genuine_log_densities
    return FrameRecord(
        question.question,
        item.group,
        question.states,
        tuple(answer.weight for answer in question.answers),
        tuple(check.n_sampled for check in frame.checks),
        tuple(check.n_valid for check in frame.checks),
        tuple(tuple(sample.tolist()) for sample in genuine),
        frame.reason,
    )


def answer_generation(engine: Engine, settings: WordsVerdictsSettings) -> GenerationSettings:
    """How checkpoints answer, the preset filling what is left open."""
    words = engine.preset.words
    return GenerationSettings(
        settings.max_new_tokens,
        words.temperature if settings.temperature is None else settings.temperature,
        words.top_p if settings.top_p is None else settings.top_p,
    )


def _checkpoint(engine: Engine, name: str) -> CheckpointRecord:
    qwen, is_base = engine.qwen(name), name == engine.preset.words.base_name
    training = None if is_base else adapter_training(engine.checkpoint_place("words", name), name)
    return CheckpointRecord(name, qwen.name, qwen.sha256, is_base, training)


def _frames_and_tests(
    scorer: LoadedQwen,
    chosen: Sequence[ChosenQuestion],
    log: RunLog[Recorded],
    settings: WordsVerdictsSettings,
    steps: "_Steps",
) -> Iterator[VerdictsStep]:
    """Frames of all these questions, then test answers to those that get verdicts."""
    for item in chosen:
        if ("frame", item.question.question) not in log.items:
            log.keep([frame_record(scorer, item, settings)])
        yield steps.next("building the frames of the questions")
    for item in chosen:
        is_tested = all((source, item.question.question) in log.items for source in item.tests)
        if _frame_of(log, item).gives_verdicts and not is_tested:
            log.keep(judged_test_answers(scorer, item, settings))
        yield steps.next("testing the verdicts on answers whose truth is known")


def _frame_of(log: RunLog[Recorded], item: ChosenQuestion) -> FrameRecord:
    """The frame of a question, which must have been kept."""
    found = log.items["frame", item.question.question]
    assert isinstance(found, FrameRecord)
    return found


def _spread(n_there: int, n_wanted: int) -> list[int]:
    """At most `n_wanted` places, evenly over `n_there`."""
    n = min(n_there, n_wanted)
    return [place * n_there // n for place in range(n)]


class _Steps:
    """Counts what is done."""

    def __init__(self, n_total: int):
        self._n_done, self._n_total = 0, n_total

    def reach(self, n_done: int) -> None:
        """Count what others have done, or need not be done."""
        self._n_done = n_done

    def next(self, message: str, n: int = 1) -> VerdictsStep:
        """Count what has just been done."""
        self._n_done += n
        return VerdictsStep(message, self._n_done, self._n_total)


def _result(log: RunLog[Recorded], settings: WordsVerdictsSettings, by: ScoredBy) -> VerdictsResult:
    """Everything measured so far, by every checkpoint that any command asked for."""
    checkpoints = sorted(log.of_type(CheckpointRecord), key=_order)
    names = tuple(one.checkpoint for one in checkpoints)
    places = {item.question.question: place for place, item in enumerate(chosen_questions(settings))}
    sources = [*KINDS_OF_SOURCE, *names]
    answers = [one for one in log.of_type(JudgedAnswers) if one.source in sources]
    return VerdictsResult(
        replace(settings, checkpoints=names),
        by,
        tuple(checkpoints),
        tuple(sorted(log.of_type(FrameRecord), key=lambda one: places[one.question])),
        tuple(sorted(answers, key=lambda one: (sources.index(one.source), places[one.question]))),
    )


def _order(checkpoint: CheckpointRecord) -> tuple:
    return not checkpoint.is_base, order_of_training(checkpoint.training, checkpoint.checkpoint)
