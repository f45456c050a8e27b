"""Asking: the JSON contract, verdicts decided again without a model, refusals, empty answers, cancelling."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hallulab.engine.job_queue import JobQueue
from hallulab.engine.presets import WordsPreset
from hallulab.engine.words import GenerationSettings
from hallulab.errors import RefusedInputError
from hallulab.scoring import words, words_frame
from hallulab.scoring.words import AnswerToken, AskResult, AskSettings, ask
from tests.toy_scorer import ToyScorer

QUESTION, STATES = "Which animal?", ("an otter", "a deer")
OTTER, DEER = f"{QUESTION}\nHint: an otter", f"{QUESTION}\nHint: a deer"
SETTINGS = AskSettings(QUESTION, STATES, n_samples=100)
CONTRACT = {
    "question", "answer", "model", "checkpoint", "seed", "states", "max_log_density", "margin_nats",
    "is_hallucination", "reason", "log_density_unhinted", "scorer", "tokens",
}  # fmt: skip


class ToyEngine:
    """The engine's interface over a scripted scorer."""

    def __init__(self):
        self.preset = SimpleNamespace(words=WordsPreset("base", {}, max_new_tokens=20, temperature=0.7))
        self.queue = JobQueue()

    def enter(self, label: str):
        return self.queue.enter(label)

    def default_checkpoint(self, _kind: str) -> str:
        return "base"

    def checkpoint_place(self, _kind: str, name: str) -> str:
        if name != "base":
            raise RefusedInputError(f"unknown checkpoint {name!r} for words: use one of base")
        return name

    def qwen(self, _checkpoint: str):
        return SimpleNamespace(name="toy + adapter", sha256="2", model=SimpleNamespace(dtype=torch.float32))

    def scorer(self):
        return SimpleNamespace(name="toy", sha256="1", model=SimpleNamespace(dtype=torch.float32))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyScorer:
    scorer = ToyScorer({QUESTION: ["An otter."], OTTER: ["An otter.", "My otter, I say."], DEER: ["A deer."]})
    for module in (words, words_frame):
        monkeypatch.setattr(module, "stream_answers", scorer.stream)
        monkeypatch.setattr(module, "log_likelihoods", scorer.likelihoods)
    monkeypatch.setattr(words, "read_tokens", scorer.read)
    monkeypatch.setattr(words_frame, "_FRAMES", words_frame._FrameMemory(4))
    return scorer


def finished(engine: ToyEngine, settings: AskSettings) -> AskResult:
    *_, last = ask(engine, settings)
    assert last.result is not None
    return last.result


def test_the_answer_is_judged_under_every_state():
    result = finished(ToyEngine(), SETTINGS)
    # the toy's log-likelihood is minus the number of characters; the 10th percentiles are −16 and −7
    np.testing.assert_allclose(result.log_densities, [-9, -9])
    verdict = result.verdict
    assert verdict is not None
    assert [state.inside for state in verdict.states] == [True, False]
    assert verdict.margin_nats == pytest.approx(7, abs=2e-3)
    assert not verdict.is_hallucination


def test_the_json_has_the_keys_of_the_contract():
    record = finished(ToyEngine(), SETTINGS).to_json()
    assert record.keys() >= CONTRACT
    assert record["model"] == "toy + adapter"
    assert record["scorer"] == "toy"
    assert record["reason"] is None
    assert record["states"][0]["state"] == "an otter"
    assert record["states"][0].keys() >= {"state", "log_density", "threshold", "inside"}
    assert record["log_density_unhinted"] == -9
    assert record["tokens"] == [{"text": "An otter.", "probability": 1.0, "token_id": 1}]


def test_another_mass_is_decided_without_a_model(monkeypatch: pytest.MonkeyPatch):
    result = finished(ToyEngine(), AskSettings(QUESTION, STATES, n_samples=100, answer="An otter, eh."))
    monkeypatch.setattr(words, "log_likelihoods", None)  # any call of the model would now fail
    # 13 characters lie between the genuine 9 and 16: inside at 90 % mass, outside at 40 %
    assert not result.verdict.is_hallucination
    assert result.with_mass(0.4).verdict.is_hallucination
    with pytest.raises(RefusedInputError, match="mass"):
        result.with_mass(1.0)


def test_a_given_answer_is_judged_instead_of_a_generated_one():
    result = finished(
        ToyEngine(), AskSettings(QUESTION, STATES, n_samples=100, answer="  A very long tale about seals. ")
    )
    assert (result.answer, result.model) == ("A very long tale about seals.", "given text")
    # its words are shown with what the scorer makes of them
    assert result.tokens == (AnswerToken("A very long tale about seals.", 0.5, 1),)
    assert result.verdict.is_hallucination


