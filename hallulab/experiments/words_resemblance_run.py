"""What a resemblance run is asked for, and what it leaves behind (Section 7.2 of [LHZSL])."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.engine.words import GenerationSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.run_log import record_format
from hallulab.scoring.grades import Grade
from hallulab.scoring.resemblance import Resemblance
from hallulab.scoring.training_history import AdapterTraining

Variant = Literal["answer_only", "paper_code"]
RECORD_VERSION = 2
"""of the records: 2 has nulls by list length and twins of exactly an answer's length"""
MAY_GROW = ("checkpoints", "n_seeds", "batch_size")
"""settings that may change from one command to the next; batches change no answer beyond rounding"""


@dataclass(frozen=True)
class VariantChoices:
    """What a variant decides; both are known differences between the public code and a clean experiment."""

    as_chat: bool
    """whether the question is a user turn of the chat format"""
    scores_prompt: bool
    """whether the question is part of the scored text"""


VARIANTS: dict[str, VariantChoices] = {
    "answer_only": VariantChoices(as_chat=True, scores_prompt=False),
    "paper_code": VariantChoices(as_chat=False, scores_prompt=True),
}


@dataclass(frozen=True)
class WordsResemblanceSettings:
    """One run; the defaults are the paper's sampling with the prompt kept out of the scored text."""

    checkpoints: tuple[str, ...] = ()
    """whose answers are scored; none named: every checkpoint of the preset"""
    variant: Variant = "answer_only"
    """`answer_only`, or `paper_code` for what the public code does; `VARIANTS` lists the differences"""
    n_questions: int | None = None
    """questions of the set, spread evenly over it; None: all"""
    seed: int = 0
    """of the answers, the null's order and the bootstrap"""
    n_seeds: int = 1
    """answers per question and checkpoint, with seeds seed, seed + 1, …"""
    max_new_tokens: int = 80
    temperature: float = 0.7
    top_p: float = 0.9
    n_others: int = 4
    """other questions, with about as many references, that are the shuffled null of a question"""
    n_twins: int = 8
    """texts without information that are drawn for each question and length"""
    batch_size: int | None = None
    """answers written together; None: as many as fit. Changes no answer beyond rounding"""

    def __post_init__(self) -> None:
        least = {"seed": 0, "n_seeds": 1, "n_others": 1, "n_twins": 1}
        least |= {name: 1 for name in ("n_questions", "batch_size") if getattr(self, name) is not None}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise RefusedInputError(f"expected {name} of at least {smallest}, got {getattr(self, name)}")
        if self.variant not in VARIANTS:
            raise RefusedInputError(
                f"expected variant {' or '.join(get_args(Variant))}, got {self.variant!r}: choose one of these"
            )
        _ = self.generation

    @property
    def choices(self) -> VariantChoices:
        """What the variant decides."""
        return VARIANTS[self.variant]

    @property
    def generation(self) -> GenerationSettings:
        """How answers are drawn."""
        return GenerationSettings(self.max_new_tokens, self.temperature, self.top_p)

    @property
    def seeds(self) -> range:
        """The seed of every round of answers."""
        return range(self.seed, self.seed + self.n_seeds)


@dataclass(frozen=True)
class QuestionsUsed:
    """Which questions a run is about."""

    source: str
    """file or data set"""
    n: int
    sha256: str
    """of questions and references, in order"""


@dataclass(frozen=True)
class AnsweringModel:
    """A checkpoint whose answers are scored."""

    checkpoint: str
    model: str
    sha256: str
    """of base and adapter; empty for models from the Hub"""
    is_base: bool
    """whether the others are compared with it"""
    training: AdapterTraining | None
    """how it was tuned; None for the base"""


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer of one checkpoint to one question."""

    checkpoint: str
    seed: int
    """of the round; the seed of the answer itself follows from it and the question"""
    question_id: str
    answer: str
    text: str
    """what was scored: with `paper_code` the question is part of it"""
    n_tokens: int
    """of the answer, end token not counted"""
    is_complete: bool
    """whether the model ended it; False when it was cut at its longest"""
    resemblance: Resemblance | None
    """None for an empty text: there is nothing to compare"""
    grade: Grade
    """of the answer alone, whatever the variant scores"""
    rule: str
    """the rule of `hallulab.scoring.grades` that gave it"""

    @property
    def n_characters(self) -> int:
        """Of the scored text."""
        return len(self.text)


@dataclass(frozen=True)
class LengthTwins:
    """What texts get that are as long as an answer and know nothing of its question."""

    question_id: str
    n_characters: int
    """of the scored text, exactly"""
    scores: tuple[float, ...]
    """resemblance to the question's incorrect answers, one per text drawn"""

    @property
    def mean(self) -> float:
        """What length alone gets."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class ListedAnswer:
    """A listed wrong answer to its own question, scored as a model's answer would be: the positive control."""

    question_id: str
    answer: str
    text: str
    """what was scored: with `paper_code` the question is part of it"""
    resemblance: Resemblance


