"""Every endpoint of the page refuses what it was not declared to take, in one sentence and before it computes."""

import inspect

import gradio as gr
import pytest

from hallulab.engine.core import Engine
from hallulab.ui.app import build_app
from hallulab.ui.parts.endpoints import typed
from hallulab.ui.session import Session
from hallulab.ui.tabs.ask import ask_endpoint

WRONG = {"neither": "text nor number"}


@pytest.fixture(scope="module")
def endpoints(session: Session):
    app = build_app(session.engine)
    return {fn.api_name: fn.fn for fn in app.fns.values() if fn.api_visibility == "public"}


def test_the_page_serves_these_endpoints(endpoints):
    assert set(endpoints) == {
        "ask", "ask_rate", "ask_compare", "token_choices", "propose_states", "resemblance",
        "paint", "score_image", "time_machine", "flip_coins", "train_coins", "density", "audit_bound",
        "facts", "iiv", "grade",
    }  # fmt: skip


def test_every_argument_of_every_endpoint_is_checked_before_anything_runs(
    endpoints, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Engine, "enter", None)
    n_checked = 0
    for function in endpoints.values():
        for name in inspect.signature(function).parameters:
            with pytest.raises(gr.Error, match=f"expected {name} as ") as caught:
                function(**{**dict.fromkeys(required(function), "x"), name: WRONG})
            assert "\n" not in str(caught.value)
            n_checked += 1
    assert n_checked > 60


def required(function) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.default is inspect.Parameter.empty]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"question": None}, "expected question as a text, got None: change it"),
        ({"states": "cat"}, r"expected states as a list of texts or null, got 'cat': for a single one write \['cat'\]"),
        ({"states": [1, 2]}, r"expected states as a list of texts or null, got \[1, 2\]: change it or leave it out"),
        ({"seed": "x"}, "expected seed as a whole number, got 'x'"),
        ({"samples": 50.5}, "expected samples as a whole number, got 50.5"),
    ],
)  # fmt: skip
def test_what_an_audit_sent_gets_a_sentence(session: Session, given, words):
    with pytest.raises(gr.Error, match=words):
        typed(ask_endpoint(session))(**{"question": "Why?", **given})


def test_what_is_right_arrives_as_it_is_declared():
    def endpoint(n: int, share: float = 0.5, names: list[str] | None = None) -> dict:
        return {"n": n, "share": share, "names": names}

    assert typed(endpoint)(3.0, 1) == {"n": 3, "share": 1.0, "names": None}
    assert type(typed(endpoint)(3.0)["n"]) is int
    assert typed(endpoint)(n=3, names=["a"])["names"] == ["a"]
    assert inspect.signature(typed(endpoint)) == inspect.signature(endpoint)
    assert typed(endpoint).__doc__ == endpoint.__doc__