def test_an_empty_answer_gets_no_verdict(toy: ToyScorer):
    toy.answers[QUESTION] = [""]
    record = finished(ToyEngine(), SETTINGS).to_json()
    assert record["reason"] == "no verdict: the answer is empty, so there is nothing to judge"
    assert record["is_hallucination"] is None
    assert record["log_density_unhinted"] is None


def test_no_verdict_means_null_and_its_reason(toy: ToyScorer):
    toy.answers[DEER] = ["I do not know."]
    result = finished(ToyEngine(), SETTINGS)
    record = result.to_json()
    assert result.verdict is None
    assert result.with_mass(0.5).verdict is None
    assert record["is_hallucination"] is None
    assert record["margin_nats"] is None
    assert [state["inside"] for state in record["states"]] == [None, None]
    assert record["reason"].startswith("no verdict: the scorer toy does not follow every hint here")
    assert record["validity"] == {"an otter": 1.0, "a deer": 0.0}


def test_progress_never_falls_and_the_result_comes_last():
    progress = list(ask(ToyEngine(), SETTINGS))
    fractions = [step.fraction for step in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert [step.result is not None for step in progress] == [False] * (len(progress) - 1) + [True]
    assert progress[-2].answer == "An otter."


def test_a_job_waits_its_turn_and_closing_it_gives_the_place_up():
    engine = ToyEngine()
    with engine.enter("another"):
        waiting = ask(engine, SETTINGS)
        assert next(waiting).message == "waiting for 1 other job"
        waiting.close()
    assert engine.queue.n_waiting == 0
    running = ask(engine, SETTINGS)
    next(running)
    assert engine.queue.holder is not None
    running.close()
    assert engine.queue.holder is None


def test_what_is_left_open_comes_from_the_preset():
    generation = AskSettings(QUESTION, top_p=0.5).generation(ToyEngine())
    assert generation == GenerationSettings(max_new_tokens=20, temperature=0.7, top_p=0.5)


def test_a_longer_or_shorter_answer_does_not_change_the_genuine_samples():
    engine = ToyEngine()
    first = finished(engine, SETTINGS)
    second = finished(engine, AskSettings(QUESTION, STATES, n_samples=100, max_new_tokens=3, seed=9))
    assert second.frame is first.frame


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": ""}, "expected a question, got an empty text: write something"),
        ({"question": " \n "}, "expected a question, got an empty text"),
        ({"question": "x" * 10_000}, "expected a question of at most 2,000 characters, got 10,000"),
        ({"answer": " "}, "expected an answer to judge, got an empty text"),
        ({"answer": "an otter", "begun": "an"}, "an answer to judge or the beginning of one, got both"),
        ({"begun": "x" * 2_001}, "the beginning of an answer of at most 2,000 characters, got 2,001"),
        ({"states": ("a", "a")}, "expected different states"),
        ({"states": ("a", "")}, "expected words in every state"),
        ({"checkpoint": "gpt"}, "unknown checkpoint 'gpt' for words: use one of base"),
        ({"hdr_mass": 0.0}, "mass"),
        ({"hdr_mass": 1.2}, "mass"),
        ({"hdr_mass": float("nan")}, "mass"),
        ({"n_samples": 3}, "expected 20 to 1000 genuine samples per state, got 3"),
        ({"seed": -1}, "expected a whole seed from 0"),
        ({"seed": 1.5}, "expected seed as a whole number, got 1.5"),
        ({"seed": "x"}, "expected seed as a whole number, got 'x'"),
        ({"question": None}, "expected question as a text, got None"),
        (
            {"states": "cat"},
            r"expected states as a list of texts, got 'cat': for a single one write \['cat'\]",
        ),
        ({"states": (1, 2)}, "expected states as a list of texts, got"),
        ({"n_samples": 50.5}, "expected n_samples as a whole number, got 50.5"),
        ({"begun": 3}, "expected begun as a list of whole numbers or a text, got 3"),
        ({"temperature": -1.0}, "expected temperature from 0 to 5, got -1.0"),
        ({"max_new_tokens": 0}, "expected max_new_tokens of at least 1, got 0"),
    ],
)
def test_bad_input_is_refused_before_anything_is_queued(changes: dict, message: str):
    engine = ToyEngine()
    with pytest.raises(RefusedInputError, match=message):
        next(ask(engine, AskSettings(**{"question": QUESTION, "states": STATES, **changes})))
    assert engine.queue.holder is None
