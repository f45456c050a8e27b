"""Is-It-Valid on the page: scored, stopped, put into words, and as an endpoint."""

import re
from dataclasses import replace

import gradio as gr
import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.experiments.iiv import IivSettings, run_iiv
from hallulab.experiments.iiv_reduction import iiv_table
from hallulab.ui.parts.facts_iiv import (
    bound_line,
    build_iiv_panel,
    iiv_card,
    iiv_endpoint,
    judge,
    question_sets,
    set_note,
    settled,
)
from hallulab.ui.session import Session


@pytest.fixture(scope="module")
def session(tiny_preset) -> Session:
    return Session(Engine(load_preset(str(tiny_preset)), device="cpu"))


def text_of(html):
    return re.sub("<.*?>", "", html).replace("\N{NO-BREAK SPACE}", " ")


def refusal(call, *args):
    with pytest.raises(gr.Error) as caught:
        list(call(*args))
    return caught.value.message


@pytest.fixture(scope="module")
def scored(session):
    return list(judge(session, "misconceptions", "base", 5))


def test_what_is_shown_is_what_the_command_measures(session, scored):
    card, figure, table, result = scored[-1]
    own = list(run_iiv(session.engine, IivSettings("misconceptions", 5, ("base",))))[-1].result
    row = iiv_table([own], ["renormalised"])[0]
    said = text_of(card)
    assert f"base errs in {100 * row.err.value:.1f} % of its answers on 5 questions (misconceptions)" in said
    assert f"wrong on {100 * row.err_iiv.value:.1f} % at the paper's threshold" in said
    assert f"on {100 * row.best_err_iiv.value:.1f} % at the best one" in said
    assert f"2 · {row.err_iiv.value:.3f} − {row.size_term:.3f} − {row.delta.value:.3f}" in said
    assert figure.visible
    assert "ECE" in table
    assert result.scores == own.scores
    assert session.engine.queue.holder is None


def test_a_bound_that_demands_something_is_told_from_a_silent_one(scored):
    row = iiv_table([scored[-1][-1]], ["renormalised"])[0]
    loud = replace(row, bound=replace(row.bound, value=0.25))
    silent = replace(row, bound=replace(row.bound, value=-0.4))
    assert "It must err, and it does" in iiv_card(loud)
    assert "= 0.250; measured" in text_of(bound_line(loud))
    assert "demands nothing here" in iiv_card(silent)
    assert "= −0.400, which is silent; measured" in text_of(bound_line(silent))


def test_stopping_keeps_what_was_scored(session):
    steps = judge(session, "birthdays", "base", 5)
    result = None
    while result is None:
        *_, result = next(steps)
    steps.close()
    assert session.engine.queue.holder is None
    card, _, _, stop = settled(result)
    assert "on 1 question (birthdays)" in text_of(card)
    assert not stop.interactive
    assert "Stopped before" in settled(None)[0]


def test_the_endpoint_gives_the_json_of_the_command(session, scored):
    found = iiv_endpoint(session)("misconceptions", "base", 5)
    row = next(row for row in found["table"] if row["scale"] == "renormalised")
    shown = iiv_table([scored[-1][-1]], ["renormalised"])[0]
    assert row["err"]["value"] == shown.err.value
    assert found["runs"][0]["settings"]["question_set"] == "misconceptions"
    assert found["calibration"]


def test_refusals(session):
    assert "question set among misconceptions, open_ended" in refusal(judge, session, "<b>", "base", 5)
    assert "unknown checkpoint" in refusal(judge, session, "birthdays", "nobody", 5)
    assert "questions as a whole number from 5" in refusal(judge, session, "birthdays", "base", 4)
    assert "truthfulqa" not in question_sets(session)
    assert "truthfulqa" in question_sets(replace(session, truthfulqa="file.csv"))
    with pytest.raises(gr.Error):
        set_note("<b>")
    assert "Birthdays of invented people" in set_note("birthdays")


def test_the_panel_builds(session):
    with gr.Blocks():
        build_iiv_panel(session)
