"""What else a model could have written at one word of an answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hallulab.engine.core import Engine
from hallulab.engine.word_choices import TokenChoice, token_choices
from hallulab.errors import RefusedInputError
from hallulab.scoring.job_progress import JobProgress, taking_turns
from hallulab.scoring.words import AskSettings, begun_ids

MOST_CHOICES = 100


@dataclass(frozen=True)
class WordChoices:
    """The likeliest tokens at one place of an answer."""

    settings: AskSettings
    """Of the answer; `begun` is what stands before the place."""
    checkpoint: str
    model: str
    written: int | None
    """Token id that stands at the place."""
    choices: tuple[TokenChoice, ...]
    """Likeliest first; the written one last when it is not among the likeliest."""

    def to_json(self) -> dict[str, Any]:
        """What the endpoint gives."""
        return {
            "question": self.settings.question,
            "begun": self.settings.begun,
            "model": self.model,
            "checkpoint": self.checkpoint,
            "written": self.written,
            "choices": [vars(choice) for choice in self.choices],
        }


def choose_words(
    engine: Engine, settings: AskSettings, *, written: int | None = None, n_choices: int = 8
) -> Iterator[JobProgress[WordChoices]]:
    """The tokens that could follow the begun answer of these settings; the last progress holds them.

    Raises RefusedInputError for settings that cannot be used, as `ask` does.
    """
    if not 1 <= n_choices <= MOST_CHOICES:
        raise RefusedInputError(f"expected 1 to {MOST_CHOICES} choices, got {n_choices}")
    settings = settings.checked()
    generation = settings.generation(engine)
    checkpoint = settings.checkpoint or engine.default_checkpoint("words")
    engine.checkpoint_place("words", checkpoint)
    with engine.enter("choices") as ticket:
        yield from taking_turns(ticket)
        qwen = engine.qwen(checkpoint)
        begun = begun_ids(qwen, settings, generation)
        choices = token_choices(qwen, settings.question, begun, generation, n_choices=n_choices, also=written)
    yield JobProgress("found", 1.0, WordChoices(settings, checkpoint, qwen.name, written, choices))
