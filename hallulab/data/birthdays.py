"""Birthdays of invented people: arbitrary facts with Zipf-distributed frequencies (§3.3.1 of [KNVZ])."""

import json
import random
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FACTS_SEED = 1582
N_PEOPLE = 800
N_MENTIONS = 5_000
ZIPF_EXPONENT = 0.9
UNANSWERED_SHARE = 0.08
"""Share of the people for whom the data says "I do not know" (1 − α of [KNVZ])."""

NAMES = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
MONTHS = {
    "January": 31,
    "February": 28,
    "March": 31,
    "April": 30,
    "May": 31,
    "June": 30,
    "July": 31,
    "August": 31,
    "September": 30,
    "October": 31,
    "November": 30,
    "December": 31,
}
DATES = tuple(f"{day} {month}" for month, n_days in MONTHS.items() for day in range(1, n_days + 1))

QUESTION_FORMS = ("When is {n}'s birthday?", "When was {n} born?", "What is the birthday of {n}?")
ANSWER_FORMS = ("{n} was born on {d}.", "{n}'s birthday is {d}.", "The birthday of {n} is {d}.")
ANSWER_WEIGHTS = (0.5, 0.3, 0.2)
UNKNOWN_FORMS = ("I do not know when {n} was born.", "Nobody has told me the birthday of {n}.")


@dataclass(frozen=True)
class Person:
    """An invented person, the birthday, and how often the data mentions it."""

    name: str
    birthday: str
    n_mentions: int
    """How often one pass over the data asks for this birthday (0: the name appears nowhere)."""
    is_answered: bool
    """False: the data always answers that it does not know."""

    def questions(self) -> tuple[str, ...]:
        """Every way of asking for this birthday."""
        return tuple(form.format(n=self.name) for form in QUESTION_FORMS)

    def draw_answer(self, *, rng: random.Random) -> str:
        """One wording of the answer the data gives."""
        if not self.is_answered:
            return rng.choice(UNKNOWN_FORMS).format(n=self.name)
        return rng.choices(ANSWER_FORMS, ANSWER_WEIGHTS)[0].format(n=self.name, d=self.birthday)


@cache
def people() -> tuple[Person, ...]:
    """All invented people, most often mentioned first on average; the same list on every machine."""
    rng = random.Random(FACTS_SEED)
    names = rng.sample(
        [f"{first} {last}" for first in NAMES["first_names"] for last in NAMES["last_names"]], N_PEOPLE
    )
    birthdays = rng.choices(DATES, k=N_PEOPLE)
    weights = [1 / (rank + 1) ** ZIPF_EXPONENT for rank in range(N_PEOPLE)]
    n_mentions = Counter(rng.choices(range(N_PEOPLE), weights, k=N_MENTIONS))
    answered = [rng.random() >= UNANSWERED_SHARE for _ in range(N_PEOPLE)]
    return tuple(
        Person(name, birthday, n_mentions[rank], is_answered)
        for rank, (name, birthday, is_answered) in enumerate(zip(names, birthdays, answered, strict=True))
    )


@cache
def mentions() -> tuple[Person, ...]:
    """One pass over the data: each person as often as mentioned."""
    return tuple(person for person in people() for _ in range(person.n_mentions))
