"""How often a checkpoint's answers to one question hallucinate: sampled until that is decided.

Answers come in growing batches, and after each one the interval holds however often one looks, so sampling may end
as soon as the rate is known to be on one side of a line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hallulab.declared_types import with_declared_fields
from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.engine.core import Engine
from hallulab.engine.words import Answer, AnswerBuilder, stream_answers
from hallulab.errors import RefusedInputError
from hallulab.scoring.job_progress import JobProgress, taking_turns
from hallulab.scoring.words import AskSettings, begun_ids
from hallulab.scoring.words_frame import (
    WordsFrame,
    WordsFrameBuilding,
    answer_log_densities,
    check_text_mass,
)
from hallulab.theory.confidence_sequences import anytime_interval
from hallulab.theory.intervals import Interval

MOST_ANSWERS = 256
LARGEST_BATCH = 4
"""Answers between two looks, at most: 1, 1, 2, then 4 at a time."""
INTERVAL_METHOD = "mixture confidence sequence, valid at every look"


@dataclass(frozen=True)
class RateSettings:
    """Which answers are sampled, and what is to be decided."""

    asked: AskSettings
    """Answer k is drawn with seed + k, so the first one is that of `ask`."""
    n_answers: int = 16
    """At most."""
    line: float = 0.5
    """Sampling stops when the rate is known to be above or below this, in (0, 1)."""
    confidence: float = 0.95
    """Of the interval, in (0, 1)."""

    def checked(self) -> "RateSettings":
        """The same settings without outer blanks; RefusedInputError says what cannot be used."""
        settings = with_declared_fields(self)
        asked = settings.asked.checked()
        if asked.answer is not None:
            raise RefusedInputError(
                "expected answers to sample for a rate, got a text to judge: leave it out"
            )
        if not 1 <= settings.n_answers <= MOST_ANSWERS:
            raise RefusedInputError(f"expected 1 to {MOST_ANSWERS} answers, got {settings.n_answers}")
        for name, share in (("line", settings.line), ("confidence", settings.confidence)):
            if not 0 < share < 1:
                raise RefusedInputError(f"expected a {name} between 0 and 1, got {share}")
        return replace(settings, asked=asked)


@dataclass(frozen=True)
class RateResult:
    """The answers sampled so far and how many of them hallucinate; another mass needs no model."""

    settings: RateSettings
    checkpoint: str
    model: str
    scorer: str
    frame: WordsFrame
    answers: tuple[str, ...]
    """In the order of their seeds; may be empty texts, which cannot be judged."""
    log_densities: NDArray[np.float64]
    """(n_answers, n_states) log-likelihood of each answer under each hint, nats; NaN for an empty answer."""
    hdr_mass: float

    @property
    def reason(self) -> str | None:
        """Why there is no verdict."""
        return self.frame.reason

    @cached_property
    def hcdr(self) -> HcdrFrame | None:
        """The frame at this result's mass."""
        return None if self.frame.hcdr is None else self.frame.hcdr.with_mass(self.hdr_mass)

    @cached_property
    def verdicts(self) -> tuple[Verdict | None, ...]:
        """One per answer; None for an empty one."""
        if self.hcdr is None:
            return (None,) * len(self.answers)
        return tuple(
            self.hcdr.decide(row[None])[0] if answer else None
            for answer, row in zip(self.answers, self.log_densities, strict=True)
        )

    @property
    def n_judged(self) -> int:
        """Answers with a verdict."""
        return sum(verdict is not None for verdict in self.verdicts)

    @property
    def n_hallucinations(self) -> int:
        """Answers outside every region."""
        return sum(verdict is not None and verdict.is_hallucination for verdict in self.verdicts)

    @property
    def rate(self) -> float | None:
        """Share of judged answers that hallucinate; None before the first."""
        return self.n_hallucinations / self.n_judged if self.n_judged else None

    @cached_property
    def interval(self) -> Interval:
        """Of the rate, valid at every look."""
        return anytime_interval(self.n_hallucinations, self.n_judged, confidence=self.settings.confidence)

    @property
    def decided(self) -> Literal["above", "below"] | None:
        """On which side of the line the rate is known to be."""
        if self.interval.low > self.settings.line:
            return "above"
        return "below" if self.interval.high < self.settings.line else None

    @property
    def is_finished(self) -> bool:
        """Whether no more answers are needed."""
        return (
            self.reason is not None
            or self.decided is not None
            or len(self.answers) >= self.settings.n_answers
        )

    def with_mass(self, hdr_mass: float) -> "RateResult":
        """The same answers decided at another mass, without a model."""
        check_text_mass(hdr_mass, self.settings.asked.n_samples)
        return replace(self, hdr_mass=hdr_mass)

    def to_json(self) -> dict[str, Any]:
        """What the command line and the endpoint give."""
        asked = self.settings.asked
        return {
            "question": asked.question,
            "checkpoint": self.checkpoint,
            "model": self.model,
            "scorer": self.scorer,
            "seed": asked.seed,
            "hdr_mass": self.hdr_mass,
            "n_wanted": self.settings.n_answers,
            "n_sampled": len(self.answers),
            "n_judged": self.n_judged,
            "n_empty": sum(not answer for answer in self.answers),
            "n_hallucinations": self.n_hallucinations,
            "hallucination_rate": self.rate,
            "interval": [self.interval.low, self.interval.high] if self.n_judged else None,
            "confidence": self.settings.confidence,
            "interval_method": INTERVAL_METHOD,
            "line": self.settings.line,
            "decided": self.decided,
            "reason": self.reason,
            "states": self.frame.states,
            "answers": [
                {
                    "seed": asked.seed + place,
                    "answer": answer,
                    "margin_nats": None if verdict is None else verdict.margin_nats,
                    "is_hallucination": None if verdict is None else verdict.is_hallucination,
                }
                for place, (answer, verdict) in enumerate(zip(self.answers, self.verdicts, strict=True))
            ],
        }


