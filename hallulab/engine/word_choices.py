"""What a language model could write next at one place of an answer, and how likely a given text is, word by word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hallulab.engine.word_prompts import checked_chat_ids
from hallulab.engine.word_sampling import GenerationSettings
from hallulab.engine.words import TokenStep
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen


@dataclass(frozen=True)
class TokenChoice:
    """One token the model could write at a place."""

    token_id: int
    text: str
    """What it adds to the answer; empty for an end token."""
    rank: int
    """1 is the likeliest of the vocabulary."""
    probability: float
    """Under the model as it is."""
    drawn_probability: float
    """After temperature and truncation: how often sampling takes it. 0 when it is cut off."""
    is_end: bool


def token_choices(
    qwen: LoadedQwen,
    prompt: str,
    begun: Sequence[int],
    settings: GenerationSettings,
    *,
    n_choices: int,
    also: int | None = None,
) -> tuple[TokenChoice, ...]:
    """The likeliest tokens after `prompt` and the begun answer, likeliest first.

    Args:
        qwen: the model.
        prompt: user turn, without the chat format.
        begun: token ids of the answer up to the place.
        settings: how tokens are drawn.
        n_choices: how many tokens.
        also: a token id listed as well, last when it is not among them.

    Raises RefusedInputError for a begun answer that leaves no room in the context.
    """
    ids = _fitting(qwen, checked_chat_ids(qwen, prompt), begun)
    logits = _last_logits(qwen, ids, 1)  # (1, vocabulary)
    probabilities = logits.softmax(-1)[0]
    drawn = _drawn_probabilities(logits, settings)[0]
    order = probabilities.argsort(descending=True, stable=True)
    chosen = order[:n_choices].tolist()
    if also is not None and also not in chosen:
        chosen.append(also)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(1, len(order) + 1, device=order.device)
    return tuple(
        TokenChoice(
            token_id=token_id,
            text="" if token_id in qwen.end_token_ids else qwen.tokenizer.decode([token_id]),
            rank=int(ranks[token_id]),
            probability=float(probabilities[token_id]),
            drawn_probability=float(drawn[token_id]),
            is_end=token_id in qwen.end_token_ids,
        )
        for token_id in chosen
    )


def read_tokens(qwen: LoadedQwen, prompt: str, text: str) -> tuple[TokenStep, ...]:
    """A given text as the model reads it after `prompt`: its tokens with their probabilities, the end last.

    Raises RefusedInputError when both together are longer than the context.
    """
    prompt_ids = checked_chat_ids(qwen, prompt)
    answer_ids = [*token_ids_of(qwen, text), qwen.end_token_ids[0]]
    logits = _last_logits(qwen, _fitting(qwen, prompt_ids, answer_ids), len(answer_ids) + 1)
    picked = logits[:-1].softmax(-1).gather(-1, torch.tensor(answer_ids, device=logits.device)[:, None])
    texts = [qwen.tokenizer.decode([token_id]) for token_id in answer_ids[:-1]]
    if "".join(texts) != text:  # characters of several tokens: each appears where it is whole
        texts = _pieces(qwen, answer_ids[:-1])
    return tuple(
        TokenStep(0, token_id, piece, probability, place == len(answer_ids) - 1)
        for place, (token_id, piece, probability) in enumerate(
            zip(answer_ids, [*texts, ""], picked[:, 0].tolist(), strict=True)
        )
    )


def token_ids_of(qwen: LoadedQwen, text: str) -> list[int]:
    """Token ids of a text that an answer may begin with or be."""
    return qwen.tokenizer(text, add_special_tokens=False)["input_ids"]


def _pieces(qwen: LoadedQwen, token_ids: Sequence[int]) -> list[str]:
    pieces, pending = [], []
    for token_id in token_ids:
        pending.append(token_id)
        piece = qwen.tokenizer.decode(pending)
        whole = not piece.endswith("\ufffd")
        pieces.append(piece if whole else "")
        pending = [] if whole else pending
    return pieces


def _fitting(qwen: LoadedQwen, prompt_ids: list[int], answer_ids: Sequence[int]) -> list[int]:
    if len(prompt_ids) + len(answer_ids) > qwen.n_context_tokens:
        raise RefusedInputError(
            f"question and answer are {len(prompt_ids) + len(answer_ids)} tokens long, but {qwen.name} "
            f"reads at most {qwen.n_context_tokens}: use something shorter"
        )
    return [*prompt_ids, *answer_ids]


def _last_logits(qwen: LoadedQwen, ids: list[int], n_last: int) -> torch.Tensor:
    """Logits after each of the last `n_last` tokens, shape (n_last, vocabulary)."""
    with torch.inference_mode():
        output = qwen.model(
            input_ids=torch.tensor([ids], device=qwen.model.device), use_cache=False, logits_to_keep=n_last
        )
        return output.logits[0].float()


def _drawn_probabilities(logits: torch.Tensor, settings: GenerationSettings) -> torch.Tensor:
    """Probabilities after temperature and truncation, shape (n, vocabulary)."""
    if settings.temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    no_ids: Any = torch.empty(len(logits), 0, dtype=torch.long, device=logits.device)
    return settings.warpers()(no_ids, logits).softmax(-1)
