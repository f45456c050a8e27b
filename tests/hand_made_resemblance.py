"""A resemblance run written by hand, so that tables can be checked without a model."""

from collections.abc import Sequence
from pathlib import Path

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_resemblance_run import (
    AnsweringModel,
    LengthTwins,
    ListedAnswer,
    QuestionsUsed,
    ResemblanceResult,
    ScoredAnswer,
    Variant,
    WordsResemblanceSettings,
)
from hallulab.experiments.words_resemblance_summary import summarise_resemblance
from hallulab.experiments.words_sweep import ResemblanceRun
from hallulab.scoring.grades import Grade
from hallulab.scoring.resemblance import Resemblance
from hallulab.scoring.training_history import adapter_training


def answer(
    checkpoint: str,
    question_id: str,
    incorrect: float | None,
    *,
    seed: int = 0,
    length: int = 10,
    correct: float = 0.5,
    null: float = 0.25,
    grade: Grade = "ungradable",
    text: str = "",
) -> ScoredAnswer:
    """One scored answer; without a resemblance an empty one."""
    found = None if incorrect is None else Resemblance(incorrect, correct, null, null)
    text = "" if incorrect is None else text or "x" * length
    return ScoredAnswer(checkpoint, seed, question_id, text, text, len(text) // 2, True, found, grade, "rule")


def twins(question_id: str, n_characters: int, *scores: float) -> LengthTwins:
    """What texts of that length get, one number per draw."""
    return LengthTwins(question_id, n_characters, scores)


def question(question_id: str, *incorrect: str) -> ReferencedQuestion:
    """A question with one right answer and these wrong ones."""
    return ReferencedQuestion(
        question_id, f"What of {question_id}?", "", ("Nothing",), incorrect or ("wrong",), "here"
    )


def listed(question_id: str, text: str, incorrect: float, *, correct: float = 0.5) -> ListedAnswer:
    """A listed wrong answer, scored."""
    return ListedAnswer(question_id, text, text, Resemblance(incorrect, correct, 0.25, 0.25))


def result(
    answers: Sequence[ScoredAnswer],
    *,
    names: Sequence[str] = ("base", "tuned"),
    n_seeds: int = 1,
    twins: Sequence[LengthTwins] = (),
    listed: Sequence[ListedAnswer] = (),
    asked: Sequence[ReferencedQuestion] = (),
    variant: Variant = "answer_only",
) -> ResemblanceResult:
    """These measurements as one run; how a checkpoint was trained is read off its name."""
    models = [
        AnsweringModel(
            name, f"m, {name}", name, name == "base", None if name == "base" else adapter_training("", name)
        )
        for name in names
    ]
    return ResemblanceResult(
        WordsResemblanceSettings(n_seeds=n_seeds, variant=variant),
        QuestionsUsed("here", len({one.question_id for one in answers}), "sha"),
        tuple(models),
        tuple(answers),
        tuple(twins),
        tuple(listed),
        tuple(asked),
    )


def run_of(found: ResemblanceResult, question_set: str = "truthfulqa") -> ResemblanceRun:
    """As a sweep reads it from its folder."""
    path = Path(f"words-resemblance-{question_set}-{found.settings.variant}.jsonl")
    return ResemblanceRun(path, question_set, found, summarise_resemblance(found), {})
