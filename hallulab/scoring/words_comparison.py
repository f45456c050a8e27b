"""One question to several checkpoints with the same random numbers, each answer judged in the same frame."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from hallulab.engine.core import Engine
from hallulab.errors import RefusedInputError
from hallulab.scoring.words import AnswerToken, AskResult, AskSettings, ask

MOST_COMPARED = 12


@dataclass(frozen=True)
class Comparison:
    """The answers of several checkpoints to one question."""

    results: tuple[AskResult, ...]
    """In the order asked for; all in one frame."""

    @property
    def n_shared_tokens(self) -> int:
        """How many tokens all answers begin with."""
        columns = zip(*(result.tokens for result in self.results), strict=False)
        shared = [len({token.token_id for token in column}) == 1 for column in columns]
        return shared.index(False) if False in shared else len(shared)

    @property
    def is_same_answer(self) -> bool:
        """Whether every checkpoint wrote the same."""
        return len({result.answer for result in self.results}) == 1

    def with_mass(self, hdr_mass: float) -> "Comparison":
        """The same answers decided at another mass, without a model."""
        return Comparison(tuple(result.with_mass(hdr_mass) for result in self.results))

    def to_json(self) -> dict[str, Any]:
        """What the endpoint gives: the JSON of `ask` for each checkpoint."""
        first = self.results[0]
        return {
            "question": first.settings.question,
            "seed": first.settings.seed,
            "n_shared_tokens": self.n_shared_tokens,
            "is_same_answer": self.is_same_answer,
            "compared": [result.to_json() for result in self.results],
        }


@dataclass(frozen=True)
class ComparisonProgress:
    """How far a comparison is."""

    message: str
    fraction: float
    """Share of the work done, 0 to 1."""
    checkpoint: str
    """Whose turn it is."""
    done: tuple[AskResult, ...] = ()
    """Of the checkpoints that are finished."""
    tokens: tuple[AnswerToken, ...] = ()
    """The answer of the next checkpoint so far."""
    result: Comparison | None = None
    """The end: set once, in the last progress."""


def compare(
    engine: Engine, settings: AskSettings, checkpoints: Sequence[str]
) -> Iterator[ComparisonProgress]:
    """Ask every checkpoint with the same seed; the last progress holds the comparison.

    Raises RefusedInputError for settings that cannot be used, a pasted answer, or fewer than two checkpoints.
    """
    settings = settings.checked()
    if settings.answer is not None:
        raise RefusedInputError(
            "expected checkpoints that write their answers, got a text to judge: leave it out"
        )
    if len(set(checkpoints)) != len(checkpoints) or not 2 <= len(checkpoints) <= MOST_COMPARED:
        raise RefusedInputError(
            f"expected 2 to {MOST_COMPARED} different checkpoints, got {', '.join(checkpoints) or 'none'}"
        )
    for checkpoint in checkpoints:
        engine.checkpoint_place("words", checkpoint)
    done: list[AskResult] = []
    for place, checkpoint in enumerate(checkpoints):
        with closing(ask(engine, replace(settings, checkpoint=checkpoint))) as steps:
            for step in steps:
                fraction = (place + step.fraction) / len(checkpoints)
                yield ComparisonProgress(step.message, fraction, checkpoint, tuple(done), step.tokens)
                if step.result is not None:
                    done.append(step.result)
    yield ComparisonProgress("compared", 1.0, checkpoints[-1], tuple(done), (), Comparison(tuple(done)))
