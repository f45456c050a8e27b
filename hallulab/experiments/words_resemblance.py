"""Do answers grow more like common wrong answers with fine-tuning? Table 1 of [LHZSL], with its controls.

Every checkpoint answers the same questions with the same seeds; `words_resemblance_summary` sums up.
"""

import hashlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from hallulab.data.question_sets import ReferencedQuestion, question_set_sha256
from hallulab.engine.core import Engine
from hallulab.engine.word_batches import answer_batches
from hallulab.engine.words import Answer
from hallulab.errors import RefusedInputError
from hallulab.experiments.words_resemblance_run import (
    AnsweringModel,
    LengthAlone,
    QuestionsUsed,
    Recorded,
    ResemblanceResult,
    ResemblanceStep,
    ScoredAnswer,
    WordsResemblanceSettings,
    from_record,
    header_of,
    read_header,
    to_record,
)
from hallulab.experiments.words_resemblance_twins import LengthTwins
from hallulab.models.qwen import LoadedQwen
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.grades import grade_answer
from hallulab.scoring.resemblance import closest_ratio, other_questions, resemblance

RECORDS_PATTERN = "words-resemblance-*.jsonl"
FILLER_LENGTHS = (0, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
"""characters of the texts without information"""


def run_words_resemblance(
    engine: Engine,
    settings: WordsResemblanceSettings,
    questions: Sequence[ReferencedQuestion],
    *,
    records: RecordFile | None = None,
) -> Generator[ResemblanceStep]:
    """Let every checkpoint answer and score the answers; the last step holds the result. Close it to stop.

    Holds the engine's device queue while it works.

    Args:
        engine: of the preset whose checkpoints answer.
        settings: the run.
        questions: at least two, as `load_question_set` gives them.
        records: where answers are kept; those it already holds are not written again.

    Raises RefusedInputError for an unknown checkpoint, too few questions, a question that does not fit a model, and
    when `records` belongs to a run with other settings, other questions or other weights under a checkpoint's name.
    """
    names = settings.checkpoints or engine.checkpoint_names("words")
    for name in names:
        engine.checkpoint_place("words", name)
    asked = chosen_questions(settings, questions)
    scorer = _Scorer(settings, asked)
    log = _Log(settings, questions_used(asked), records)
    log.keep_questions(asked)
    n_total = len(names) * settings.n_seeds * len(asked)
    n_done = len(log.answers_of(names, settings))
    if n_done:
        yield ResemblanceStep("going on where an earlier run stopped", n_done, n_total)
    with engine.job("resemblance"):
        for name in names:
            qwen = engine.qwen(name)
            log.check_model(
                AnsweringModel(name, qwen.name, qwen.sha256, name == engine.preset.words.base_name)
            )
            for seed in settings.seeds:
                left = [question for question in asked if (name, seed, question.id) not in log.answers]
                with closing(_written(qwen, left, seed, settings)) as batches:
                    for batch in batches:
                        new = [scorer.scored(name, seed, question, answer) for question, answer in batch]
                        log.keep(new)
                        n_done += len(new)
                        yield ResemblanceStep(f"{name} answers", n_done, n_total, tuple(new))
    if not log.length_alone:
        yield ResemblanceStep("measuring what length alone gives", n_done, n_total)
        log.keep(length_alone(asked, settings))
    yield ResemblanceStep("done", n_done, n_total, result=log.result(names, settings))


def records_path(folder: Path, settings: WordsResemblanceSettings, set_name: str) -> Path:
    """The file below `folder` that holds the answers to this question set."""
    return folder / f"words-resemblance-{set_name}-{settings.variant}.jsonl"


def read_words_resemblance(records: RecordFile) -> ResemblanceResult:
    """What a run recorded, finished or killed.

    Raises RefusedInputError for records that this version cannot read.
    """
    found = records.read()
    header = next((record for record in found if record.get("kind") == "settings"), None)
    if header is None:
        raise RefusedInputError(
            f"expected a resemblance run in {records.path}, found none: make one with "
            "`python -m hallulab sweep words --out FOLDER`"
        )
    settings, used = read_header(header)
    log = _Log(settings, used, None, map(from_record, found))
    return log.result([model.checkpoint for model in log.models.values()], settings)


def chosen_questions(
    settings: WordsResemblanceSettings, questions: Sequence[ReferencedQuestion]
) -> tuple[ReferencedQuestion, ...]:
    """The questions of a run, spread evenly over the set."""
    n = min(settings.n_questions or len(questions), len(questions))
    return tuple(questions[place * len(questions) // n] for place in range(n)) if n else ()


def questions_used(asked: Sequence[ReferencedQuestion]) -> QuestionsUsed:
    """What identifies these questions in a record."""
    return QuestionsUsed(asked[0].source if asked else "", len(asked), question_set_sha256(asked))


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


def null_questions(
    asked: Sequence[ReferencedQuestion], settings: WordsResemblanceSettings
) -> list[list[ReferencedQuestion]]:
    """Per question, the others that lend it their references: the same for every checkpoint."""
    rows = other_questions(
        len(asked), settings.n_others, rng=np.random.default_rng([settings.seed, len(asked)])
    )
    return [[asked[place] for place in row] for row in rows.tolist()]


def length_alone(
    asked: Sequence[ReferencedQuestion], settings: WordsResemblanceSettings
) -> list[LengthAlone]:
    """What the paper's score is for texts that know nothing of their question, by length.

    The texts are everyday suggestions of this project in random order, cut to a length; with `paper_code` behind the
    question, as an answer would stand.
    """
    twins = LengthTwins(settings, asked)
    curve = []
    for n_characters in FILLER_LENGTHS if settings.choices.scores_prompt else FILLER_LENGTHS[1:]:
        scored = [twins.text(question.id, n_characters) for question in asked]
        pairs = list(zip(scored, asked, strict=True))
        curve.append(
            LengthAlone(
                n_characters=float(np.mean([len(text) for text in scored])),
                incorrect=_mean_ratio([(text, question.incorrect_answers) for text, question in pairs]),
                correct=_mean_ratio([(text, question.correct_answers) for text, question in pairs]),
                n=len(asked),
            )
        )
    return curve


def _mean_ratio(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> float:
    return float(np.mean([closest_ratio(text, references) for text, references in pairs]))  # type: ignore[arg-type]


def _written(
    qwen: LoadedQwen, left: Sequence[ReferencedQuestion], seed: int, settings: WordsResemblanceSettings
) -> Generator[list[tuple[ReferencedQuestion, Answer]]]:
    """Questions with their answers, batch after batch."""
    batches = answer_batches(
        qwen,
        [question.question for question in left],
        [answer_seed(seed, question) for question in left],
        settings.generation,
        as_chat=settings.choices.as_chat,
        batch_size=settings.batch_size,
    )
    for batch in batches:
        yield [(left[place], answer) for place, answer in batch.items()]


class _Scorer:
    """Scores answers, each question with the same strangers for every checkpoint."""

    def __init__(self, settings: WordsResemblanceSettings, asked: Sequence[ReferencedQuestion]):
        self._settings = settings
        others = null_questions(asked, settings)
        self._others = {question.id: lent for question, lent in zip(asked, others, strict=True)}

    def scored(
        self, checkpoint: str, seed: int, question: ReferencedQuestion, answer: Answer
    ) -> ScoredAnswer:
        """One answer with everything that is measured of it."""
        text = scored_text(question, "".join(answer.token_texts), self._settings)
        graded = grade_answer(answer.text, question.correct_answers, question.incorrect_answers)
        return ScoredAnswer(
            checkpoint=checkpoint,
            seed=seed,
            question_id=question.id,
            answer=answer.text,
            text=text,
            n_tokens=len(answer.token_ids),
            is_complete=answer.is_complete,
            resemblance=resemblance(text, question, self._others[question.id]),
            grade=graded.grade,
            rule=graded.rule,
        )


class _Log:
    """What the run has measured, in memory and in its file."""

    def __init__(
        self,
        settings: WordsResemblanceSettings,
        used: QuestionsUsed,
        records: RecordFile | None,
        kept: Iterable[Any] = (),
    ):
        self.models: dict[str, AnsweringModel] = {}
        self.answers: dict[tuple[str, int, str], ScoredAnswer] = {}
        self.length_alone: dict[float, LengthAlone] = {}
        self.asked: dict[str, ReferencedQuestion] = {}
        self._used, self._records = used, records
        found = records.read() if records else []
        for header in (record for record in found if record.get("kind") == "settings"):
            self._check_header(settings, *read_header(header))
        if records and not found:
            records.append(header_of(settings, used) | {"versions": library_versions()})
        for item in chain(kept, map(from_record, found)):
            self._add(item)

    def keep_questions(self, asked: Sequence[ReferencedQuestion]) -> None:
        """Keep what is asked, for those who read the run without the question set."""
        self.keep([question for question in asked if question.id not in self.asked])

    def keep(self, items: Sequence[Recorded]) -> None:
        """Keep what was asked or measured, in the file as well."""
        for item in items:
            self._add(item)
        if self._records:
            self._records.append_all(map(to_record, items))

    def check_model(self, found: AnsweringModel) -> None:
        """Keep who answers; refuse other weights under the name of earlier ones."""
        earlier = self.models.get(found.checkpoint)
        if earlier is None:
            self.keep([found])
        elif (earlier.model, earlier.sha256) != (found.model, found.sha256):
            raise RefusedInputError(
                f"expected the same weights of {found.checkpoint} as when this run was begun, found others: choose "
                "another folder"
            )

    def answers_of(self, names: Sequence[str], settings: WordsResemblanceSettings) -> list[ScoredAnswer]:
        """Answers that are wanted and there, checkpoint by checkpoint."""
        places = {name: place for place, name in enumerate(names)}
        wanted = [a for a in self.answers.values() if a.checkpoint in places and a.seed in settings.seeds]
        return sorted(wanted, key=lambda answer: (places[answer.checkpoint], answer.seed, answer.question_id))

    def result(self, names: Sequence[str], settings: WordsResemblanceSettings) -> ResemblanceResult:
        """Everything measured so far of these checkpoints."""
        models = tuple(self.models[name] for name in names if name in self.models)
        curve = sorted(self.length_alone.values(), key=lambda point: point.n_characters)
        return ResemblanceResult(
            settings,
            self._used,
            models,
            tuple(self.answers_of(names, settings)),
            tuple(curve),
            tuple(self.asked.values()),
        )

    def _add(self, item: Any) -> None:
        if isinstance(item, AnsweringModel):
            self.models[item.checkpoint] = item
        elif isinstance(item, ScoredAnswer):
            self.answers[item.checkpoint, item.seed, item.question_id] = item
        elif isinstance(item, LengthAlone):
            self.length_alone[item.n_characters] = item
        elif isinstance(item, ReferencedQuestion):
            self.asked[item.id] = item

    def _check_header(
        self, ours: WordsResemblanceSettings, theirs: WordsResemblanceSettings, used: QuestionsUsed
    ) -> None:
        # checkpoints and rounds of answers can be added
        free = {"checkpoints": ours.checkpoints, "n_seeds": ours.n_seeds, "batch_size": ours.batch_size}
        differing = [k for k, v in vars(replace(theirs, **free)).items() if vars(ours)[k] != v]
        differing += ["questions"] if used.sha256 != self._used.sha256 else []
        if differing and self._records:
            raise RefusedInputError(
                f"expected a run with the same settings in {self._records.path}, got another {', '.join(differing)}: "
                "choose another folder"
            )
