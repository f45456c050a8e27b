"""Proposed states: near-identical answers grouped, rare and abstaining ones left out."""

from hallulab.scoring.state_proposals import near_identical, propose_states


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
