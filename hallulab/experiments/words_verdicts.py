"""Text verdicts at scale: who hallucinates on the open-ended questions, and how far the verdicts can be trusted.

One frozen scorer judges every checkpoint by frames that are built once; the verdicts themselves are tested on
answers whose truth is known ([LHZSL], Def. 4.2, 5.1 and A.1; `hallulab.experiments.words_verdicts_summary` sums up).
"""

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hallulab.data.new_wordings import reworded
from hallulab.data.open_ended import OpenEndedQuestion, known_questions, open_ended_questions
from hallulab.engine.core import Engine
from hallulab.engine.presets import is_local
from hallulab.engine.words import GenerationSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.words_verdicts_answers import (
    ChosenQuestion,
    checkpoint_answers,
    judged_test_answers,
)
from hallulab.experiments.words_verdicts_run import (
    KINDS_OF_SOURCE,
    CheckpointRecord,
    FrameRecord,
    Group,
    JudgedAnswers,
    ScoredBy,
    VerdictsResult,
    VerdictsStep,
    WordsVerdictsSettings,
    from_record,
    header_of,
    settings_from_header,
    to_record,
)
from hallulab.models.qwen import LoadedQwen
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.words_frame import WordsFrameSettings, build_words_frame, tie_tolerance_nats

RECORDS_NAME = "words-verdicts.jsonl"


def run_words_verdicts(
    engine: Engine, settings: WordsVerdictsSettings, *, records: RecordFile | None = None
) -> Generator[VerdictsStep]:
    """Build the frames, test them, judge every checkpoint; the last step holds the result. Close it to stop.

    Holds the engine's device queue while it works.

    Args:
        engine: of the preset whose base scores and whose checkpoints answer.
        settings: the run.
        records: where everything measured is kept; what it already holds is not measured again.

    Raises RefusedInputError for an unknown checkpoint, and when `records` belongs to a run with other settings,
    another scorer or other weights under a checkpoint's name.
    """
    names = settings.checkpoints or engine.checkpoint_names("words")
    places = {name: engine.checkpoint_place("words", name) for name in names}
    with engine.job("text verdicts"):
        scorer = engine.scorer()
        log = _Log(settings, scored_by(scorer), records)
        chosen = chosen_questions(settings)
        steps = _Steps(len(chosen) * (2 + len(names)))
        yield from _frames_and_tests(scorer, chosen, log, steps)
        judged = [item.question for item in chosen if item.is_asked and log.frame_of(item).gives_verdicts]
        steps.skip((len(chosen) - len(judged)) * len(names))
        for name, place in places.items():
            qwen = engine.qwen(name)
            log.check_checkpoint(CheckpointRecord(name, qwen.name, qwen.sha256, training_loss(place)))
            left = [question for question in judged if not log.has_all(question.question, [name])]
            steps.skip(len(judged) - len(left))
            for start in range(0, len(left), settings.questions_at_once):
                batch = left[start : start + settings.questions_at_once]
                generation = answer_generation(engine, settings)
                for answers in checkpoint_answers(qwen, scorer, name, batch, generation, settings):
                    log.keep((name, answers.question), answers)
                yield steps.next(f"judging the answers of {name}", len(batch))
        yield replace(steps.next("done", 0), result=log.result(names))


def verdicts_on_tests(scorer: LoadedQwen, settings: WordsVerdictsSettings) -> VerdictsResult:
    """The frames and their tests alone, without any checkpoint's answers; call it inside a job."""
    log, chosen = _Log(settings, scored_by(scorer), None), chosen_questions(settings)
    for _ in _frames_and_tests(scorer, chosen, log, _Steps(2 * len(chosen))):
        pass
    return log.result([])


def read_words_verdicts(records: RecordFile) -> VerdictsResult:
    """What a run recorded, finished or killed.

    Raises RefusedInputError for records that this version cannot read.
    """
    found = records.read()
    header = next((record for record in found if record.get("kind") == "settings"), None)
    if header is None:
        raise RefusedInputError(
            f"expected a run of text verdicts in {records.path}, found none: make one with "
            "`python -m hallulab sweep words --out FOLDER`"
        )
    settings, by = settings_from_header(header)
    # checkpoints may have been added since the header was written
    return _result(replace(settings, checkpoints=()), by, map(from_record, found))


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


def training_loss(place: str) -> float | None:
    """The last loss recorded beside an adapter, nats per answer token; None where there is none."""
    path = Path(place) / "losses.jsonl"
    if not is_local(place) or not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return float(lines[-1]["loss"]) if lines else None


