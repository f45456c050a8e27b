"""Open-ended questions with two acceptable answers each, and every way the small world words the known ones.

Two sets: `open_ended_questions()` is the whole file, 300 questions; `known_questions()` are its first 60, which
qwen-mini was trained on and which alone have other forms, reasons and unequal answers.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

QUESTIONS_FILE = Path(__file__).with_name("open_ended.jsonl")

REASONED_TEMPLATES = (
    "I would suggest {a}, because {r}.",
    "{A} is a good choice: {r}.",
    "My pick is {a}, as {r}.",
    "How about {a}? {R}.",
    "I would go for {a}, since {r}.",
    "Try {a}. {R}.",
    "{A}, I would say, because {r}.",
    "You cannot go wrong with {a}: {r}.",
    "{A} comes to mind first: {r}.",
    "For me it is {a}, because {r}.",
    "{A}. {R}.",
    "I like the idea of {a}: {r}.",
)
SHORT_TEMPLATES = ("{A} is my answer.", "{A}.")
TEMPLATE_WEIGHTS = tuple(1 / (rank + 3) for rank in range(len(REASONED_TEMPLATES) + len(SHORT_TEMPLATES)))
REASON_WEIGHTS = (0.5, 0.3, 0.2)
WRAPPERS = ("Tell me: {q}", "Quick question: {q}", "I wonder: {q}", "Please help me: {q}")


@dataclass(frozen=True)
class AcceptableAnswer:
    """One acceptable answer of an open-ended question: a latent state of the question."""

    state: str
    """A noun phrase, as it is written in hints."""
    weight: float
    """Probability of this answer when no hint is given."""
    reasons: tuple[str, ...]
    """Clauses that may follow the answer, most frequent first; empty for a question the base does not know."""
    written: str = ""
    """The answer as one sentence; empty where it is worded from templates and reasons."""

    @property
    def text(self) -> str:
        """The answer as one short text of full sentences: as written, else its commonest wording."""
        return self.written or next(self.weighted_phrasings())[0]

    def phrasings(self) -> tuple[str, ...]:
        """Every wording of this answer in the small world; where it is `written`, that sentence alone."""
        return tuple(text for text, _ in self.weighted_phrasings())

    def weighted_phrasings(self) -> Iterator[tuple[str, float]]:
        """Pairs (wording, weight), the commonest first; the weights add up to 1."""
        if self.written:
            yield self.written, 1.0
            return
        total = sum(TEMPLATE_WEIGHTS)
        templates = REASONED_TEMPLATES + SHORT_TEMPLATES
        for template, template_weight in zip(templates, TEMPLATE_WEIGHTS, strict=True):
            if template in SHORT_TEMPLATES:
                yield _fill(template, self.state, ""), template_weight / total
                continue
            for reason, reason_weight in zip(self.reasons, REASON_WEIGHTS, strict=True):
                yield _fill(template, self.state, reason), template_weight / total * reason_weight

    def draw(self, *, rng: random.Random) -> str:
        """One wording, drawn with its weight."""
        texts, weights = zip(*self.weighted_phrasings(), strict=True)
        return rng.choices(texts, weights)[0]


@dataclass(frozen=True)
class OpenEndedQuestion:
    """A question with its acceptable answers."""

    question: str
    also_asked: tuple[str, ...]
    """The same question in other words; empty for a question the base does not know."""
    answers: tuple[AcceptableAnswer, ...]
    topic: str = ""
    """The part of everyday life it is about."""

    @property
    def is_known(self) -> bool:
        """Whether qwen-mini was trained on it."""
        return bool(self.also_asked)

    @property
    def states(self) -> tuple[str, ...]:
        """The acceptable answers as short phrases, most likely first."""
        return tuple(answer.state for answer in self.answers)

    @property
    def forms(self) -> tuple[str, ...]:
        """Every way of asking this question, without a lead-in."""
        return (self.question, *self.also_asked)

    def draw_answer(self, *, rng: random.Random) -> AcceptableAnswer:
        """One acceptable answer, drawn with its weight."""
        return rng.choices(self.answers, [answer.weight for answer in self.answers])[0]

    def state_of(self, text: str) -> str | None:
        """The state that `text` is a wording of, or None when it is a wording of no acceptable answer."""
        return _states_by_wording(self).get(normalised(text))


@cache
def open_ended_questions() -> tuple[OpenEndedQuestion, ...]:
    """All 300 questions of the file, in file order: the known ones first."""
    with QUESTIONS_FILE.open(encoding="utf-8") as lines:
        return tuple(_read_question(json.loads(line)) for line in lines if line.strip())


@cache
def known_questions() -> tuple[OpenEndedQuestion, ...]:
    """The 60 questions qwen-mini was trained on, in file order."""
    return tuple(question for question in open_ended_questions() if question.is_known)


def known_question(question: str) -> OpenEndedQuestion | None:
    """The question of `known_questions` this is a form of (case, punctuation, lead-ins do not matter), or None."""
    listed = listed_question(question)
    return listed if listed is not None and listed.is_known else None


def listed_question(question: str) -> OpenEndedQuestion | None:
    """The same among all of `open_ended_questions`."""
    return _questions_by_form().get(normalised(question))


def known_states(question: str) -> tuple[str, ...] | None:
    """The acceptable answers to any form of any listed question, or None.

    That they are known does not mean that the model knows them: see `known_question`.
    """
    listed = listed_question(question)
    return None if listed is None else listed.states


def normalised(text: str) -> str:
    """Lower-case words of `text`, without punctuation."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def wrapped(question: str, wrapper: str) -> str:
    """The question behind a lead-in such as `Tell me: …`."""
    return wrapper.format(q=question[0].lower() + question[1:])


def _fill(template: str, state: str, reason: str) -> str:
    return template.format(a=state, A=_capital(state), r=reason, R=_capital(reason))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _read_question(row: dict) -> OpenEndedQuestion:
    answers = tuple(
        AcceptableAnswer(a["state"], a["weight"], tuple(a.get("reasons", ())), a.get("text", ""))
        for a in row["answers"]
    )
    return OpenEndedQuestion(row["question"], tuple(row.get("also_asked", ())), answers, row["topic"])


@cache
def _questions_by_form() -> dict[str, OpenEndedQuestion]:
    by_form = {}
    for question in open_ended_questions():
        for form in question.forms:
            by_form[normalised(form)] = question
            by_form.update({normalised(wrapped(form, wrapper)): question for wrapper in WRAPPERS})
    return by_form


@cache
def _states_by_wording(question: OpenEndedQuestion) -> dict[str, str]:
    return {normalised(text): answer.state for answer in question.answers for text in answer.phrasings()}
