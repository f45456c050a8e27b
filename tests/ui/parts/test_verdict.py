import numpy as np
import pytest

from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.ui.parts.verdict import ANSWERS, IMAGES, pill, state_table, verdict_card, verdict_sentence

FRAME = HcdrFrame(("tea", "coffee"), (np.arange(-10.0, 0.0), np.arange(-10.0, 0.0)))  # thresholds −9.1


def verdict(*log_densities: float) -> Verdict:
    return FRAME.decide([log_densities])[0]


def test_pills_say_it_in_words_as_well_as_in_colour():
    assert "✕ Hallucination" in pill(verdict(-20, -20))
    assert "✓ Not a hallucination" in pill(verdict(-20, -5))
    assert "? No verdict" in pill(None)


def test_sentences_name_cause_share_and_margin():
    inside = verdict_sentence(verdict(-20, -5.1), ANSWERS, hdr_mass=0.9)
    assert "Under “coffee”" in inside
    assert "4.0 nats inside the region that holds 90%" in inside
    outside = verdict_sentence(verdict(-12.1, -20), IMAGES, hdr_mass=0.995)
    assert "Under each of the 2 possible causes, this image is less likely than 99.5%" in outside
    assert "3.0 nats below the nearest threshold (“tea”)" in outside
    one_state = HcdrFrame(("tea",), (np.arange(-10.0, 0.0),)).decide([[-20.0]])[0]
    assert "Under the hint “tea”" in verdict_sentence(one_state, ANSWERS, hdr_mass=0.9)


@pytest.mark.parametrize("render", [verdict_card, state_table])
def test_a_visitors_text_never_becomes_markup(render):
    frame = HcdrFrame(("<img src=x onerror=alert(1)>",), (np.arange(-10.0, 0.0),))
    settings = {"hdr_mass": 0.9} if render is verdict_card else {}
    page = render(frame.decide([[-5.0]])[0], ANSWERS, **settings)
    assert "<img" not in page
    assert "&lt;img" in page


def test_no_verdict_says_why():
    card = verdict_card(None, ANSWERS, hdr_mass=0.9, reason="the scorer does not know <this> question")
    assert "? No verdict" in card
    assert "does not know &lt;this&gt; question" in card
