"""Prompts read together in parts of like length: the same answers as one at a time."""

import pytest

from hallulab.engine import word_prompts
from hallulab.engine.words import GenerationSettings, generate_answers
from hallulab.models.qwen import LoadedQwen

PROMPTS = ["What is a good pet for a small flat?", "Hi", "How do you spell bako?", "Hi", "?", "word " * 40]
SETTINGS = GenerationSettings(12, temperature=0.7, top_p=0.9)


@pytest.mark.parametrize("at_once", [1, 24, 60])
def test_prompts_read_in_parts_are_answered_as_one_at_a_time(
    qwen: LoadedQwen, monkeypatch: pytest.MonkeyPatch, at_once: int
):
    monkeypatch.setattr(word_prompts, "TOKENS_READ_AT_ONCE", at_once)
    lengths = [2, 2, 2, 4, 8, 30]
    parts = [lengths[part] for part in word_prompts._like_lengths(lengths)]
    assert [length for part in parts for length in part] == lengths
    assert all(len(part) == 1 or len(part) * part[-1] <= at_once for part in parts)
    assert len(parts) == {1: 6, 24: 3, 60: 2}[at_once]
    together = generate_answers(qwen, PROMPTS, [7] * 6, SETTINGS)
    for prompt, answer in zip(PROMPTS, together, strict=True):
        (alone,) = generate_answers(qwen, [prompt], [7], SETTINGS)
        assert answer.token_ids == alone.token_ids
        assert answer.token_probabilities == pytest.approx(alone.token_probabilities, abs=1e-5)