def _frames_and_tests(
    scorer: LoadedQwen, chosen: Sequence[ChosenQuestion], log: "_Log", steps: "_Steps"
) -> Generator[VerdictsStep]:
    """Frames of all questions, then test answers to those that get verdicts."""
    for item in chosen:
        key = ("frame", item.question.question)
        log.kept_or(key, lambda item=item: frame_record(scorer, item, log.settings))
        yield steps.next("building the frames of the questions")
    for item in chosen:
        if log.frame_of(item).gives_verdicts and not log.has_all(item.question.question, item.tests):
            for answers in judged_test_answers(scorer, item, log.settings):
                log.keep((answers.source, answers.question), answers)
        yield steps.next("testing the verdicts on answers whose truth is known")


def _spread(n_there: int, n_wanted: int) -> list[int]:
    """At most `n_wanted` places, evenly over `n_there`."""
    n = min(n_there, n_wanted)
    return [place * n_there // n for place in range(n)]


class _Steps:
    """Counts what is done."""

    def __init__(self, n_total: int):
        self._n_done, self._n_total = 0, n_total

    def skip(self, n: int) -> None:
        """Count what need not be done."""
        self._n_done += n

    def next(self, message: str, n: int = 1) -> VerdictsStep:
        """Count what has just been done."""
        self._n_done += n
        return VerdictsStep(message, self._n_done, self._n_total)


class _Log:
    """What the run has measured, by key, in memory and in its file."""

    def __init__(self, settings: WordsVerdictsSettings, by: ScoredBy, records: RecordFile | None):
        self.settings = settings
        self._by, self._records = by, records
        self._kept: dict[tuple[str, str], Any] = {}
        found = records.read() if records else []
        for header in (record for record in found if record.get("kind") == "settings"):
            self._check_header(*settings_from_header(header))
        if records and not found:
            records.append(header_of(settings, by) | {"versions": library_versions()})
        for item in map(from_record, found):
            if item is not None:
                self._kept[_key(item)] = item

    def kept_or(self, key: tuple[str, str], measure: Callable[[], Any]) -> Any:
        """What was measured under this key; measured and kept when it was not."""
        if key not in self._kept:
            self.keep(key, measure())
        return self._kept[key]

    def has_all(self, question: str, sources: Iterable[str]) -> bool:
        """Whether answers from all these sources to this question are there."""
        return all((source, question) in self._kept for source in sources)

    def frame_of(self, item: ChosenQuestion) -> FrameRecord:
        """The frame of a question, which must have been kept."""
        return self._kept["frame", item.question.question]

    def keep(self, key: tuple[str, str], item: Any) -> None:
        """Keep one measurement, in the file as well."""
        self._kept[key] = item
        if self._records:
            self._records.append(to_record(item))

    def check_checkpoint(self, found: CheckpointRecord) -> None:
        """Keep how a checkpoint was made; refuse other weights under the name of earlier ones."""
        earlier = self.kept_or(_key(found), lambda: found)
        if (earlier.model, earlier.sha256) != (found.model, found.sha256):
            raise RefusedInputError(
                f"expected the same weights of {found.checkpoint} as when this run was begun, found others: "
                "choose another folder"
            )

    def result(self, names: Sequence[str]) -> VerdictsResult:
        """Everything measured so far that concerns these checkpoints."""
        kept = self._kept.values()
        return _result(replace(self.settings, checkpoints=tuple(names)), self._by, kept)

    def _check_header(self, settings: WordsVerdictsSettings, by: ScoredBy) -> None:
        # checkpoints can be added, and batches change no number
        free = {
            "checkpoints": self.settings.checkpoints,
            "questions_at_once": self.settings.questions_at_once,
        }
        theirs, ours = vars(settings) | free | vars(by), vars(self.settings) | vars(self._by)
        differing = [name for name in ours if theirs[name] != ours[name]]
        if differing and self._records:
            raise RefusedInputError(
                f"expected a run with the same settings in {self._records.path}, got another "
                f"{', '.join(differing)}: choose another folder"
            )


def _key(item: CheckpointRecord | FrameRecord | JudgedAnswers) -> tuple[str, str]:
    match item:
        case CheckpointRecord():
            return "checkpoint", item.checkpoint
        case FrameRecord():
            return "frame", item.question
        case JudgedAnswers():
            return item.source, item.question


def _result(settings: WordsVerdictsSettings, by: ScoredBy, items: Iterable[Any]) -> VerdictsResult:
    """What was measured, in the order of the first time; a question killed midway may be there twice."""
    latest = {_key(item): item for item in items if item is not None}.values()
    checkpoints = [item for item in latest if isinstance(item, CheckpointRecord)]
    wanted = settings.checkpoints or [item.checkpoint for item in checkpoints]
    return VerdictsResult(
        settings,
        by,
        tuple(
            sorted(
                (item for item in checkpoints if item.checkpoint in wanted),
                key=lambda item: wanted.index(item.checkpoint),
            )
        ),
        tuple(item for item in latest if isinstance(item, FrameRecord)),
        tuple(
            item
            for item in latest
            if isinstance(item, JudgedAnswers) and item.source in (*KINDS_OF_SOURCE, *wanted)
        ),
    )
