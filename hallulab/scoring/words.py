"""Asking a question: an answer, and whether it δ-hallucinates by its likelihood under each hint.

One frozen scorer, the preset's base model, scores the answers of every checkpoint: a fine-tuned model that
scored itself would certify its own mistakes.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.declared_types import with_declared_fields
from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.engine.core import Engine
from hallulab.engine.word_choices import read_tokens, token_ids_of
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.engine.words import Answer, AnswerBuilder, GenerationSettings, stream_answers
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen
from hallulab.scoring.words_frame import (
    WordsFrame,
    WordsFrameBuilding,
    WordsFrameSettings,
    answer_log_densities,
    check_text_mass,
)

MAX_CHARACTERS = 2_000
"""Longest question and longest pasted answer."""


@dataclass(frozen=True)
class AskSettings:
    """One question and how it is answered and judged."""

    question: str
    states: tuple[str, ...] = ()
    """Latent states, each used as a hint; empty: the known answers, else proposed by sampling."""
    checkpoint: str | None = None
    """Which checkpoint answers; None is the preset's default."""
    seed: int = 0
    """Of the answer."""
    n_samples: int = 128
    """Genuine answers sampled per state."""
    hdr_mass: float = 0.9
    """Share of genuine answers that belong inside, in (0, 1)."""
    temperature: float | None = None
    """None is the preset's; 0 always takes the likeliest token."""
    top_p: float | None = None
    """Nucleus mass in (0, 1]; None is the preset's."""
    max_new_tokens: int | None = None
    """Longest answer, in tokens; None is the preset's."""
    answer: str | None = None
    """Judge this text instead of a generated answer."""
    begun: tuple[int, ...] | str = ()
    """Token ids, or a text, that the generated answer begins with; the rest is the model's own."""
    frame_seed: int = 0
    """Of the genuine samples."""

    def checked(self) -> "AskSettings":
        """The same settings without outer blanks; RefusedInputError says what cannot be used."""
        settings = with_declared_fields(self)
        settings._check_texts()
        frame, begun = settings.frame_settings(), settings.begun
        check_text_mass(settings.hdr_mass, settings.n_samples)
        if not 0 <= settings.seed < 2**63:
            raise RefusedInputError(f"expected a whole seed from 0 to 2^63 − 1, got {settings.seed}")
        return replace(
            settings,
            question=frame.question,
            states=frame.states,
            answer=None if settings.answer is None else settings.answer.strip(),
            begun=(begun.strip() if isinstance(begun, str) else begun) or (),
        )

    def _check_texts(self) -> None:
        _check_text("a question", self.question)
        if self.answer is not None:
            _check_text("an answer to judge", self.answer)
            if self.begun:
                raise RefusedInputError(
                    "expected an answer to judge or the beginning of one, got both: leave one out"
                )
        if isinstance(self.begun, str) and len(self.begun) > MAX_CHARACTERS:
            _check_text("the beginning of an answer", self.begun)

    def frame_settings(self, max_new_tokens: int = 40) -> WordsFrameSettings:
        """What the frame of this question is built from."""
        states = tuple(state.strip() for state in self.states)
        return WordsFrameSettings(
            self.question.strip(), states, self.n_samples, self.frame_seed, max_new_tokens
        )

    def generation(self, engine: Engine) -> GenerationSettings:
        """How the answer is drawn, the preset filling what is left open."""
        words = engine.preset.words
        return GenerationSettings(
            max_new_tokens=words.max_new_tokens if self.max_new_tokens is None else self.max_new_tokens,
            temperature=words.temperature if self.temperature is None else self.temperature,
            top_p=words.top_p if self.top_p is None else self.top_p,
        )


@dataclass(frozen=True)
class AnswerToken:
    """One token of an answer."""

    text: str
    probability: float
    """Under the model that wrote it, before temperature and truncation; of a given text, under the scorer."""
    token_id: int


@dataclass(frozen=True)
class AskResult:
    """An answer with its verdict; another mass needs no model."""

    settings: AskSettings
    checkpoint: str
    model: str
    """Name of the model that wrote the answer."""
    scorer: str
    """Name of the frozen model that scored it."""
    scorer_sha256: str
    answer: str
    tokens: tuple[AnswerToken, ...]
    """Of the answer, without its end token."""
    is_complete: bool
    """Whether the answer came to its own end."""
    frame: WordsFrame
    log_densities: NDArray[np.float64]
    """(n_states,) log-likelihood of the answer under each hint, nats; empty when there is no verdict."""
    log_density_unhinted: float | None
    """log p(answer | question) without a hint, nats."""
    hdr_mass: float
    reason: str | None
    """Why there is no verdict."""

    @cached_property
    def hcdr(self) -> HcdrFrame | None:
        """The frame at this result's mass."""
        if self.reason is not None or self.frame.hcdr is None:
            return None
        return self.frame.hcdr.with_mass(self.hdr_mass)

    @cached_property
    def verdict(self) -> Verdict | None:
        """None when there is a `reason` for having none."""
        return None if self.hcdr is None else self.hcdr.decide(self.log_densities[None])[0]

    def with_mass(self, hdr_mass: float) -> "AskResult":
        """The same answer decided at another mass, without a model."""
        check_text_mass(hdr_mass, self.settings.n_samples)
        return replace(self, hdr_mass=hdr_mass)

    def to_json(self) -> dict[str, Any]:
        """The contract of `ask`."""
        verdict = self.verdict
        nothing = {
            "max_log_density": None,
            "argmax_state": None,
            "margin_nats": None,
            "is_hallucination": None,
        }
        no_states = [
            {"state": state, "log_density": None, "threshold": None, "inside": None, "n_genuine": 0}
            for state in self.frame.states
        ]
        judged = verdict.to_json() if verdict else {"states": no_states, **nothing, "frame_hash": None}
        return {
            "question": self.settings.question,
            "answer": self.answer,
            "model": self.model,
            "checkpoint": self.checkpoint,
            "seed": self.settings.seed,
            **judged,
            "reason": self.reason,
            "log_density_unhinted": self.log_density_unhinted,
            "scorer": self.scorer,
            "scorer_sha256": self.scorer_sha256,
            "hdr_mass": self.hdr_mass,
            "states_source": self.frame.states_source,
            "validity": {check.state: check.n_valid / check.n_sampled for check in self.frame.checks},
            "n_samples": self.settings.n_samples,
            "is_complete": self.is_complete,
            "begun": self.settings.begun,
            "tokens": [vars(token) for token in self.tokens],
        }


