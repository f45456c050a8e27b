"""What could have been written, and what is read: against one slow forward pass at a time."""

import math

import numpy as np
import pytest
import torch

from hallulab.engine.word_choices import read_tokens, token_choices, token_ids_of
from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.engine.words import AnswerBuilder, GenerationSettings, stream_answers
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

QUESTION = "What is a good pet?"
SETTINGS = GenerationSettings(12, temperature=0.7, top_p=0.9)


def written(qwen: LoadedQwen, seed: int, begun: tuple[int, ...] = (), settings=SETTINGS):
    builder = AnswerBuilder()
    for (step,) in stream_answers(qwen, [QUESTION], [seed], settings, begun=begun):
        builder.add(step)
    return builder.answer()


def test_forcing_what_would_have_been_drawn_changes_nothing(qwen):
    for seed in range(4):
        free = written(qwen, seed)
        for n in range(len(free.token_ids) + 1):
            assert written(qwen, seed, free.token_ids[:n]) == free


def test_a_forced_token_is_kept_and_what_follows_is_drawn_after_it(qwen):
    free = written(qwen, 1)
    other = next(i for i in range(20, 40) if i != free.token_ids[2])
    branch = written(qwen, 1, (*free.token_ids[:2], other))
    assert branch.token_ids[:3] == (*free.token_ids[:2], other)
    assert branch.token_probabilities[:2] == free.token_probabilities[:2]
    ids = torch.tensor([qwen.chat_ids(QUESTION) + list(free.token_ids[:2])])
    with torch.inference_mode():
        expected = qwen.model(ids).logits[0, -1].softmax(-1)[other]
    assert branch.token_probabilities[2] == pytest.approx(float(expected), rel=1e-4)


def test_a_forced_end_ends_the_answer(qwen):
    free = written(qwen, 1)
    ended = written(qwen, 1, (*free.token_ids[:2], qwen.end_token_ids[0]))
    assert ended.token_ids == free.token_ids[:2]
    assert ended.is_complete


def test_choices_are_the_likeliest_tokens_with_both_probabilities(qwen):
    begun = written(qwen, 3).token_ids[:3]
    choices = token_choices(qwen, QUESTION, begun, SETTINGS, n_choices=8)
    with torch.inference_mode():
        logits = qwen.model(torch.tensor([qwen.chat_ids(QUESTION) + list(begun)])).logits[0, -1]
    plain = logits.softmax(-1).numpy()
    warped = (logits / 0.7).softmax(-1).numpy()
    order = np.argsort(-plain)
    assert [choice.token_id for choice in choices] == order[:8].tolist()
    assert [choice.rank for choice in choices] == list(range(1, 9))
    np.testing.assert_allclose([choice.probability for choice in choices], plain[order[:8]], rtol=1e-4)
    # the nucleus: likeliest first, until they hold 90 %, the one that crosses it included
    n_kept = int(np.searchsorted(np.cumsum(warped[order]), 0.9)) + 1
    kept = warped[order[:n_kept]] / warped[order[:n_kept]].sum()
    expected = [*kept, *np.zeros(8)][:8]
    np.testing.assert_allclose([choice.drawn_probability for choice in choices], expected, rtol=1e-3)


def test_the_written_token_is_listed_with_its_rank_however_unlikely(qwen):
    choices = token_choices(qwen, QUESTION, (), SETTINGS, n_choices=5, also=7)
    assert len(choices) in (5, 6)
    own = next(choice for choice in choices if choice.token_id == 7)
    every = token_choices(qwen, QUESTION, (), SETTINGS, n_choices=10_000)
    assert own == next(choice for choice in every if choice.token_id == 7)
    assert sum(choice.probability for choice in every) == pytest.approx(1, abs=1e-5)
    assert sum(choice.drawn_probability for choice in every) == pytest.approx(1, abs=1e-5)
    assert any(choice.is_end and choice.text == "" for choice in every)


def test_at_temperature_0_only_the_likeliest_is_ever_drawn(qwen):
    choices = token_choices(qwen, QUESTION, (), GenerationSettings(temperature=0), n_choices=4)
    assert [choice.drawn_probability for choice in choices] == [1, 0, 0, 0]


def test_a_text_is_read_as_it_is_scored(qwen):
    text = "A cat, as naïve as a 🐟."
    steps = read_tokens(qwen, QUESTION, text)
    assert "".join(step.text for step in steps) == text
    assert [step.is_end for step in steps] == [False] * (len(steps) - 1) + [True]
    total = sum(math.log(step.probability) for step in steps)
    assert total == pytest.approx(log_likelihoods(qwen, [QUESTION], [text])[0], abs=1e-4)


def test_what_does_not_fit_the_context_or_the_vocabulary_is_refused(qwen):
    with pytest.raises(RefusedInputError, match="reads at most 256"):
        read_tokens(qwen, QUESTION, "cat " * 300)
    with pytest.raises(RefusedInputError, match="reads at most 256"):
        token_choices(qwen, QUESTION, [5] * 300, SETTINGS, n_choices=3)
    with pytest.raises(RefusedInputError, match="token ids of qwen-tiny to begin with, got 100000"):
        written(qwen, 0, (100_000,))
    assert token_ids_of(qwen, "") == []
