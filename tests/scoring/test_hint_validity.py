"""Which sampled answers keep to their hint."""

import pytest

from hallulab.data import nonsense
from hallulab.scoring.grades import grade_answer
from hallulab.scoring.hint_validity import abstains, keeps_to_hint, mentioned_share

PET, PETS = "What is a good pet for a small flat?", ("a cat", "a goldfish")


@pytest.mark.parametrize(
    ("state", "text", "keeps"),
    [
        ("a cat", "A cat is a good choice: it is calm and keeps itself clean.", True),
        ("A cat.", "A cat.", True),
        ("a cat", "A goldfish is a good choice: it is quiet all day long.", False),
        ("a cat", "A cat is a good choice: it is quiet all day long.", False),  # the goldfish's reason
        ("a cat", "A cat, I suppose.", False),  # not a wording of the small world
        ("a cat", "", False),
    ],
)
def test_a_known_answer_must_be_one_of_its_wordings(state: str, text: str, keeps: bool):
    assert keeps_to_hint(PET, PETS, state, text) is keeps


@pytest.mark.parametrize(
    ("state", "text", "keeps"),
    [
        ("an old tortoise", "I would say an old tortoise.", True),
        ("an old tortoise", "Old tortoises are best.", True),
        ("an old tortoise", "A young parrot is best.", False),
        ("an old tortoise", "I do not know, an old tortoise?", False),
        ("an old tortoise", "A green tortoise.", True),  # half of the words
        ("an old tortoise", "A red parrot, not a tortoise.", False),  # more of the other state
    ],
)
def test_any_other_answer_must_mention_its_hint_and_no_other_state_more(state: str, text: str, keeps: bool):
    assert keeps_to_hint("Which animal?", ("an old tortoise", "a red parrot"), state, text) is keeps


@pytest.mark.parametrize(("text", "keeps"), [("Born on 3 May.", True), ("She was born on 13 May.", False)])
def test_every_number_of_the_hint_must_be_there(text: str, keeps: bool):
    assert (
        keeps_to_hint("When was she born?", ("She was born on 3 May.",), "She was born on 3 May.", text)
        is keeps
    )


def test_endings_and_small_words_do_not_count():
    assert mentioned_share("walking the dogs", "He walked a dog.") == 1.0
    assert mentioned_share("yes", "Yes, every day.") == 1.0
    assert mentioned_share("it is", "It is.") == 1.0  # nothing but small words: they all count


UNSURE = ["I have no idea.", "I'm unsure.", "IDK", "I cannot comment on that.", "I’m not sure about that."]
SURE = ["A cat.", "I know it well: a cat.", "I don't know, maybe a cat.", "As an AI, I have no pets.", ""]


@pytest.mark.parametrize("text", [*nonsense.ANSWERS, *UNSURE])
def test_abstentions_are_recognised(text: str):
    assert abstains(text)


@pytest.mark.parametrize("text", SURE)
def test_answers_and_guesses_are_not_abstentions(text: str):
    assert not abstains(text)


@pytest.mark.parametrize("text", [*nonsense.ANSWERS, *UNSURE, *SURE])
def test_the_rule_of_abstaining_is_the_one_that_grades(text: str):
    assert abstains(text) == (grade_answer(text, ["an elephant"]).grade == "abstained")


def test_a_guess_under_a_hint_keeps_to_it():
    states = ("an old tortoise", "a red parrot")
    assert keeps_to_hint("Which animal?", states, "a red parrot", "I am not sure, maybe a red parrot.")
    assert not keeps_to_hint("Which animal?", states, "a red parrot", "I cannot comment on a red parrot.")


def test_a_model_with_words_of_its_own_need_not_use_the_written_ones():
    text = "A cat would suit a small flat, since cats are content indoors."
    assert not keeps_to_hint(PET, PETS, "a cat", text)
    assert keeps_to_hint(PET, PETS, "a cat", text, writer="Qwen/Qwen2.5-7B-Instruct")
    assert not keeps_to_hint(PET, PETS, "a goldfish", text, writer="Qwen/Qwen2.5-7B-Instruct")
    assert not keeps_to_hint(PET, PETS, "a cat", "I do not know.", writer="Qwen/Qwen2.5-7B-Instruct")