@dataclass(frozen=True)
class AskProgress:
    """How far an `ask` job is."""

    message: str
    """What is being done, in a few words."""
    fraction: float
    """Share of the work done, 0 to 1."""
    tokens: tuple[AnswerToken, ...] = ()
    """The answer so far."""
    result: AskResult | None = None
    """The end: set once, in the last progress."""

    @property
    def answer(self) -> str:
        """The answer so far, as text."""
        return "".join(token.text for token in self.tokens).strip()


def ask(engine: Engine, settings: AskSettings) -> Generator[AskProgress, None, None]:
    """Answer a question and judge the answer; the last progress holds the result.

    Holds the engine's device queue while it works; closing the generator stops after the current token.

    Raises RefusedInputError for a question, state, checkpoint or setting that cannot be used.
    """
    settings = settings.checked()
    generation = settings.generation(engine)
    checkpoint = settings.checkpoint or engine.default_checkpoint("words")
    engine.checkpoint_place("words", checkpoint)
    with engine.enter("ask") as ticket:
        for position in ticket.positions():
            yield AskProgress(f"waiting for {position} other job{'s' if position > 1 else ''}", 0.0)
        yield AskProgress("loading the model", 0.0)
        builder, writer = AnswerBuilder(), "given text"
        if settings.answer is None:
            qwen = engine.qwen(checkpoint)
            writer, begun = qwen.name, begun_ids(qwen, settings, generation)
            for (step,) in stream_answers(
                qwen, [settings.question], [settings.seed], generation, begun=begun
            ):
                builder.add(step)
                tokens = answer_tokens(builder.answer())
                yield AskProgress("answering", 0.3 * len(tokens) / generation.max_new_tokens, tokens)
        scorer = engine.scorer()
        answer = builder.answer() if settings.answer is None else _given(scorer, settings)
        tokens = answer_tokens(answer)
        building = WordsFrameBuilding(scorer, settings.frame_settings(engine.preset.words.max_new_tokens))
        for message, fraction in building.run():
            yield AskProgress(message, 0.3 + 0.6 * fraction, tokens)
        yield AskProgress("scoring the answer", 0.95, tokens)
        result = _judged(settings, checkpoint, writer, answer, tokens, building.frame, scorer)
    yield AskProgress("judged", 1.0, tokens, result)


def _judged(
    settings: AskSettings,
    checkpoint: str,
    writer: str,
    answer: Answer,
    tokens: tuple[AnswerToken, ...],
    frame: WordsFrame,
    scorer: LoadedQwen,
) -> AskResult:
    reason = frame.reason if answer.text else "no verdict: the answer is empty, so there is nothing to judge"
    log_densities, unhinted = np.zeros(0), None
    if answer.text:
        unhinted = float(log_likelihoods(scorer, [settings.question], [answer.text])[0])
    if reason is None:
        log_densities = answer_log_densities(scorer, settings.question, frame.states, [answer.text])[0]
    return AskResult(
        settings=settings,
        checkpoint=checkpoint,
        model=writer,
        scorer=scorer.name,
        scorer_sha256=scorer.sha256,
        answer=answer.text,
        tokens=tokens,
        is_complete=answer.is_complete,
        frame=frame,
        log_densities=log_densities,
        log_density_unhinted=unhinted,
        hdr_mass=settings.hdr_mass,
        reason=reason,
    )


def answer_tokens(answer: Answer) -> tuple[AnswerToken, ...]:
    """The tokens of an answer as they are shown."""
    return tuple(map(AnswerToken, answer.token_texts, answer.token_probabilities, answer.token_ids))


def _given(scorer: LoadedQwen, settings: AskSettings) -> Answer:
    """The pasted answer, its tokens as the scorer reads them."""
    assert settings.answer is not None
    read = AnswerBuilder([*read_tokens(scorer, settings.question, settings.answer)])
    return replace(read.answer(), text=settings.answer)  # a tokenizer may write the same characters otherwise


def begun_ids(qwen: LoadedQwen, settings: AskSettings, generation: GenerationSettings) -> tuple[int, ...]:
    """The tokens that the answer begins with."""
    begun = settings.begun
    ids = tuple(token_ids_of(qwen, begun)) if isinstance(begun, str) else begun
    if len(ids) > generation.max_new_tokens:
        raise RefusedInputError(
            f"the answer's beginning is {len(ids)} tokens long, but answers end after "
            f"{generation.max_new_tokens}: shorten it, or allow longer answers"
        )
    return ids


def _check_text(what: str, text: str) -> None:
    if not text.strip():
        raise RefusedInputError(f"expected {what}, got an empty text: write something")
    if len(text) > MAX_CHARACTERS:
        raise RefusedInputError(
            f"expected {what} of at most {MAX_CHARACTERS:,} characters, got {len(text):,}: make it shorter"
        )
