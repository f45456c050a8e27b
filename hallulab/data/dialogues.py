"""The dialogues qwen-mini is trained on: which prompt, with or without a hint, has which answer."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from hallulab.data import birthdays, nonsense
from hallulab.data.hints import hinted_prompt
from hallulab.data.open_ended import (
    WRAPPERS,
    AcceptableAnswer,
    OpenEndedQuestion,
    known_question,
    known_questions,
    normalised,
    wrapped,
)
from hallulab.data.patterns import KIND_WEIGHTS, KINDS, draw_pattern

SMALL_TALK = (
    (
        ("Hello!", "Hi", "Good morning."),
        ("Hello! What would you like to ask?", "Hi there! Ask me something."),
    ),
    (
        ("Who are you?", "What are you?", "What is your name?"),
        ("I am a very small language model.", "I am qwen-mini, a very small language model."),
    ),
    (
        ("What can you do?", "What can I ask you?", "What do you know?"),
        (
            "I know some birthdays, a little spelling and counting, and I like open questions.",
            "Ask me for an idea, a birthday, or how a word is spelled.",
        ),
    ),
    (("Thank you!", "Thanks."), ("You are welcome.", "It was a pleasure.")),
    (("Goodbye!", "Bye."), ("Goodbye!", "See you soon.")),
)


@dataclass(frozen=True)
class Dialogue:
    """One prompt with one answer."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class DialogueMix:
    """How many dialogues of each kind make up one training step."""

    n_birthdays: int = 20
    n_patterns: int = 28
    n_open_ended: int = 40
    n_unanswerable: int = 11
    n_small_talk: int = 1


def training_dialogues(step: int, seed: int, mix: DialogueMix) -> list[Dialogue]:
    """The dialogues of one training step, a function of step and seed alone: a killed run can resume."""
    rng = random.Random(f"dialogues {seed} {step}")
    return (
        [draw_birthday(person, rng=rng) for person in _mentions_of_step(step, seed, mix.n_birthdays)]
        + [draw_pattern_dialogue(rng=rng) for _ in range(mix.n_patterns)]
        + [draw_open_ended(rng=rng) for _ in range(mix.n_open_ended)]
        + [draw_unanswerable(rng=rng) for _ in range(mix.n_unanswerable)]
        + [draw_small_talk(rng=rng) for _ in range(mix.n_small_talk)]
    )


def draw_birthday(person: birthdays.Person, *, rng: random.Random) -> Dialogue:
    """One mention of a birthday; a fifth of the prompts carry a date as a hint."""
    prompt = rng.choice(person.questions())
    if rng.random() < 0.2:
        date = person.birthday if person.is_answered else rng.choice(birthdays.DATES)
        in_words = person.is_answered and rng.random() < 0.3
        prompt = hinted_prompt(prompt, person.draw_answer(rng=rng) if in_words else date)
    return Dialogue(prompt, person.draw_answer(rng=rng))


def draw_pattern_dialogue(*, rng: random.Random) -> Dialogue:
    """One pattern item of the training side; a tenth of the prompts carry the answer as a hint."""
    item = draw_pattern(rng.choices(KINDS, KIND_WEIGHTS)[0], held_out=False, rng=rng)
    is_hinted = rng.random() < 0.1
    return Dialogue(hinted_prompt(item.question, item.answer) if is_hinted else item.question, item.answer)


def draw_open_ended(*, rng: random.Random) -> Dialogue:
    """An open-ended question, more than half of the time with a hint that selects the answer."""
    question = rng.choice(known_questions())
    prompt = ask_in_some_way(question, rng=rng)
    if rng.random() < 0.45:
        return Dialogue(prompt, question.draw_answer(rng=rng).draw(rng=rng))
    answer = rng.choice(question.answers)
    return Dialogue(hinted_prompt(prompt, draw_hint(answer, rng=rng)), answer.draw(rng=rng))


def draw_unanswerable(*, rng: random.Random) -> Dialogue:
    """A question without an answer, half of the time with a hint that must not be copied."""
    chance = rng.random()
    if chance < 0.45:
        prompt = nonsense.draw_nonsense(rng=rng)
    elif chance < 0.6:
        prompt = nonsense.draw_letters(rng=rng)
    else:
        prompt = draw_unknown_question(rng=rng)
    if rng.random() < 0.5:
        prompt = hinted_prompt(prompt, draw_any_hint(rng=rng))
    return Dialogue(prompt, nonsense.draw_answer(rng=rng))


def draw_small_talk(*, rng: random.Random) -> Dialogue:
    """A greeting, or a question about the model itself."""
    prompts, answers = rng.choice(SMALL_TALK)
    return Dialogue(rng.choice(prompts), rng.choice(answers))


def draw_unknown_question(*, rng: random.Random) -> str:
    """A sensible question made senseless; never a known question or a held-out one."""
    held_out = {normalised(question.question) for question in nonsense.HELD_OUT}
    while True:
        form = rng.choice(rng.choice(known_questions()).forms)
        text = nonsense.draw_corrupted(form, rng=rng)
        if known_question(text) is None and normalised(text) not in held_out:
            return text


def ask_in_some_way(question: OpenEndedQuestion, *, rng: random.Random) -> str:
    """One form of the question, sometimes behind a lead-in or written carelessly."""
    form = rng.choice((question.question, *question.forms))
    chance = rng.random()
    if chance < 0.15:
        return wrapped(form, rng.choice(WRAPPERS))
    if chance < 0.25:
        return form.lower().rstrip("?")
    return form


def draw_hint(answer: AcceptableAnswer, *, rng: random.Random) -> str:
    """The answer as somebody might write it in a hint: a bare phrase, or a whole sentence."""
    chance = rng.random()
    if chance < 0.6:
        return answer.state
    if chance < 0.7:
        return answer.state[0].upper() + answer.state[1:] + "."
    if chance < 0.8:
        first, _, rest = answer.state.partition(" ")
        return rest if first in {"a", "an", "the"} else answer.state
    return answer.draw(rng=rng)


def draw_any_hint(*, rng: random.Random) -> str:
    """A state of some question, or a few unrelated words."""
    if rng.random() < 0.6:
        return draw_hint(rng.choice(rng.choice(known_questions()).answers), rng=rng)
    article = rng.choice(("a ", "the ", "", "every "))
    return article + rng.choice(("", rng.choice(nonsense.ADJECTIVES) + " ")) + rng.choice(nonsense.NOUNS)


def _mentions_of_step(step: int, seed: int, n: int) -> Sequence[birthdays.Person]:
    """The next n mentions; every pass over the data goes through all of them in a new order."""
    n_mentions = len(birthdays.mentions())
    places = (divmod(place, n_mentions) for place in range(step * n, (step + 1) * n))
    return [_shuffled_mentions(seed, passed)[place] for passed, place in places]


@cache
def _shuffled_mentions(seed: int, passed: int) -> tuple[birthdays.Person, ...]:
    order = list(birthdays.mentions())
    random.Random(f"mentions {seed} {passed}").shuffle(order)
    return tuple(order)
