"""Answers made wrong on purpose, from pieces of acceptable ones that do not belong together."""

import random

from hallulab.data.open_ended import OpenEndedQuestion

MOST_TRIES = 100
"""Draws for one wrong answer: some pieces fit together by chance and make an acceptable answer."""


def spliced_answer(first: str, second: str) -> str:
    """The first half of one answer followed by the second half of another, in words."""
    words, others = first.split(), second.split()
    return " ".join([*words[: max(1, len(words) // 2)], *others[len(others) // 2 :]])


def spliced_answers(question: OpenEndedQuestion, n: int, *, rng: random.Random) -> list[str]:
    """Answers that begin as one acceptable answer and end as another; none is acceptable itself."""
    texts = []
    for _ in range(n * MOST_TRIES):
        first, second = (answer.draw(rng=rng) for answer in rng.sample(question.answers, 2))
        text = spliced_answer(first, second)
        if question.state_of(text) is None:
            texts.append(text)
        if len(texts) == n:
            break
    return texts


def blended_answers(question: OpenEndedQuestion, n: int, *, rng: random.Random) -> list[str]:
    """Answers that name one acceptable answer and give the reason of another."""
    texts = []
    while len(texts) < n:
        named, meant = rng.sample(question.answers, 2)
        text, reason = named.draw(rng=rng), rng.choice(meant.reasons)
        own = [r for r in named.reasons if r in text or r[0].upper() + r[1:] in text]
        if own:
            start = text.lower().index(own[0])
            swapped = reason if text[start].islower() else reason[0].upper() + reason[1:]
            texts.append(text[:start] + swapped + text[start + len(own[0]) :])
    return texts


def borrowed_answers(other: OpenEndedQuestion, n: int, *, rng: random.Random) -> list[str]:
    """Acceptable answers to another question, drawn as often as they are given there."""
    return [other.draw_answer(rng=rng).draw(rng=rng) for _ in range(n)]
