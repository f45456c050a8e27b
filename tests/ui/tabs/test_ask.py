import re
from html import unescape

import gradio as gr
import pytest

from hallulab.ui.parts.ask_inputs import split_states
from hallulab.ui.parts.ask_words import answer_card, open_choices
from hallulab.ui.session import Session
from hallulab.ui.tabs.ask import (
    ask_endpoint,
    ask_question,
    choices_endpoint,
    closed_choices,
    decide_again,
    go_back,
    prefill_states,
    stopped,
    write_on,
)

QUESTION = "What is a good pet for a small flat?"


def ask(session: Session, question: str | None = QUESTION, **changes):
    settings = {
        "states": "", "checkpoint": "base", "own_answer": None, "temperature": 1.0, "top_p": 1.0,
        "max_new_tokens": 8, "seed": 3, "hdr_mass": 0.9,
    } | changes  # fmt: skip
    own_answer = settings.pop("own_answer")
    return ask_question(session, own_answer, question, *settings.values())


def text_of(html: str) -> str:
    """What a reader sees of it."""
    return unescape(re.sub("<.*?>", "", html))


def test_the_answer_grows_token_by_token_then_the_verdict_comes(session):
    steps = list(ask(session))
    grown = [len(step[0]) for step in steps]
    assert grown == sorted(grown)
    assert len(set(grown)) > 3
    result = steps[-1][-1]
    assert result is not None
    assert all(step[-1] is None for step in steps[:-1])
    # untrained models do not follow hints, and the page says so
    assert "? No verdict" in steps[-1][1]
    assert "does not know this question" in steps[-1][1]
    assert steps[-1][4]["is_hallucination"] is None


def test_stopping_half_way_frees_the_device(session):
    steps = ask(session)
    next(steps), next(steps)
    steps.close()
    assert session.engine.queue.holder is None
    assert list(ask(session))[-1][-1] is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question": None}, "got an empty"),
        ({"question": "why? " * 2_000}, "at most 2,000 characters, got 10,000"),
        ({"checkpoint": "nowhere"}, "unknown checkpoint 'nowhere'"),
        ({"hdr_mass": 1.0}, "mass between 0 and 1"),
        ({"states": "tea\nTea"}, "more than once"),
        ({"top_p": 0.0}, "top_p above 0"),
    ],
)
def test_bad_input_is_one_friendly_sentence(session, changes, words):
    with pytest.raises(gr.Error, match=words) as caught:
        list(ask(session, **changes))
    assert "\n" not in str(caught.value)
    with pytest.raises(gr.Error):
        ask_endpoint(session)("", checkpoint="base")


def test_a_visitors_own_answer_never_becomes_markup(session):
    steps = list(ask(session, own_answer="<b>tea</b>"))
    assert text_of(steps[-1][0]).startswith("<b>tea</b>")
    assert "<b>" not in steps[-1][0] + steps[-1][1]


def test_unlikely_tokens_are_marked(session):
    result = list(ask(session))[-1][-1]
    card = answer_card(result)
    # 300 tokens, untrained: every one is unlikely
    assert card.count("<mark") == len(result.tokens)


def test_another_mass_needs_no_model(session, monkeypatch):
    result = list(ask(session))[-1][-1]
    monkeypatch.setattr(session.engine, "job", None)
    monkeypatch.setattr(session.engine, "enter", None)
    assert decide_again(result, 0.5)[3]["hdr_mass"] == 0.5
    assert "appears here" in decide_again(None, 0.5)[0]


def test_the_endpoint_gives_the_command_lines_json(session):
    record = ask_endpoint(session)(QUESTION, states=["a cat", "a goldfish"], checkpoint="base", seed=5)
    assert {"question", "answer", "model", "checkpoint", "seed", "states", "reason", "tokens"} <= set(record)
    assert record == ask_endpoint(session)(
        QUESTION, states=["a cat", "a goldfish"], checkpoint="base", seed=5
    )


