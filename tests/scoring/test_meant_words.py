import pytest

from hallulab.scoring.answer_words import Words
from hallulab.scoring.meant_words import MeantWords


def meant(text, words="paris"):
    """Whether these words are a claim of their own, where they first stand."""
    found = Words.of(text)
    [(start, end), *_] = found.places(Words.of(words).words)
    return MeantWords(found).is_meant(start, end)


@pytest.mark.parametrize(
    "text",
    [
        "Paris", "It is Paris.", "No, Paris", "Not Lyon but Paris", "It is Paris, not Lyon", "Paris rather than Lyon",
        "Paris instead of Lyon", "Instead of Lyon, they chose Paris", "Unlike Lyon, Paris is the capital",
        "It can't be Lyon, so it must be Paris", "It is not Lyon, it is Paris", "No doubt it is Paris",
        "Lyon is wrong, Paris is right", "Although Lyon is large, it is Paris", "nothing but Paris",
        "I think it is Paris", "I would say Paris", "People say Lyon, but it is Paris", "Paris?",
        "It's Paris, isn't it?",
        "Is it Lyon? No, it is Paris", "Paris, France", "Paris, and I am sure of it", "Paris, I think, yes",
        "Paris or so", "Paris, and certainly not Lyon", "Paris because Lyon is not the capital",
    ],
)  # fmt: skip
def test_a_claim_is_meant(text):
    assert meant(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is not Paris", "Paris isn't the capital", "Paris is not it", "I doubt it is Paris", "Anything but Paris",
        "Far from Paris", "Paris? No.", "There is no way that it is Paris", "It is a myth that it is Paris",
        "It is wrong that it is Paris", "Paris is wrong", "neither Lyon nor Paris", "everything except Paris",
        "Nicht Paris", "It sounds like Paris",
    ],
)  # fmt: skip
def test_a_denial_is_no_claim(text):
    assert not meant(text)


@pytest.mark.parametrize(
    "text",
    [
        "Many people say Paris", "People think it is Paris", "According to some, Paris", "It is said to be Paris",
        "Is it Paris?", "Could it be Paris?", "And is it Paris?", "Which one do you mean, Paris or Lyon?",
    ],
)  # fmt: skip
def test_hearsay_and_questions_are_no_claims(text):
    assert not meant(text)


@pytest.mark.parametrize(
    "text",
    [
        "Paris and Rome", "Rome and Paris", "Paris/Rome", "Both Paris & Rome", "Paris, Rome, Madrid or Berlin",
        "The capital is Paris, Rome or Madrid", "Rome, Paris, Madrid", "Paris, or maybe Rome", "Rome or else Paris",
        "Rome or perhaps Paris",
    ],
)  # fmt: skip
def test_one_of_several_is_no_claim(text):
    assert not meant(text)
    words = Words.of(text)
    [(start, end)] = words.places(("paris",))
    assert MeantWords(words).is_said(start, end)  # it is said, though


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("It has 8 legs", "8", True), ("before 1989", "1989", False), ("more than 100", "100", False),
        ("fewer than 12", "12", False), ("at least 8", "8", False), ("3 million", "3", False),
        ("2 hundred", "2", False),
        ("3 + 4 = 7", "7", True), ("3 + 4 = 7", "3", False), ("5-7", "5", False), ("at least 8", "at least 8", True),
    ],
)  # fmt: skip
def test_a_number_is_not_part_of_another(text, words, expected):
    assert meant(text, words) is expected


def test_words_that_deny_may_be_what_is_looked_for():
    assert meant("No one has counted them", "no one has counted them")
    assert meant("It is incorrect", "incorrect")
