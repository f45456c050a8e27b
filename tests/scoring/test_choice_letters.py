import pytest

from hallulab.scoring.answer_words import Words
from hallulab.scoring.choice_letters import first_letter, stated_letters
from hallulab.scoring.meant_words import MeantWords


def stated(text):
    words = Words.of(text)
    return "".join(stated_letters(words, MeantWords(words)).values())


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("B", "B"), ("b.", "B"), ("**B**", "B"), ("(b)", "B"), ("b) Paris", "B"), ("option d", "D"),
        ("the answer is b", "B"),
        ("B because A is wrong", "B"), ("B, because A is wrong", "B"), ("b because it is best", "B"),
        ("A is right", "A"),
        ("I think it is J", "J"), ("The letter I", "I"), ("I am sure it is I.", "I"), ("I do not know", ""),
        ("A good choice", ""), ("a cat", ""), ("The answer is a.", "A"), ("A because it is best", "A"),
        ("A or B", "AB"),
        ("Not A", ""), ("It's not B", ""), ("Neither A nor B", ""), ("B is wrong", ""), ("Is it B?", ""), ("B?", "B"),
        ("Lyon? No, B", "B"), ("CORRECT", ""), ("X-ray", "X"), ("It's mine", ""), ("", ""),
    ],
)  # fmt: skip
def test_letters_that_an_answer_states(text, letters):
    assert stated(text) == letters


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("B.\n\nA, C and D are other cities.", {"B"}),
        ("A) Lyon B) Paris C) Rome", set()),
        ("A. Lyon\nB. Paris", set()),
        ("B or C. D is out.", set()),
    ],
)
def test_an_answer_may_begin_with_its_letter(text, letters):
    words = Words.of(text)
    assert first_letter(words, stated_letters(words, MeantWords(words))) == letters