def hallucination_rate(engine: Engine, settings: RateSettings) -> Iterator[JobProgress[RateResult]]:
    """Sample answers until it is decided on which side of the line their hallucination rate lies.

    Every progress after the frame is built holds the result so far, so closing the generator loses nothing.

    Raises RefusedInputError for settings that cannot be used.
    """
    settings = settings.checked()
    asked = settings.asked
    generation = asked.generation(engine)
    if generation.temperature == 0:
        raise RefusedInputError(
            "expected a temperature above 0 for a rate, got 0: it would give the same answer every time"
        )
    checkpoint = asked.checkpoint or engine.default_checkpoint("words")
    engine.checkpoint_place("words", checkpoint)
    with engine.enter("rate") as ticket:
        yield from taking_turns(ticket)
        scorer = engine.scorer()
        building = WordsFrameBuilding(scorer, asked.frame_settings(engine.preset.words.max_new_tokens))
        for message, fraction in building.run():
            yield JobProgress(message, 0.4 * fraction)
        qwen, frame = engine.qwen(checkpoint), building.frame
        begun = begun_ids(qwen, asked, generation)
        result = RateResult(
            settings, checkpoint, qwen.name, scorer.name, frame, (),
            np.zeros((0, len(frame.states))), asked.hdr_mass,
        )  # fmt: skip
        while not result.is_finished:
            n_done = len(result.answers)
            n_batch = min(max(1, n_done), LARGEST_BATCH, settings.n_answers - n_done)
            seeds = [asked.seed + n_done + place for place in range(n_batch)]
            builders = [AnswerBuilder() for _ in seeds]
            steps = stream_answers(qwen, [asked.question] * n_batch, seeds, generation, begun=begun)
            for n_tokens, step in enumerate(steps, start=1):
                for token in step:
                    builders[token.sample].add(token)
                share = n_batch * n_tokens / generation.max_new_tokens
                fraction = 0.4 + 0.6 * (n_done + 0.9 * share) / settings.n_answers
                yield JobProgress(_sampling(n_done, settings), fraction, result)
            result = _with_more(result, scorer, [builder.answer() for builder in builders])
            n_done = len(result.answers)
            yield JobProgress(_sampling(n_done, settings), 0.4 + 0.6 * n_done / settings.n_answers, result)
    yield JobProgress("decided" if result.decided else "sampled", 1.0, result)


def _sampling(n_done: int, settings: RateSettings) -> str:
    return f"{n_done} of at most {settings.n_answers} answers judged"


def _with_more(result: RateResult, scorer: Any, answers: list[Answer]) -> RateResult:
    """The result with these answers scored as well."""
    texts = [answer.text for answer in answers]
    densities = np.full((len(texts), len(result.frame.states)), np.nan)
    written = [place for place, text in enumerate(texts) if text]
    if written:
        densities[written] = answer_log_densities(
            scorer, result.settings.asked.question, result.frame.states, [texts[place] for place in written]
        )
    return replace(
        result,
        answers=(*result.answers, *texts),
        log_densities=np.concatenate([result.log_densities, densities]),
    )
