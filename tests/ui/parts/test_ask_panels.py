"""The panels below the answer, on the shipped small world: what they say, and that it agrees with the scorer."""

import re
from dataclasses import replace
from html import unescape

import gradio as gr
import numpy as np
import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_rate import RateResult, RateSettings, hallucination_rate
from hallulab.scoring.words_references import answer_referenced
from hallulab.ui.parts.ask_compare import compare_endpoint, compare_two, decide_comparison_again, default_pair
from hallulab.ui.parts.ask_rate import (
    answers_table,
    decide_rate_again,
    rate_card,
    rate_endpoint,
    sample_rate,
    stopped_rate,
)
from hallulab.ui.parts.ask_references import (
    compare_with_lists,
    offer_questions,
    questions_of_set,
    reference_panels,
    references_endpoint,
    show_lists,
)
from hallulab.ui.parts.ask_states import propose_endpoint, propose_states_for
from hallulab.ui.session import Session

QUESTION = "What is a good pet for a small flat?"
OWL = "misconception-01"
VALUES = [QUESTION, "", "base", 1.0, 1.0, 40, 0, 0.9]  # as the controls send them
UNKNOWN = "Why is purple heavier than Tuesday?"


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    csv = tmp_path_factory.mktemp("set") / "TruthfulQA.csv"
    csv.write_text(
        "Category,Question,Correct Answers,Incorrect Answers\n"
        "a,Is the sky <b>green</b>?,No; It is blue,Yes; It is green\n"
        "a,Do fish fly?,Some glide,Never\n"
    )
    return Session(Engine(load_preset(None), device="cpu"), truthfulqa=str(csv))


def text_of(html: str) -> str:
    return unescape(re.sub("<.*?>", " ", html))


def rated(session: Session, **changes) -> RateResult:
    asked = AskSettings(**{"question": QUESTION, "checkpoint": "base", "temperature": 1.0, **changes})
    return list(hallucination_rate(session.engine, RateSettings(asked)))[-1].result


def test_the_rate_grows_look_by_look_and_says_why_it_stopped(session):
    steps = list(sample_rate(session, *VALUES))
    results = [step[-1] for step in steps if step[-1] is not None]
    assert [len(result.answers) for result in results][:4] == [1, 2, 4, 8]
    widths = [result.interval.high - result.interval.low for result in results[:4]]
    assert widths[0] > widths[-1]
    card, table, record = steps[-1][:3]
    last = results[-1]
    assert f"{last.n_hallucinations} of {last.n_judged} answers hallucinate" in card
    assert card.count('title="') == len(last.answers)
    assert sum(int(n) for n in re.findall(r"<td>(\d+)</td>", table)) == len(last.answers)
    assert record["interval"] == [last.interval.low, last.interval.high]


@pytest.mark.parametrize(
    ("log_density", "said"),
    [(-1.0, "Mostly not hallucinations"), (-99.0, "Mostly hallucinations")],
)
def test_the_pill_is_the_decision(session, log_density, said):
    result = rated(session)
    same = np.full_like(result.log_densities[:8], log_density)
    result = replace(result, answers=result.answers[:8], log_densities=same)
    card = rate_card(result)
    assert said in card
    assert "so no more answers are needed" in card


def test_a_stopped_rate_keeps_its_answers_and_says_that_it_is_undecided(session):
    result = rated(session)
    few = replace(result, answers=result.answers[:2], log_densities=result.log_densities[:2])
    card, table, record, _ = stopped_rate(few, 0.9)
    assert "Stopped after 2, not decided" in card
    assert "2 of at most 16" in rate_card(few)  # while it goes on
    assert record["n_sampled"] == 2
    assert table == answers_table(few)
    assert "before the first answer" in stopped_rate(None, 0.9)[0]


def test_another_mass_is_decided_without_the_model(session, monkeypatch):
    result = rated(session)
    monkeypatch.setattr(session.engine, "enter", None)
    assert decide_rate_again(result, 0.5)[2]["hdr_mass"] == 0.5
    assert "appears here" in decide_rate_again(None, 0.5)[0]


def test_an_unknown_question_gets_no_rate(session):
    steps = list(sample_rate(session, UNKNOWN, "purple\ngravity", *VALUES[2:]))
    assert "No verdict" in steps[-1][0]
    assert steps[-1][2]["hallucination_rate"] is None


def test_the_endpoint_of_the_rate_repeats_the_page(session):
    record = rate_endpoint(session)(QUESTION, checkpoint="base", temperature=1.0)
    assert record["answers"][0]["answer"] == rated(session).answers[0]
    with pytest.raises(gr.Error, match="expected a line between 0 and 1"):
        rate_endpoint(session)(QUESTION, line=2)


