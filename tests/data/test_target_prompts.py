import pytest

from hallulab.data.target_prompts import OTHER_SENTENCE, target_sentence, targeted_prompt
from hallulab.errors import RefusedInputError


def test_the_sentence_states_target_and_penalty():
    assert "more than 75 % confident: a mistake costs 3 points" in target_sentence(0.75)
    assert "a mistake costs 1 point," in target_sentence(0.5)
    assert "more than 0 % confident: a mistake costs 0 points" in target_sentence(0)
    assert targeted_prompt("Where?", 0.9) == f"Where?\n{target_sentence(0.9)}"
    with pytest.raises(RefusedInputError, match="confidence target"):
        target_sentence(1)


def test_the_control_is_as_long_and_speaks_of_no_mistake():
    assert abs(len(OTHER_SENTENCE.split()) - len(target_sentence(0.75).split())) <= 12
    for word in ("confident", "mistake", "wrong", "know"):
        assert word not in OTHER_SENTENCE
