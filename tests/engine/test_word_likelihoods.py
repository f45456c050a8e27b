"""Log-likelihoods of given answers, against the model run one token at a time."""

import copy

import pytest
import torch

from hallulab.engine.word_likelihoods import log_likelihoods
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

PROMPTS = ["Hi", "What is a good pet for a small flat?", "How do you spell bako?\nHint: it is short"]


def test_log_likelihood_is_the_sum_over_answer_tokens_and_the_end(qwen: LoadedQwen):
    answers = ["A cat.", "A goldfish, because it is calm.", "Zzz"]
    scores = log_likelihoods(qwen, PROMPTS, answers)
    for prompt, answer, score in zip(PROMPTS, answers, scores, strict=True):
        prompt_ids = qwen.chat_ids(prompt)
        answer_ids = [*qwen.tokenizer(answer)["input_ids"], qwen.end_token_ids[0]]
        slow = 0.0
        for place, token in enumerate(answer_ids):  # one at a time, as it would be written
            with torch.inference_mode():
                logits = qwen.model(input_ids=torch.tensor([prompt_ids + answer_ids[:place]])).logits[0, -1]
            slow += float(logits.double().log_softmax(-1)[token])
        assert score == pytest.approx(slow, abs=1e-4)


def test_equal_pairs_get_equal_numbers_wherever_they_stand(qwen: LoadedQwen):
    prompts = ["Hi", PROMPTS[1], "Hi", "?"]
    scores = log_likelihoods(qwen, prompts, ["A cat."] * 4)
    assert scores[0] == scores[2]
    assert scores[0] == pytest.approx(log_likelihoods(qwen, ["Hi"], ["A cat."])[0], abs=1e-4)
    assert log_likelihoods(qwen, [], []).shape == (0,)


def test_a_prompt_is_read_once_for_all_its_answers(qwen: LoadedQwen):
    sizes = []
    watched = copy.copy(qwen.model)
    watched.forward = lambda **inputs: sizes.append(inputs["input_ids"].shape) or qwen.model(**inputs)
    answers = ["A cat.", "A dog.", "A very calm goldfish.", ""]
    scores = log_likelihoods(
        LoadedQwen(watched, qwen.tokenizer, "watched", ""), [PROMPTS[0]] * 3 + [PROMPTS[1]], answers
    )
    (n_prompts, _), (n_answers, _) = sizes
    assert (n_prompts, n_answers) == (2, 4)
    for prompt, answer, score in zip([PROMPTS[0]] * 3 + [PROMPTS[1]], answers, scores, strict=True):
        assert score == pytest.approx(log_likelihoods(qwen, [prompt], [answer])[0], abs=1e-4)


def test_a_pair_longer_than_the_context_is_refused(qwen: LoadedQwen):
    with pytest.raises(RefusedInputError, match="question and answer are .* tokens long"):
        log_likelihoods(qwen, ["Hi"], ["word " * 300])