def test_two_checkpoints_stand_side_by_side(session):
    base, tuned = default_pair(session)
    steps = list(compare_two(session, base, tuned, *VALUES))
    finding, cards, record, comparison = steps[-1]
    assert cards.count("hl-pill") == 2
    assert [one["checkpoint"] for one in record["compared"]] == [base, tuned]
    assert len({one["frame_hash"] for one in record["compared"]}) == 1
    verdicts = [one["is_hallucination"] for one in record["compared"]]
    expected = {0: "Neither is a hallucination", 1: "Only the answer of", 2: "Both are hallucinations"}
    assert expected[sum(verdicts)] in finding
    assert ("the same answer" in finding) == (comparison.results[0].answer == comparison.results[1].answer)
    assert decide_comparison_again(comparison, 0.5)[2]["compared"][0]["hdr_mass"] == 0.5
    with pytest.raises(gr.Error, match="different checkpoints"):
        list(compare_two(session, base, base, *VALUES))


def test_the_endpoint_compares_the_base_with_the_default(session):
    record = compare_endpoint(session)(QUESTION)
    assert [one["checkpoint"] for one in record["compared"]] == list(default_pair(session))


def test_a_listed_wrong_answer_is_found_out_and_unrelated_text_is_not(session):
    *_, wrong = compare_with_lists(session, "misconceptions", OWL, "A full circle, 360 degrees.", *VALUES)
    assert "Like a listed wrong answer" in wrong[0]
    assert "None of 74 other questions lists an answer, right or wrong, that is as much like it" in text_of(
        wrong[0]
    )
    assert wrong[4]["grade"] == "wrong"
    *_, chance = compare_with_lists(
        session, "misconceptions", OWL, "The train leaves at noon from here.", *VALUES
    )
    assert "No more alike than by chance" in chance[0]
    assert chance[4]["finding"] == "chance"
    *_, right = compare_with_lists(
        session, "misconceptions", OWL, "About 270 degrees, which is not a full circle", *VALUES
    )
    assert "Like a listed right answer" in right[0]


def test_the_model_answers_a_listed_question(session):
    *steps, last = compare_with_lists(session, "misconceptions", OWL, "", *VALUES)
    assert len(steps) > 3
    assert last[4]["answer"]
    assert last[4]["model"] == "qwen-mini"
    assert last[4] == references_endpoint(session)(OWL, checkpoint="base", temperature=1.0)


def test_truthfulqa_is_offered_from_its_csv_and_its_text_never_becomes_markup(session):
    choices = offer_questions(session, "truthfulqa")[1].choices
    assert [title for title, _ in choices] == ["Is the sky <b>green</b>?", "Do fish fly?"]
    *_, last = compare_with_lists(session, "truthfulqa", choices[0][1], "<i>It is green</i>", *VALUES)
    assert "<i>" not in last[0]
    assert last[4]["incorrect"]["nearest"] == "It is green"
    lists = show_lists(session, "truthfulqa", choices[0][1])
    assert [text_of(item).strip() for item in re.findall("<li>.*?</li>", lists)] == [
        "No", "It is blue", "Yes", "It is green",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: references_endpoint(s)("nowhere"), "unknown question id 'nowhere'"),
        (lambda s: references_endpoint(Session(s.engine))("x", "truthfulqa"), "HALLULAB_TRUTHFULQA"),
        (lambda s: references_endpoint(s)(OWL, "riddles"), "unknown question set 'riddles'"),
    ],
)
def test_what_cannot_be_compared_is_one_friendly_sentence(session, call, words):
    with pytest.raises(gr.Error, match=words):
        call(session)


def test_possible_answers_are_found_counted_and_filled_in(session):
    *_, (states, prefilled, note) = propose_states_for(session, QUESTION)
    assert sorted(states.splitlines()) == ["a cat", "a goldfish"]
    assert prefilled == states
    counts = [int(n) for n in re.findall(r"(\d+) ×", note)]
    assert 50 < sum(counts) <= 64
    assert propose_endpoint(session)(QUESTION)["states"] == states.splitlines()


def test_nothing_to_propose_leaves_the_box_alone(session):
    *_, (states, prefilled, note) = propose_states_for(session, UNKNOWN)
    assert states == prefilled == gr.skip()
    assert "nothing to propose" in note
    with pytest.raises(gr.Error, match="expected a question"):
        list(propose_states_for(session, None))


def test_an_empty_answer_is_like_nothing(session):
    questions = questions_of_set("misconceptions", None)
    settings = AskSettings("", checkpoint="base", max_new_tokens=1, begun=session_end(session))
    result = list(answer_referenced(session.engine, settings, questions, OWL))[-1].result
    assert result.finding == "empty"
    assert "Empty answer" in reference_panels(result)[0]
    assert result.to_json()["incorrect"] is None


def session_end(session: Session) -> tuple[int, ...]:
    return (session.engine.scorer().end_token_ids[0],)
