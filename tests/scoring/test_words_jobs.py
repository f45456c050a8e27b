"""Comparing checkpoints, looking up words and proposing states, on tiny models of the real kind."""

import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.words import AskSettings, ask
from hallulab.scoring.words_choices import choose_words
from hallulab.scoring.words_comparison import compare
from hallulab.scoring.words_proposals import propose
from hallulab.scoring.words_rate import RateSettings, hallucination_rate

QUESTION = "What is a good pet for a small flat?"
ASKED = AskSettings(QUESTION, n_samples=20, seed=4)


@pytest.fixture(scope="module")
def engine(tiny_preset) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def last(steps):
    return list(steps)[-1].result


def test_each_checkpoint_answers_as_it_would_alone_and_in_one_frame(engine):
    compared = last(compare(engine, ASKED, ("base", "epoch-2")))
    alone = [
        last(ask(engine, AskSettings(QUESTION, n_samples=20, seed=4, checkpoint=c)))
        for c in ("base", "epoch-2")
    ]
    assert [result.answer for result in compared.results] == [result.answer for result in alone]
    assert [result.checkpoint for result in compared.results] == ["base", "epoch-2"]
    assert compared.results[0].frame is compared.results[1].frame
    record = compared.to_json()
    ids = [[token["token_id"] for token in one["tokens"]] for one in record["compared"]]
    n = record["n_shared_tokens"]
    assert ids[0][:n] == ids[1][:n]
    assert ids[0][n : n + 1] != ids[1][n : n + 1]
    assert compared.with_mass(0.5).results[1].hdr_mass == 0.5


def test_the_same_answers_share_all_their_tokens(engine):
    result = last(ask(engine, ASKED))
    same = type(last(compare(engine, ASKED, ("base", "epoch-2"))))((result, result))
    assert same.n_shared_tokens == len(result.tokens)
    assert same.is_same_answer


@pytest.mark.parametrize(
    ("changes", "checkpoints", "message"),
    [
        ({}, ("base",), "expected 2 to 12 different checkpoints, got base"),
        ({}, ("base", "base"), "expected 2 to 12 different checkpoints, got base, base"),
        ({}, ("base", "gpt"), "unknown checkpoint 'gpt'"),
        ({"answer": "A cat."}, ("base", "epoch-2"), "expected checkpoints that write their answers"),
        ({"question": " "}, ("base", "epoch-2"), "expected a question"),
    ],
)
def test_what_cannot_be_compared_is_refused(engine, changes, checkpoints, message):
    with pytest.raises(RefusedInputError, match=message):
        next(compare(engine, AskSettings(**{"question": QUESTION, **changes}), checkpoints))
    assert engine.queue.holder is None


def test_the_written_token_is_among_the_choices_with_its_own_probability(engine):
    result = last(ask(engine, ASKED))
    for place, token in enumerate(result.tokens):
        begun = tuple(before.token_id for before in result.tokens[:place])
        settings = AskSettings(QUESTION, n_samples=20, seed=4, begun=begun)
        found = last(choose_words(engine, settings, written=token.token_id, n_choices=3))
        own = next(choice for choice in found.choices if choice.token_id == token.token_id)
        assert own.probability == pytest.approx(token.probability, rel=1e-3)
        assert own.drawn_probability > 0  # it was drawn
        assert [choice.rank for choice in found.choices[:3]] == [1, 2, 3]
    assert found.to_json().keys() >= {"question", "begun", "model", "checkpoint", "written", "choices"}


def test_a_beginning_in_words_is_kept_and_a_forced_token_makes_a_branch(engine):
    begun = last(ask(engine, AskSettings(QUESTION, n_samples=20, begun=" A goldfish")))
    assert begun.answer.startswith("A goldfish")
    ids = tuple(token.token_id for token in begun.tokens[:2])
    assert last(ask(engine, AskSettings(QUESTION, n_samples=20, begun=ids))).tokens[:2] == begun.tokens[:2]
    with pytest.raises(RefusedInputError, match="beginning is .* tokens long, but answers end after 8"):
        last(ask(engine, AskSettings(QUESTION, n_samples=20, begun="a very long beginning of an answer")))
    with pytest.raises(RefusedInputError, match="expected 1 to 100 choices, got 0"):
        next(choose_words(engine, ASKED, n_choices=0))


def test_the_first_answer_of_a_rate_is_that_of_ask(engine):
    # untrained models follow no hint, so the rate has no verdict and samples nothing
    result = last(hallucination_rate(engine, RateSettings(ASKED)))
    assert result.answers == ()
    assert result.reason is not None


def test_untrained_answers_propose_nothing_and_are_counted(engine):
    found = last(propose(engine, ASKED))
    record = found.to_json()
    assert record["n_sampled"] == 64
    assert record["states"] == ()
    # the tiny preset has one question only, so wording cannot be told from names
    assert record["least_share"] == 0.1
