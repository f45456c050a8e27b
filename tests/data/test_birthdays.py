"""Birthdays: the same people everywhere, with the frequencies the theory needs."""

import random
from collections import Counter

from hallulab.data.birthdays import DATES, N_MENTIONS, N_PEOPLE, Person, mentions, people


def test_names_are_different_and_dates_are_real():
    assert len({person.name for person in people()}) == N_PEOPLE
    assert len(DATES) == 365
    assert all(person.birthday in DATES for person in people())


def test_some_are_never_mentioned_many_once_and_some_often():
    counts = Counter(min(person.n_mentions, 8) for person in people() if person.is_answered)
    assert counts[0] >= 50
    assert counts[1] >= 100
    assert counts[8] >= 80


def test_one_pass_mentions_each_person_as_often_as_counted():
    counted = Counter(person.name for person in mentions())
    assert sum(counted.values()) == N_MENTIONS
    assert all(counted[person.name] == person.n_mentions for person in people())


def test_an_answer_gives_the_date_and_an_unanswered_person_gets_none():
    rng = random.Random(0)
    known, unknown = Person("Ada Merrin", "3 May", 2, True), Person("Ada Merrin", "3 May", 2, False)
    assert "3 May" in known.draw_answer(rng=rng)
    assert "May" not in unknown.draw_answer(rng=rng)


def test_people_are_the_same_on_every_machine():
    first = people()[0]
    assert (first.name, first.birthday) == (
        "Emil Abendrot",
        "27 May",
    )  # what the shipped checkpoint was trained on
