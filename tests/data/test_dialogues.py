"""Training dialogues: a function of step and seed, right by construction, with nothing held out in them."""

import hashlib
from collections import Counter

import pytest

from hallulab.data import birthdays, nonsense
from hallulab.data.dialogues import DialogueMix, training_dialogues
from hallulab.data.hints import hinted_prompt
from hallulab.data.open_ended import known_question, normalised

MIX = DialogueMix()


@pytest.fixture(scope="module")
def dialogues():
    return [dialogue for step in range(60) for dialogue in training_dialogues(step, 0, MIX)]


def test_a_step_is_the_same_every_time_and_other_steps_and_seeds_differ():
    assert training_dialogues(3, 0, MIX) == training_dialogues(3, 0, MIX)
    assert training_dialogues(3, 0, MIX) != training_dialogues(4, 0, MIX)
    assert training_dialogues(3, 0, MIX) != training_dialogues(3, 1, MIX)


def test_the_dialogues_are_those_the_shipped_base_was_trained_on():
    texts = [
        f"{d.prompt}\n{d.answer}\n" for step in range(40) for d in training_dialogues(step, 0, DialogueMix())
    ]
    # the 240 questions that were listed later must not change what the base is trained on
    assert hashlib.sha256("".join(texts).encode()).hexdigest().startswith("b8b3580866aaf82b")


def test_one_pass_mentions_everybody_as_often_as_the_facts_say():
    mix = DialogueMix(n_birthdays=100, n_patterns=0, n_open_ended=0, n_unanswerable=0, n_small_talk=0)
    counted = Counter()
    for step in range(birthdays.N_MENTIONS // 100):
        for dialogue in training_dialogues(step, 0, mix):
            counted[next(p.name for p in PEOPLE if p.name in dialogue.prompt)] += 1
    assert all(counted[person.name] == person.n_mentions for person in PEOPLE)


def test_people_who_are_never_mentioned_appear_nowhere(dialogues):
    text = " ".join(f"{dialogue.prompt} {dialogue.answer}" for dialogue in dialogues)
    assert not [p.name for p in PEOPLE if p.n_mentions == 0 and p.name in text]


def test_no_held_out_nonsense_is_trained(dialogues):
    prompts = {normalised(dialogue.prompt.split("\nHint: ")[0]) for dialogue in dialogues}
    assert not prompts & {normalised(item.question) for item in nonsense.HELD_OUT}


def test_a_known_question_gets_an_acceptable_answer_and_a_hint_selects_it(dialogues):
    n_hinted = 0
    for dialogue in dialogues:
        asked, _, hint = dialogue.prompt.partition("\nHint: ")
        known = known_question(asked)
        if known is None:
            continue
        state = known.state_of(dialogue.answer)
        assert state in known.states
        if hint:
            n_hinted += 1
            assert known.state_of(hint) == state or normalised(hint) in normalised(state)
    assert n_hinted > 500


def test_unanswerable_questions_are_declined_with_and_without_hints(dialogues):
    declined = [dialogue for dialogue in dialogues if dialogue.answer in nonsense.ANSWERS]
    hinted = [dialogue for dialogue in declined if "\nHint: " in dialogue.prompt]
    assert len(hinted) > 100
    assert len(declined) - len(hinted) > 100


def test_a_hint_stands_on_its_own_line():
    assert hinted_prompt("What is a good pet?", "a cat") == "What is a good pet?\nHint: a cat"


PEOPLE = birthdays.people()