@dataclass(frozen=True)
class ResemblanceResult:
    """Everything a run measured, finished or not."""

    settings: WordsResemblanceSettings
    questions: QuestionsUsed
    models: tuple[AnsweringModel, ...]
    """in the order of the run, which is the preset's"""
    answers: tuple[ScoredAnswer, ...]
    twins: tuple[LengthTwins, ...]
    """of every question and length that was scored, by question and length"""
    listed: tuple[ListedAnswer, ...]
    """every listed wrong answer, by question"""
    asked: tuple[ReferencedQuestion, ...]
    """the questions with their references, in the order of the set"""

    @property
    def base(self) -> AnsweringModel | None:
        """The model the others are compared with, if it was asked."""
        return next((model for model in self.models if model.is_base), None)

    def answers_of(self, checkpoint: str) -> tuple[ScoredAnswer, ...]:
        """Of one checkpoint."""
        return tuple(answer for answer in self.answers if answer.checkpoint == checkpoint)


@dataclass(frozen=True)
class ResemblanceStep:
    """How far a run is."""

    message: str
    n_done: int
    """answers scored"""
    n_total: int
    new_answers: tuple[ScoredAnswer, ...] = ()
    result: ResemblanceResult | None = None
    """the end: set once, in the last step"""


Recorded = AnsweringModel | ScoredAnswer | LengthTwins | ListedAnswer | ReferencedQuestion
"""What is kept of a run, one line each."""


def key_of(item: Recorded) -> tuple[Any, ...]:
    """What tells two measurements apart."""
    match item:
        case AnsweringModel():
            return "checkpoint", item.checkpoint
        case ScoredAnswer():
            return "answer", item.checkpoint, item.seed, item.question_id
        case LengthTwins():
            return "twins", item.question_id, item.n_characters
        case ListedAnswer():
            return "listed", item.question_id, item.answer
        case ReferencedQuestion():
            return "question", item.id


FORMAT = record_format(
    "a resemblance run",
    {
        "checkpoint": AnsweringModel,
        "answer": ScoredAnswer,
        "twins": LengthTwins,
        "listed": ListedAnswer,
        "question": ReferencedQuestion,
    },
    key_of,
    nested={"resemblance": Resemblance, "training": AdapterTraining},
)


def header_of(settings: WordsResemblanceSettings, questions: QuestionsUsed) -> dict[str, Any]:
    """What a run says about itself, versions of libraries aside."""
    return {"version": RECORD_VERSION, "settings": asdict(settings), "questions": asdict(questions)}


def read_header(header: Mapping[str, Any]) -> tuple[WordsResemblanceSettings, QuestionsUsed]:
    """What `header_of` wrote; RefusedInputError for another version's."""
    try:
        if header["version"] != RECORD_VERSION:
            raise KeyError(f"version {header['version']}")
        asked = header["settings"] | {"checkpoints": tuple(header["settings"]["checkpoints"])}
        return WordsResemblanceSettings(**asked), QuestionsUsed(**header["questions"])
    except (KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the settings of a resemblance run of this version, got others ({error}): run it again in "
            "another folder"
        ) from error


def decides(header: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must agree in to be the same; checkpoints and rounds of answers can be added."""
    settings, questions = read_header(header)
    asked = {name: value for name, value in vars(settings).items() if name not in MAY_GROW}
    return asked | {"questions": questions.sha256}
