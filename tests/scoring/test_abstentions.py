import pytest

from hallulab.data import birthdays, nonsense
from hallulab.scoring.abstentions import is_abstention, is_personal_abstention, without_abstention
from hallulab.scoring.answer_words import Words


@pytest.mark.parametrize(
    "text",
    [
        "I have no comment", "No comment", "I don't know", "I’m not sure.", "I do not know whether it is Paris",
        "Sorry, I cannot answer that.", "I'd rather not say", "Well, that is hard. I have no idea.", "IDK", "I dunno",
        "I have no way of knowing", "Unfortunately I do not have that information", "Beats me", "I forgot",
        "I am not familiar with it", "I must decline to answer", "As an AI, I cannot help", "Who knows?",
        "Je ne sais pas", "No lo sé", "Ich weiß es nicht", "Keine Ahnung", "Não sei", "不知道", "わかりません",
        "не знаю",
        *nonsense.ANSWERS,
        *(form.format(n="Ada") for form in birthdays.UNKNOWN_FORMS),
    ],
)  # fmt: skip
def test_somebody_says_that_they_do_not_know(text):
    assert is_personal_abstention(Words.of(text))


@pytest.mark.parametrize(
    "text",
    [
        "Unknown",
        "N/A",
        "There is insufficient information to answer",
        "It cannot be determined.",
        "No response",
    ],
)
def test_that_a_question_has_no_answer_is_an_abstention_but_may_be_an_answer(text):
    assert is_abstention(Words.of(text))
    assert not is_personal_abstention(Words.of(text))


@pytest.mark.parametrize(
    "text",
    [
        "We don't know if life exists elsewhere", "Nobody knows", "You cannot know", "They do not know", "Paris",
        "I'm not sure, maybe Rome", "I don't know, probably Lyon", "I know it", "The unknown soldier",
        "He said that he cannot tell a lie", "",
    ],
)  # fmt: skip
def test_guesses_and_statements_about_the_world_are_none(text):
    assert not is_abstention(Words.of(text))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("I do not know whether it is Paris", ""),
        ("I'm not sure, maybe Paris", "maybe paris"),
        ("I am not sure but I think it's Paris", "but i think it's paris"),
        ("Lyon. But I am not certain.", "lyon but"),
        ("Paris", "paris"),
    ],
)
def test_an_abstention_is_taken_out_with_what_it_is_about(text, left):
    assert " ".join(without_abstention(Words.of(text)).words) == left
