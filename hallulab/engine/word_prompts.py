"""Prompts as a language model reads them: as tokens that fit, many together with little padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad
from transformers import DynamicCache

from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

TOKENS_READ_AT_ONCE = 2048
"""Prompt tokens read together, about: prompts of like length need little padding, which is read like any token."""


def checked_chat_ids(qwen: LoadedQwen, content: str) -> list[int]:
    """Token ids of the prompt; RefusedInputError when it leaves no room or plays a role of its own."""
    return checked_prompt_ids(qwen, content, as_chat=True)


def checked_prompt_ids(qwen: LoadedQwen, content: str, *, as_chat: bool) -> list[int]:
    """Token ids of the prompt, with the chat format or bare; refused as by `checked_chat_ids`."""
    markers = [token for token in qwen.tokenizer.all_special_tokens if token and token in content]
    if markers:
        raise RefusedInputError(
            f"expected plain text, but it holds {markers[0]!r}, a control token of the model: leave it out"
        )
    ids = qwen.chat_ids(content) if as_chat else list(qwen.tokenizer(content)["input_ids"])
    if not ids:
        raise RefusedInputError("expected a question, got an empty text: write something")
    if len(ids) > qwen.n_context_tokens - 8:
        raise RefusedInputError(
            f"the question is {len(ids)} tokens long, but {qwen.name} reads at most "
            f"{qwen.n_context_tokens - 8}: ask something shorter"
        )
    return ids


@dataclass(frozen=True)
class ReadPrompts:
    """Prompts as the model has read them, padded on the left."""

    mask: torch.Tensor
    """(n, width), 0 where a prompt is padded"""
    cache: DynamicCache
    next_logits: torch.Tensor
    """(n, vocabulary), of the token after each prompt"""

    def rows(self, rows: torch.Tensor) -> "ReadPrompts":
        """These rows, in this order; the cache is changed, not copied."""
        self.cache.batch_select_indices(rows)
        return ReadPrompts(self.mask[rows], self.cache, self.next_logits[rows])


def read_prompts(qwen: LoadedQwen, prompt_ids: Sequence[Sequence[int]]) -> ReadPrompts:
    """Prompts in the order given; equal ones are read once, and those of like length together."""
    prompts = sorted({tuple(ids) for ids in prompt_ids}, key=lambda ids: (len(ids), ids))
    parts = [_read_together(qwen, prompts[rows]) for rows in _like_lengths([len(ids) for ids in prompts])]
    place_of = {ids: place for place, ids in enumerate(prompts)}
    rows = torch.tensor([place_of[tuple(ids)] for ids in prompt_ids], device=qwen.model.device)
    return (parts[0] if len(parts) == 1 else _joined(parts)).rows(rows)


def _read_together(qwen: LoadedQwen, prompts: Sequence[tuple[int, ...]]) -> ReadPrompts:
    width = max(map(len, prompts))
    pad_id = qwen.end_token_ids[0]
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    mask, cache = mask.to(qwen.model.device), DynamicCache()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = logits_after(qwen, ids.to(mask.device), mask, positions, cache, n_last=1)
    return ReadPrompts(mask, cache, logits[:, -1])


def _joined(parts: Sequence[ReadPrompts]) -> ReadPrompts:
    """One after the other, padded to the longest prompt of all."""
    width = max(part.mask.shape[1] for part in parts)
    cache = DynamicCache()
    for layer, states in enumerate(zip(*(part.cache for part in parts), strict=True)):
        keys, values = (
            torch.cat([pad(each[kind], (0, 0, width - each[kind].shape[2], 0)) for each in states])
            for kind in (0, 1)
        )
        cache.update(keys, values, layer)
    mask = torch.cat([pad(part.mask, (width - part.mask.shape[1], 0)) for part in parts])
    return ReadPrompts(mask, cache, torch.cat([part.next_logits for part in parts]))


def logits_after(
    qwen: LoadedQwen,
    ids: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
    cache: DynamicCache,
    *,
    n_last: int = 0,
) -> torch.Tensor:
    """Logits after the last `n_last` of the tokens (n, t), or after all, shape (n, …, vocabulary); fills the cache."""
    with torch.inference_mode():
        output = qwen.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=n_last,
        )
        return output.logits.float()


def _like_lengths(lengths: Sequence[int]) -> Iterator[slice]:
    """Neighbours among sorted lengths that are read together: `TOKENS_READ_AT_ONCE` with their padding, or one."""
    start = 0
    for place, length in enumerate(lengths):
        if place > start and (place + 1 - start) * length > TOKENS_READ_AT_ONCE:
            yield slice(start, place)
            start = place
    yield slice(start, len(lengths))
