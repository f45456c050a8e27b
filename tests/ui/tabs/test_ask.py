import re

import gradio as gr
import pytest

from hallulab.ui.session import Session
from hallulab.ui.tabs.ask import (
    answer_card,
    ask_endpoint,
    ask_question,
    decide_again,
    prefill_states,
    split_states,
    stopped,
)

QUESTION = "What is a good pet for a small flat?"


def ask(session: Session, question: str | None = QUESTION, **changes):
    settings = {
        "states": "", "checkpoint": "base", "own_answer": None, "temperature": 1.0, "top_p": 1.0,
        "max_new_tokens": 8, "seed": 3, "hdr_mass": 0.9,
    } | changes  # fmt: skip
    return ask_question(session, question, **settings)


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
    assert re.sub("<.*?>", "", steps[-1][0]) == "&lt;b&gt;tea&lt;/b&gt;"
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
