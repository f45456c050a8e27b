"""Wordings of answers and questions that the small world was never trained on: the same, said in a new way."""

from collections.abc import Sequence
from dataclasses import replace

from hallulab.data.open_ended import AcceptableAnswer, OpenEndedQuestion, wrapped

RECOMBINED_TEMPLATES = (
    "I would suggest {a}, as {r}.",
    "My pick is {a}, because {r}.",
    "I would go for {a}: {r}.",
    "{A}, I would say, since {r}.",
    "For me it is {a}. {R}.",
    "I like the idea of {a}, because {r}.",
)
"""Trained openings with trained conjunctions, in pairs that were never trained."""
NEW_TEMPLATES = (
    "Perhaps {a}, because {r}.",
    "Why not {a}? {R}.",
    "I think {a} is best, since {r}.",
    "I recommend {a}: {r}.",
    "{A} would be lovely, as {r}.",
    "Definitely {a}, because {r}.",
)
"""Openings that no template of `hallulab.data.open_ended` has."""
HELD_OUT_WRAPPERS = ("Be honest: {q}", "My friend asks: {q}", "Let me ask you this: {q}")
"""Lead-ins that no question of the training has."""


def worded(answer: AcceptableAnswer, templates: Sequence[str]) -> tuple[str, ...]:
    """One acceptable answer with each of its reasons, in each of these templates."""
    return tuple(
        template.format(
            a=answer.state,
            A=answer.state[:1].upper() + answer.state[1:],
            r=reason,
            R=reason[:1].upper() + reason[1:],
        )
        for template in templates
        for reason in answer.reasons
    )


def reworded(question: OpenEndedQuestion, place: int) -> OpenEndedQuestion:
    """The same question behind a held-out lead-in, chosen by its place among the questions."""
    asked = wrapped(question.question, HELD_OUT_WRAPPERS[place % len(HELD_OUT_WRAPPERS)])
    return replace(question, question=asked, also_asked=())
