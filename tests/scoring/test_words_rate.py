"""The rate of one question: batches, decisions by hand, empty answers, another mass, refusals."""

from collections.abc import Iterator

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.scoring import words, words_frame, words_rate
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_rate import RateResult, RateSettings, hallucination_rate
from tests.scoring.test_words import DEER, OTTER, QUESTION, STATES, ToyEngine
from tests.toy_scorer import ToyScorer

ASKED = AskSettings(QUESTION, STATES, n_samples=100)
GOOD, BAD = "An otter.", "A very long tale about seals and the sea."


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyScorer:
    scorer = ToyScorer({QUESTION: [GOOD], OTTER: [GOOD, "My otter, I say."], DEER: ["A deer."]})
    for module in (words_rate, words_frame):
        monkeypatch.setattr(module, "stream_answers", scorer.stream)
    for module in (words, words_frame):
        monkeypatch.setattr(module, "log_likelihoods", scorer.likelihoods)
    monkeypatch.setattr(words_frame, "_FRAMES", words_frame._FrameMemory(4))
    return scorer


def steps(**changes) -> Iterator:
    asked = AskSettings(**{**vars(ASKED), **changes.pop("asked", {})})
    return hallucination_rate(ToyEngine(), RateSettings(asked, **changes))


def finished(**changes) -> RateResult:
    return list(steps(**changes))[-1].result


def test_it_stops_as_soon_as_the_rate_is_known_to_be_below_one_half(toy):
    result = finished()
    # 0 of 8 is the first look after which one half is ruled out (see the confidence sequences); looks at 1, 2, 4, 8
    assert (result.n_hallucinations, result.n_judged, result.decided) == (0, 8, "below")
    assert toy.n_sampled == 2 * 100 + 8
    assert result.interval.high < 0.5


def test_it_stops_above_and_goes_on_while_undecided(toy):
    toy.answers[QUESTION] = [BAD]
    assert (finished().n_judged, finished().decided) == (8, "above")
    # a batch starts with the first of them again, so batches 1, 1, 2, 4, 4, 4 hold 1 + 1 + 1 + 2 + 2 + 2 bad ones
    toy.answers[QUESTION] = [BAD, GOOD]
    undecided = finished()
    assert (undecided.n_hallucinations, undecided.n_judged, undecided.decided) == (9, 16, None)
    assert undecided.rate == 9 / 16


def test_every_look_holds_what_there_is_so_far(toy):
    toy.answers[QUESTION] = [BAD, GOOD]
    seen = [step.result for step in steps() if step.result is not None]
    assert sorted({len(result.answers) for result in seen}) == [0, 1, 2, 4, 8, 12, 16]
    fractions = [step.fraction for step in steps()]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_empty_answers_are_counted_apart_and_never_as_hallucinations(toy):
    toy.answers[QUESTION] = [BAD, ""]
    result = finished(n_answers=4)
    record = result.to_json()
    assert (record["n_sampled"], record["n_judged"], record["n_empty"]) == (4, 3, 1)
    assert record["n_hallucinations"] == 3
    assert record["answers"][3] == {"seed": 3, "answer": "", "margin_nats": None, "is_hallucination": None}
    assert np.isnan(result.log_densities[3]).all()


def test_no_verdict_means_no_rate_and_nothing_is_sampled(toy):
    toy.answers[DEER] = ["I do not know."]
    record = finished().to_json()
    assert record["reason"].startswith("no verdict")
    assert (record["hallucination_rate"], record["interval"], record["n_sampled"]) == (None, None, 0)


def test_another_mass_decides_the_same_answers_again(toy, monkeypatch):
    toy.answers[QUESTION] = ["An otter, eh."]  # 13 characters, between the genuine 9 and 16
    result = finished()
    monkeypatch.setattr(words_frame, "log_likelihoods", None)
    assert result.n_hallucinations == 0
    again = result.with_mass(0.4)
    assert (again.n_hallucinations, again.decided) == (8, "above")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_answers": 0}, "expected 1 to 256 answers, got 0"),
        ({"line": 1.0}, "expected a line between 0 and 1, got 1.0"),
        ({"confidence": 0.0}, "expected a confidence between 0 and 1, got 0.0"),
        ({"asked": {"answer": "An otter."}}, "expected answers to sample for a rate, got a text to judge"),
        ({"asked": {"temperature": 0.0}}, "expected a temperature above 0 for a rate, got 0"),
        ({"asked": {"checkpoint": "gpt"}}, "unknown checkpoint 'gpt'"),
        ({"asked": {"question": ""}}, "expected a question, got an empty text"),
    ],
)
def test_bad_input_is_refused(changes: dict, message: str):
    with pytest.raises(RefusedInputError, match=message):
        next(steps(**changes))