def test_known_questions_fill_in_their_answers_and_typed_ones_stay():
    left_alone = (gr.skip(), gr.skip())
    filled, prefilled = prefill_states(QUESTION, "", "")
    assert split_states(filled) == ("a cat", "a goldfish")
    assert prefill_states("What is the moon made of?", filled, prefilled) == ("", "")
    assert prefill_states(QUESTION, "a canary", "") == left_alone
    assert prefill_states(None, None, "") == left_alone
    # an answer that comes late must not empty a box in which the visitor has begun to type
    assert prefill_states("What is the moon made of?", "", "") == left_alone
    assert split_states("  tea \n\n coffee") == ("tea", "coffee")


def test_stop_keeps_what_exists(session):
    assert "Stopped" in stopped(None, 0.9)[0]
    result = list(ask(session))[-1][-1]
    assert "No verdict" in stopped(result, 0.9)[0]


def test_a_clicked_word_shows_what_else_could_stand_there_and_a_chosen_one_makes_a_branch(session):
    result = list(ask(session))[-1][-1]
    *_, (card, branching) = open_choices(session, result, None, 2)
    assert card.visible is True
    assert card.value.count("data-place") == len(branching.choices.choices) >= 6
    assert "(written)" in card.value
    other = next(
        place
        for place, choice in enumerate(branching.choices.choices)
        if not choice.is_end and choice.token_id != result.tokens[2].token_id
    )
    *_, branch = write_on(session, branching, 0.9, other)
    written = branch[-1]
    ids = [token.token_id for token in written.tokens]
    assert ids[:2] == [token.token_id for token in result.tokens[:2]]
    assert ids[2] == branching.choices.choices[other].token_id
    assert branch[0].count("hl-forced") == 1
    assert "You chose the framed word" in branch[0]
    # a branch of the branch still leads back to the first answer
    *_, (_, again) = open_choices(session, written, branching, 4)
    assert go_back(again, 0.5)[5].answer == result.answer
    assert go_back(again, 0.5)[5].hdr_mass == 0.5


def test_choosing_what_was_written_writes_the_same_again(session):
    result = list(ask(session))[-1][-1]
    for place in range(len(result.tokens)):
        *_, (_, branching) = open_choices(session, result, None, place)
        choices = branching.choices.choices
        own = next(n for n, choice in enumerate(choices) if choice.token_id == result.tokens[place].token_id)
        *_, branch = write_on(session, branching, 0.9, own)
        assert [token.token_id for token in branch[-1].tokens] == [token.token_id for token in result.tokens]


def test_the_words_of_a_pasted_answer_can_be_clicked_too(session):
    result = list(ask(session, own_answer="A cat."))[-1][-1]
    *_, (_, branching) = open_choices(session, result, None, 1)
    assert branching.choices.model == "qwen-tiny"
    *_, branch = write_on(session, branching, 0.9, 0)
    assert branch[-1].settings.answer is None
    assert branch[-1].model == "qwen-tiny"


@pytest.mark.parametrize("place", [None, 99])
def test_a_click_from_nowhere_changes_nothing(session, place):
    result = list(ask(session))[-1][-1]
    assert list(open_choices(session, result, None, place)) == [(gr.skip(), gr.skip())]
    assert list(open_choices(session, None, None, 0)) == [(gr.skip(), gr.skip())]
    assert list(write_on(session, None, 0.9, place)) == []
    assert closed_choices()[1] is None


def test_a_beginning_is_kept_by_the_endpoint_and_what_follows_is_offered(session):
    record = ask_endpoint(session)(QUESTION, checkpoint="base", begin="A goldfish")
    assert record["answer"].startswith("A goldfish")
    assert record["begun"] == "A goldfish"
    offered = choices_endpoint(session)(QUESTION, begin="A goldfish", checkpoint="base", choices=3)
    assert [choice["rank"] for choice in offered["choices"]] == [1, 2, 3]
    with pytest.raises(gr.Error, match="1 to 100 choices"):
        choices_endpoint(session)(QUESTION, choices=0)
