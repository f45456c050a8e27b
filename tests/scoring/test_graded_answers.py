import numpy as np

from hallulab.scoring.answer_file import GivenAnswer
from hallulab.scoring.graded_answers import Answerer, grade_all


def given(name, text, model=None, target=None, confidence=None, wrong=("Rome",)):
    return GivenAnswer(name, "Where?", text, ("Paris",), wrong, confidence, model, target)


FIVE = grade_all(
    [
        given("a", "Paris", "m", None, 0.9),
        given("b", "Rome", "m", 0.5, 0.2),
        given("a", "I do not know", None, None),
        given("b", "Blue", None, None, None, ()),
        given("c", "", "m", None),
    ]
)


def test_what_each_answer_is():
    assert FIVE.is_right.tolist() == [True, False, False, False, False]
    assert FIVE.is_wrong.tolist() == [False, True, False, False, False]
    assert FIVE.is_ungradable.tolist() == [False, False, False, True, False]
    assert FIVE.is_offered.tolist() == [True, True, False, False, False]
    assert FIVE.can_be_wrong.tolist() == [True, True, True, False, True]
    # where nothing was offered nothing can be withheld; of an ungradable answer nobody knows
    assert FIVE.has_confidence.tolist() == [True, True, True, False, True]
    assert FIVE.questions.tolist() == [0, 1, 0, 1, 2]


def test_who_answered_under_which_prompt():
    m, told, nobody = Answerer("m", None), Answerer("m", 0.5), Answerer(None, None)
    assert FIVE.answerers == (m, told, nobody)
    assert [who.name for who in FIVE.answerers] == ["m", "m, told t = 0.5", "(no name)"]
    assert [len(FIVE.of(who).answers) for who in FIVE.answerers] == [2, 1, 2]
    # a model that is called so is not the one without a name
    assert grade_all([given("a", "Paris", "(no name)")]).of(nobody).answers == ()


def test_scores_of_both_policies_by_hand():
    assert np.array_equal(FIVE.scores(0.75), [1, -3, 0, np.nan, 0], equal_nan=True)
    assert np.array_equal(FIVE.scores(0.75, "by_confidence"), [1, 0, 0, np.nan, 0], equal_nan=True)


def test_others_may_be_wrong_when_asked():
    closed = grade_all([one.given for one in FIVE.answers], others_are_wrong=True)
    assert closed.is_wrong.tolist() == [False, True, False, True, False]
    assert closed.can_be_wrong.all()
