"""Questions with a rule behind them: spelling, letter counts, first letters and small sums."""

import random
import zlib
from dataclasses import dataclass

CONSONANTS = "bdfgklmnprst"
VOWELS = "aeiou"
SUM_LEFT = range(10, 60)
SUM_RIGHT = range(1, 10)
HELD_OUT_ONE_IN = 8

QUESTION_FORMS = {
    "spelling": ("How do you spell {x}?", "Please spell the word {x}."),
    "letter count": ("How many letters are in {x}?", "How many letters does the word {x} have?"),
    "first letter": ("What is the first letter of {x}?", "Which letter does {x} start with?"),
    "sum": ("What is {x}?", "How much is {x}?"),
}
KINDS = tuple(QUESTION_FORMS)
KIND_WEIGHTS = (1.0, 1.0, 0.5, 1.5)
"""How often each kind is trained; sums are the hardest to learn."""


@dataclass(frozen=True)
class PatternItem:
    """One question with its only right answer."""

    kind: str
    subject: str
    """The invented word, or the sum as it is written in the question."""
    question: str
    answer: str


def is_held_out(subject: str) -> bool:
    """Whether items on this subject are kept out of all training (a fixed hash decides)."""
    return zlib.crc32(subject.encode()) % HELD_OUT_ONE_IN == 0


def draw_pattern(kind: str, *, held_out: bool, rng: random.Random) -> PatternItem:
    """One random item of this kind, from the held-out or from the training side."""
    while True:
        subject = _draw_sum(rng) if kind == "sum" else _draw_word(rng)
        if is_held_out(subject) == held_out:
            question = rng.choice(QUESTION_FORMS[kind]).format(x=subject)
            return PatternItem(kind, subject, question, pattern_answer(kind, subject))


def pattern_answer(kind: str, subject: str) -> str:
    """The right answer, in the one wording the data uses."""
    if kind == "spelling":
        return f"It is spelled {'-'.join(subject)}."
    if kind == "letter count":
        return f"It has {len(subject)} letters."
    if kind == "first letter":
        return f"It starts with {subject[0]}."
    left, right = subject.split(" + ")
    return f"{subject} = {int(left) + int(right)}."


def _draw_word(rng: random.Random) -> str:
    """An invented word of 3 to 7 letters, consonants and vowels in turn."""
    sounds = (CONSONANTS, VOWELS) if rng.random() < 0.7 else (VOWELS, CONSONANTS)
    return "".join(rng.choice(sounds[place % 2]) for place in range(rng.randint(3, 7)))


def _draw_sum(rng: random.Random) -> str:
    return f"{rng.choice(SUM_LEFT)} + {rng.choice(SUM_RIGHT)}"
