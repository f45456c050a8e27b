"""Proposed states: near-identical answers grouped, rare and abstaining ones left out."""

from hallulab.scoring.hint_validity import numbers
from hallulab.scoring.state_proposals import (
    AnswerGroup,
    named_groups,
    near_identical,
    propose_states,
    wording_stems,
)


def test_the_commonest_wording_stands_for_its_group():
    answers = (
        ["She was born on 3 May."] * 6 + ["She was born on 3 May, I think."] * 2 + ["Born on 9 June."] * 4
    )
    assert propose_states(answers) == ("She was born on 3 May.", "Born on 9 June.")


def test_a_group_is_as_large_as_all_its_wordings_together():
    answers = ["A blue bird"] * 3 + ["Red fox runs"] * 2 + ["The red fox runs."] * 2
    assert propose_states(answers)[0] == "Red fox runs"


def test_abstentions_and_empty_answers_propose_nothing():
    assert propose_states(["I do not know."] * 50 + [""] * 10) == ()


def test_no_way_of_abstaining_becomes_a_state():
    answers = ["I have no idea."] * 40 + ["I cannot comment on that."] * 14 + ["A cat."] * 10
    assert propose_states(answers) == ("A cat.",)


def test_scattered_answers_propose_nothing():
    assert propose_states([f"answer{place} word{place}" for place in range(64)]) == ()
    assert propose_states([]) == ()


def test_answers_that_share_most_words_are_near_identical():
    assert near_identical("It was 3 May", "it was 3 May!")
    assert near_identical("A big red dog", "The big red dog barks")  # 3 of 4 words
    assert near_identical("Ada Merrin was born on 3 May.", "Ada Merrin's birthday is 3 May.")  # 4 of 6
    assert not near_identical(
        "Ada Merrin was born on 3 May.", "Ada Merrin was born on 9 May."
    )  # another number
    assert not near_identical("A big red dog", "A big blue cat")  # 1 of 5 words


PETS = (
    ["My pick is a cat, as it is calm."] * 6
    + ["How about a cat? It naps indoors."] * 5
    + ["My pick is a goldfish, as it is quiet."] * 4
    + ["I would suggest a goldfish, because it is small."] * 3
    + ["I do not know."] * 2
)
ELSEWHERE = [
    ["My pick is porridge, as it is warm.", "How about toast? It is quick."],
    ["I would suggest Pepper, because it is short.", "My pick is Biscuit, as it is calm."],
    ["How about a drum? It is loud.", "I would suggest a flute, because it is small."],
]


def test_answers_that_name_the_same_thing_are_one_group_however_they_are_worded():
    # "calm" and "small" are also said of one other thing each, "pick" and "suggest" of several
    assert named_groups(PETS, "Which pet?", ELSEWHERE) == [
        AnswerGroup("a cat", 11),
        AnswerGroup("a goldfish", 7),
    ]


def test_words_of_several_other_answers_are_wording():
    assert {"pick", "about", "would", "suggest"} <= wording_stems(ELSEWHERE)
    assert not {"calm", "porridge", "pepper", "cat"} & wording_stems(ELSEWHERE)


def test_another_number_is_another_answer_and_words_of_the_question_name_nothing():
    answers = ["Ada was born on 3 May."] * 6 + ["Ada was born on 9 May, I think."] * 4
    groups = named_groups(answers, "When was Ada born?", ELSEWHERE)
    assert [(group.n, numbers(group.text)) for group in groups] == [(6, {"3"}), (4, {"9"})]


def test_a_name_keeps_to_one_clause_and_to_its_capitals():
    answers = ["Try Long Island. It has beaches."] * 9 + ["Long Island is my answer."] * 3
    assert named_groups(answers, "Where to?", ELSEWHERE) == [AnswerGroup("Long Island", 12)]


def test_rare_and_abstaining_answers_name_nothing():
    scattered = [f"word{'abcdefghijklmnopqrstuvwxyz'[place]}" for place in range(26)]
    assert named_groups(scattered, "", ELSEWHERE) == []
    assert named_groups(["I do not know.", ""], "", ELSEWHERE) == []
