import random

from hallulab.data.birthday_questions import birthday_questions, frequency_label, same_answer
from hallulab.data.birthdays import DATES, people
from hallulab.scoring.grades import grade_answer


def test_everybody_is_asked_once_and_fewer_are_spread_evenly():
    everybody = birthday_questions()
    assert len({question.id for question in everybody}) == len(people())
    assert [question.id for question in birthday_questions(4)] == [
        "birthday-000", "birthday-200", "birthday-400", "birthday-600",
    ]  # fmt: skip
    assert {question.category for question in everybody} == {
        frequency_label(person.n_mentions) for person in people()
    }


def test_every_date_in_every_wording_is_graded_right_or_wrong():
    rng = random.Random(0)
    for place in (0, 17, 350):
        question, person = birthday_questions()[place], people()[place]
        for date in (*rng.sample(DATES, 30), "60 November", person.birthday):
            for text in same_answer(f"{person.name} was born on {date}."):
                graded = grade_answer(text, question.correct_answers, question.incorrect_answers)
                assert graded.grade == ("correct" if date == person.birthday else "wrong"), (text, person)


def test_an_answer_has_three_wordings_and_anything_else_one():
    wordings = same_answer("The birthday of Ada Fen is 3 May.")
    assert wordings == (
        "The birthday of Ada Fen is 3 May.", "Ada Fen was born on 3 May.", "Ada Fen's birthday is 3 May.",
    )  # fmt: skip
    assert same_answer("I do not know when Ada Fen was born.") == ("I do not know when Ada Fen was born.",)
