"""The example of the Ask tab is what the shipped models say of it today, and is shown beside them alone."""

from dataclasses import replace

import numpy as np
import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.scoring.kept_answer import answer_of_record, answer_record
from hallulab.scoring.words import ask
from hallulab.ui.parts.ask_first_look import EXAMPLE, NOTE, first_answer, kept_example
from hallulab.ui.tabs.ask import decide_again, first_panels


@pytest.fixture(scope="module")
def judged_now():
    *_, last = ask(Engine(load_preset(), device="cpu"), EXAMPLE)
    return last.result


def test_the_kept_example_is_what_the_models_say(judged_now):
    kept = kept_example()
    assert (kept.settings, kept.answer, kept.model, kept.scorer_sha256) == (
        judged_now.settings, judged_now.answer, judged_now.model, judged_now.scorer_sha256
    )  # fmt: skip
    np.testing.assert_allclose(kept.log_densities, judged_now.log_densities, atol=1e-3)
    assert kept.verdict.is_hallucination
    assert kept.verdict.margin_nats == pytest.approx(judged_now.verdict.margin_nats, abs=1e-3)


def test_a_judged_answer_survives_its_record_and_is_decided_at_any_mass(judged_now):
    again = answer_of_record(answer_record(judged_now))
    assert again.to_json() == judged_now.to_json()
    for hdr_mass in (0.5, 0.99):
        there, here = again.with_mass(hdr_mass), judged_now.with_mass(hdr_mass)
        assert there.to_json() == here.to_json()


def test_the_tab_opens_with_the_example_and_moves_it_with_the_mass():
    said, card, figure, table, record = first_panels(first_answer(load_preset()))
    assert said.endswith(NOTE)
    assert "Hallucination" in card
    assert len(figure.data) > 1
    assert table.count("<tr>") >= 2
    assert record["is_hallucination"] is True
    moved = decide_again(kept_example(), 0.5)
    assert moved[2] != table


def test_other_models_have_no_example(tiny_preset):
    shipped = load_preset()
    assert first_answer(load_preset(str(tiny_preset))) is None
    assert first_answer(replace(shipped, words=replace(shipped.words, temperature=0.1))) is None
    said, card, figure, table, record = first_panels(None)
    assert "appears here" in said
    assert "appears here" in card
    assert (figure, table, record) == (None, "", None)
