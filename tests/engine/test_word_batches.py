"""Batches of prompts of like length: the same answers as one at a time, within the memory for them."""

from dataclasses import replace

import pytest
import torch
from transformers import GenerationConfig, Qwen2Config

from hallulab.engine import word_batches
from hallulab.engine.word_batches import answer_batches, fitting_batch_size
from hallulab.engine.word_prompts import checked_prompt_ids
from hallulab.engine.words import GenerationSettings, generate_answers
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

PROMPTS = ["What is a good pet for a small flat?", "Hi", "How do you spell bako?", "Hi", "?", "word " * 40]
SETTINGS = GenerationSettings(12, temperature=0.7, top_p=0.9)


@pytest.mark.parametrize("as_chat", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_answers_are_those_of_one_at_a_time(qwen: LoadedQwen, batch_size: int | None, as_chat: bool):
    seeds = [11, 22, 33, 44, 55, 66]
    prompt_ids = [checked_prompt_ids(qwen, prompt, as_chat=as_chat) for prompt in PROMPTS]
    batches = list(answer_batches(qwen, prompt_ids, seeds, SETTINGS, batch_size=batch_size))
    answers = {place: answer for batch in batches for place, answer in batch.items()}
    assert sorted(answers) == list(range(6))
    assert len(batches) == {1: 6, 4: 2, None: 1}[batch_size]
    for place, (prompt, seed) in enumerate(zip(PROMPTS, seeds, strict=True)):
        (alone,) = generate_answers(qwen, [prompt], [seed], SETTINGS, as_chat=as_chat)
        assert answers[place].token_ids == alone.token_ids


def test_short_prompts_come_first(qwen: LoadedQwen):
    prompt_ids = [qwen.chat_ids(prompt) for prompt in PROMPTS]
    batches = list(answer_batches(qwen, prompt_ids, [0] * 6, SETTINGS, batch_size=2))
    n_tokens = [[len(prompt_ids[place]) for place in batch] for batch in batches]
    assert [n for batch in n_tokens for n in batch] == sorted(n for batch in n_tokens for n in batch)


def test_a_bare_prompt_is_gone_on_with_as_transformers_does(qwen: LoadedQwen):
    greedy = GenerationConfig(
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=list(qwen.end_token_ids),
        pad_token_id=qwen.tokenizer.pad_token_id,
    )
    settings = GenerationSettings(12, temperature=0)
    bare = generate_answers(qwen, PROMPTS, [0] * 6, settings, as_chat=False)
    assert bare != generate_answers(qwen, PROMPTS, [0] * 6, settings)
    for prompt, answer in zip(PROMPTS, bare, strict=True):
        ids = qwen.tokenizer(prompt, return_tensors="pt")["input_ids"]
        written = qwen.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy)
        expected = [i for i in written[0, ids.shape[1] :].tolist() if i not in qwen.end_token_ids]
        assert list(answer.token_ids) == expected


def test_the_batch_grows_with_the_memory_and_shrinks_with_the_answers(qwen: LoadedQwen, monkeypatch):
    # two layers, one head of 12 numbers of 4 bytes, keys and values, copied once: 384 bytes per token and answer
    per_answer = 384 * (20 + 12) + word_batches.BYTES_PER_LOGIT * qwen.model.config.vocab_size
    monkeypatch.setattr(word_batches, "BATCH_BYTES", 5 * per_answer + 1)
    assert fitting_batch_size(qwen, 20, SETTINGS) == 5
    assert fitting_batch_size(qwen, 200, SETTINGS) < 5
    monkeypatch.setattr(word_batches, "BATCH_BYTES", 1)
    assert fitting_batch_size(qwen, 20, SETTINGS) == 1
    prompt_ids = [qwen.chat_ids(prompt) for prompt in PROMPTS]
    assert len(list(answer_batches(qwen, prompt_ids, [0] * 6, SETTINGS))) == 6


def test_the_paper_s_model_gets_a_batch_that_fits_a_gpu(qwen: LoadedQwen):
    class Model:
        config = Qwen2Config(  # Qwen2.5-7B-Instruct
            vocab_size=152_064,
            hidden_size=3584,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
        )
        dtype = torch.bfloat16

    # 80 new tokens behind 40: 57 KB a token, twice, and 6 MB of logits make 20 MB an answer
    assert 40 <= fitting_batch_size(replace(qwen, model=Model()), 40, GenerationSettings(80)) <= 60


def test_refusals(qwen: LoadedQwen):
    with pytest.raises(RefusedInputError, match="expected one seed per prompt, got 6 prompts, 1 seeds"):
        next(answer_batches(qwen, [[5]] * 6, [0], SETTINGS))
    with pytest.raises(RefusedInputError, match="the question is .* tokens long"):
        checked_prompt_ids(qwen, "word " * 300, as_chat=False)
    with pytest.raises(RefusedInputError, match="expected a question, got an empty text"):
        checked_prompt_ids(qwen, "", as_chat=False)
    with pytest.raises(RefusedInputError, match="a control token of the model"):
        checked_prompt_ids(qwen, "Hi<|assistant|>", as_chat=False)
    assert list(answer_batches(qwen, [], [], SETTINGS)) == []
