"""How likely a language model finds given answers: total log-likelihoods, many at once."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hallulab.engine.word_prompts import checked_chat_ids, logits_after, read_prompts
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

MOST_SCORED_AT_ONCE = 256
"""Answers scored together, at most."""
LOGITS_AT_ONCE = 2**27
"""Logits computed together while scoring, at most (half a gigabyte in single precision)."""


def log_likelihoods(qwen: LoadedQwen, prompts: Sequence[str], answers: Sequence[str]) -> NDArray[np.float64]:
    """Total log-likelihood of each answer after its prompt, end token included, shape (n,), nats.

    Equal pairs are scored once, in one order of batches, so equal pairs get equal numbers. A prompt is read once for
    all its answers in a batch.
    """
    pairs = list(dict.fromkeys(zip(prompts, answers, strict=True)))
    if not pairs:
        return np.zeros(0)
    encoded = _encoded_pairs(qwen, pairs)
    ordered = sorted(pairs, key=lambda pair: (len(encoded[pair][0]), pair[0], len(encoded[pair][1]), pair[1]))
    scores: dict[tuple[str, str], float] = {}
    longest = max(len(answer_ids) for _, answer_ids in encoded.values())
    fitting = LOGITS_AT_ONCE // (longest * qwen.model.config.vocab_size)
    batch_size = max(1, min(MOST_SCORED_AT_ONCE, fitting))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        totals = _batch_log_likelihoods(qwen, [encoded[pair] for pair in batch])
        scores.update(zip(batch, totals.tolist(), strict=True))
    return np.array([scores[pair] for pair in zip(prompts, answers, strict=True)])


def _encoded_pairs(
    qwen: LoadedQwen, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
    """Token ids of prompt and answer, end token included, of each pair."""
    prompts = {prompt: checked_chat_ids(qwen, prompt) for prompt in dict.fromkeys(p for p, _ in pairs)}
    answers = {
        answer: qwen.tokenizer(answer, add_special_tokens=False)["input_ids"] + [qwen.end_token_ids[0]]
        for answer in dict.fromkeys(a for _, a in pairs)
    }
    encoded = {pair: (prompts[pair[0]], answers[pair[1]]) for pair in pairs}
    longest = max(len(prompt_ids) + len(answer_ids) for prompt_ids, answer_ids in encoded.values())
    if longest > qwen.n_context_tokens:
        raise RefusedInputError(
            f"question and answer are {longest} tokens long, but {qwen.name} reads at most "
            f"{qwen.n_context_tokens}: use something shorter"
        )
    return encoded


def _batch_log_likelihoods(qwen: LoadedQwen, pairs: list[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Log-likelihoods of one batch, shape (n,), nats; answers are padded on the right."""
    read = read_prompts(qwen, [prompt for prompt, _ in pairs])
    longest = max(len(answer) for _, answer in pairs)
    pad_id = qwen.end_token_ids[0]
    ids = torch.tensor([answer + [pad_id] * (longest - len(answer)) for _, answer in pairs])
    is_scored = torch.tensor(
        [[True] * len(answer) + [False] * (longest - len(answer)) for _, answer in pairs]
    )
    ids, is_scored = ids.to(read.mask.device), is_scored.to(read.mask.device)
    logits = read.next_logits[:, None]  # of the first token; those of the others follow
    if longest > 1:
        mask = torch.cat([read.mask, is_scored[:, :-1].to(read.mask.dtype)], dim=-1)
        positions = read.mask.sum(-1, keepdim=True) + torch.arange(longest - 1, device=mask.device)
        logits = torch.cat([logits, logits_after(qwen, ids[:, :-1], mask, positions, read.cache)], dim=1)
    picked = logits.log_softmax(-1).gather(-1, ids[:, :, None])[..., 0]
    return torch.where(is_scored, picked, 0.0).cpu().double().sum(-1)
