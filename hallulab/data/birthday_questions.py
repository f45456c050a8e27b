"""The invented birthdays as questions with references: facts that a model can only know from having seen them."""

import re

from hallulab.data.birthdays import ANSWER_FORMS, MONTHS, Person, people
from hallulab.data.question_sets import ReferencedQuestion

FREQUENCIES = ((0, 0), (1, 1), (2, 3), (4, 7), (8, None))
"""how often one pass over the training data mentions a person, from … to; None: without end"""
SOURCE = "hallulab/data/birthdays.py"

_ANSWERS = tuple(
    re.compile(re.escape(form).replace(r"\{n\}", "(?P<n>.+)").replace(r"\{d\}", "(?P<d>[0-9]+ [A-Z][a-z]+)"))
    for form in ANSWER_FORMS
)


def birthday_questions(n: int | None = None) -> tuple[ReferencedQuestion, ...]:
    """One question for each person, spread evenly over all of them; the category says how often they were mentioned.

    A date is wrong when it names a month but is not the right date: 12 references instead of 364, and "60 November"
    is wrong as well. The right date holds the name of its month only as a part of it, which does not count.

    Args:
        n: how many; None: everybody.
    """
    everybody = people()
    n_asked = min(n or len(everybody), len(everybody))
    places = [place * len(everybody) // n_asked for place in range(n_asked)]
    return tuple(_question(place, everybody[place]) for place in places)


def frequency_label(n_mentions: int) -> str:
    """Which of `FREQUENCIES` a number of mentions is in, in words."""
    fewest, most = next(
        (low, high) for low, high in FREQUENCIES if n_mentions >= low and (high is None or n_mentions <= high)
    )
    if most is None:
        return f"mentioned {fewest} times or more"
    if most == 0:
        return "never mentioned"
    return "mentioned once" if most == 1 else f"mentioned {fewest} to {most} times"


def same_answer(answer: str) -> tuple[str, ...]:
    """Every wording in which the training data gives this answer, itself first; a text in no known wording is alone."""
    for form in _ANSWERS:
        found = form.fullmatch(answer)
        if found:
            others = (form.format(n=found["n"], d=found["d"]) for form in ANSWER_FORMS)
            return tuple(dict.fromkeys([answer, *others]))
    return (answer,)


def _question(place: int, person: Person) -> ReferencedQuestion:
    return ReferencedQuestion(
        id=f"birthday-{place:03d}",
        question=person.questions()[0],
        category=frequency_label(person.n_mentions),
        correct_answers=(person.birthday,),
        incorrect_answers=tuple(MONTHS),
        source=SOURCE,
    )
