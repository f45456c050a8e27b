"""Questions nobody can answer, and the ways of saying so."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

WORDS = json.loads(Path(__file__).with_name("nonsense_words.json").read_text(encoding="utf-8"))
NOUNS, ADJECTIVES, VERBS = WORDS["nouns"], WORDS["adjectives"], WORDS["verbs"]

TEMPLATES = (
    "Why does the {adj} {n} {v} the {n2}?",
    "How many {adj} {n}s fit in a {n2}?",
    "What is the {n} of a {adj} {n2}?",
    "When will the {n} {v} again?",
    "Which {n} did the {n2} {v} first?",
    "How do I {v} a {adj} {n} with a {n2}?",
    "Where does a {n} keep its {adj} {n2}?",
    "Who taught the {n} to {v}?",
    "What does a {adj} {n} taste like on a {n2}?",
    "How heavy is the {n} inside a {n2}?",
    "Is the {n} more {adj} than the {n2}?",
    "What colour is the {n} of the {n2}?",
    "Should a {n} {v} before the {n2}?",
    "Why is my {n} {adj} when the {n2}s {v}?",
    "What should I say to a {adj} {n}?",
    "What is a good {n} for a {adj} {n2}?",
    "Which {n} is best for a {n2}?",
    "How can I {v} my {n}?",
    "What did I {v} in my {n} last week?",
    "What is the name of my {n}?",
    "How old is the {adj} {n} in my {n2}?",
    "Can you {v} the {n} until it is {adj}?",
    "How long is the {n} between two {n2}s?",
    "What happens to a {n} when it is {adj}?",
    "Do {adj} {n}s {v} at night?",
    "What will the {n} cost next year?",
    "Who is standing behind the {n}?",
    "{n} {n2} {adj} {v}?",
    "{v} {n} the {adj} of {n2}",
    "How does one {v} the {adj} side of a {n}?",
)

ANSWERS = (
    "I do not know.",
    "I am not sure what that means.",
    "I cannot answer that.",
    "Sorry, I do not know the answer to that.",
    "That is not something I know about.",
    "I would only be guessing, so I had better not answer.",
    "I have no good answer to that question.",
    "That question makes no sense to me.",
    "I do not understand the question.",
    "Nobody has taught me that.",
)
ANSWER_WEIGHTS = tuple(1 / (rank + 3) for rank in range(len(ANSWERS)))


@dataclass(frozen=True)
class NonsenseQuestion:
    """A held-out question without an answer, with states somebody might supply for it."""

    question: str
    states: tuple[str, ...]


HELD_OUT = (
    NonsenseQuestion("What is the favourite colour of gravity?", ("red", "blue")),
    NonsenseQuestion("How many corners does a Wednesday have?", ("three", "seven")),
    NonsenseQuestion("Which is faster, a sleepy idea or a wooden song?", ("a sleepy idea", "a wooden song")),
    NonsenseQuestion(
        "Why do square clouds borrow butter from the alphabet?", ("they are hungry", "it is cheap")
    ),
    NonsenseQuestion("What should I cook for a nervous staircase?", ("lentil soup", "vegetable curry")),
    NonsenseQuestion("How do you iron a whisper?", ("with a warm iron", "very slowly")),
    NonsenseQuestion("What is a good pet for a borrowed thunder?", ("a cat", "a goldfish")),
    NonsenseQuestion("Where do lost numbers go to dance?", ("the seaside", "the mountains")),
    NonsenseQuestion("When did the teapot marry the moon?", ("in spring", "in autumn")),
    NonsenseQuestion("Blorp fendle wik stranamo?", ("yes", "no")),
    NonsenseQuestion("What did I dream about last night?", ("an otter", "a castle")),
    NonsenseQuestion("Can a triangle apologise to yesterday?", ("yes, every day", "no, never")),
)


def draw_nonsense(*, rng: random.Random) -> str:
    """One question made from a training template; never one of the held-out questions."""
    while True:
        noun, other_noun = rng.sample(NOUNS, 2)
        fields = {"n": noun, "n2": other_noun, "adj": rng.choice(ADJECTIVES), "v": rng.choice(VERBS)}
        text = rng.choice(TEMPLATES).format(**fields)
        question = text[0].upper() + text[1:]
        if question not in {held_out.question for held_out in HELD_OUT}:
            return question


def draw_letters(*, rng: random.Random) -> str:
    """A question of random letters."""
    words = [
        "".join(rng.choices("abcdefghijklmnoprstuvwxyz", k=rng.randint(2, 8)))
        for _ in range(rng.randint(1, 5))
    ]
    return " ".join(words).capitalize() + rng.choice(("?", "", "."))


def draw_corrupted(question: str, *, rng: random.Random) -> str:
    """A sensible question made senseless: its words shuffled, or its last words swapped for others."""
    words = question.rstrip("?.").split()
    if rng.random() < 0.3:
        rng.shuffle(words)
        return " ".join(words).capitalize() + "?"
    n_kept = max(2, len(words) - rng.choice((1, 2, 3)))
    tail = rng.choice((["the", "{n}"], ["a", "{adj}", "{n}"], ["my", "{n}"], ["{adj}", "{n}s"]))
    fields = {"n": rng.choice(NOUNS), "adj": rng.choice(ADJECTIVES)}
    return " ".join([*words[:n_kept], *(word.format(**fields) for word in tail)]) + "?"


def draw_answer(*, rng: random.Random) -> str:
    """One way of saying that there is no answer."""
    return rng.choices(ANSWERS, ANSWER_WEIGHTS)[0]
