"""Writing and scoring answers with a language model: one generator per sample, a stop after any token."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

TOKENS_READ_AT_ONCE = 2048
"""Prompt tokens read together, about: prompts of like length need little padding, which is read like any token."""
MOST_SCORED_AT_ONCE = 256
"""Answers scored together, at most."""
LOGITS_AT_ONCE = 2**27
"""Logits computed together while scoring, at most (half a gigabyte in single precision)."""


@dataclass(frozen=True)
class GenerationSettings:
    """How an answer is drawn from the model."""

    max_new_tokens: int = 40
    """Longest answer, in tokens, end token included."""
    temperature: float = 1.0
    """0 always takes the most likely token; 1 draws from the model as it is."""
    top_p: float = 1.0
    """Only the most likely tokens with this much mass together, in (0, 1]."""
    top_k: int = 0
    """Only this many most likely tokens; 0 means all."""

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens of at least 1": self.max_new_tokens >= 1,
            "temperature from 0 to 5": 0 <= self.temperature <= 5,
            "top_p above 0 and at most 1": 0 < self.top_p <= 1,
            "top_k of at least 0": self.top_k >= 0,
        }
        for expected, holds in checks.items():
            if not holds:
                raise RefusedInputError(f"expected {expected}, got {getattr(self, expected.split()[0])}")

    def warpers(self) -> LogitsProcessorList:
        """The changes made to the logits before a token is drawn, in the order `transformers` makes them."""
        warpers = LogitsProcessorList()
        if self.temperature not in (0, 1):
            warpers.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            warpers.append(QuickTopP(self.top_p))
        return warpers


class QuickTopP(TopPLogitsWarper):
    """transformers' nucleus, found among the likeliest tokens alone where they hold it: no vocabulary is sorted."""

    tried = (8, 64)
    """numbers of likeliest tokens among which the nuclei of all rows are looked for, one after the other"""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores, shape (n, vocabulary), with −∞ outside the nucleus."""
        total = scores.logsumexp(-1, keepdim=True)
        for n_likeliest in (n for n in self.tried if n < scores.shape[-1]):
            likeliest = scores.topk(n_likeliest).values
            probabilities = (likeliest - total).exp()
            before = probabilities.cumsum(-1) - probabilities  # mass of the tokens that are likelier
            if bool((before[:, -1] >= self.top_p).all()):
                n_inside = (before < self.top_p).sum(-1, keepdim=True)
                least = likeliest.gather(-1, n_inside - 1)
                return scores.masked_fill(scores < least, self.filter_value)
        return super().__call__(input_ids, scores)  # type: ignore[arg-type]


@dataclass(frozen=True)
class TokenStep:
    """One token added to one answer."""

    sample: int
    """Which answer, as a place in the list of prompts."""
    token_id: int
    text: str
    """What the token adds to the answer; empty for an end token and inside a character of several tokens."""
    probability: float
    """Under the model as it is, before temperature and truncation."""
    is_end: bool


@dataclass(frozen=True)
class Answer:
    """A finished answer."""

    text: str
    """Without the prompt and without the end token."""
    token_ids: tuple[int, ...]
    token_texts: tuple[str, ...]
    token_probabilities: tuple[float, ...]
    """Per token, before temperature and truncation."""
    is_complete: bool
    """Whether the model ended it; False when it was cut at the longest allowed length."""


@dataclass
class AnswerBuilder:
    """An answer under construction, fed with the steps of its sample."""

    steps: list[TokenStep] = field(default_factory=list)

    def add(self, step: TokenStep) -> None:
        """Take one more token."""
        self.steps.append(step)

    def answer(self) -> Answer:
        """What has been written so far."""
        tokens = [step for step in self.steps if not step.is_end]
        return Answer(
            "".join(step.text for step in tokens).strip(),
            tuple(step.token_id for step in tokens),
            tuple(step.text for step in tokens),
            tuple(step.probability for step in tokens),
            len(tokens) < len(self.steps),
        )


def generate_answers(
    qwen: LoadedQwen,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: GenerationSettings,
    *,
    as_chat: bool = True,
) -> list[Answer]:
    """One answer per prompt; answer i depends on prompt i and seed i alone. Arguments as `stream_answers`."""
    return collected_answers(len(prompts), stream_answers(qwen, prompts, seeds, settings, as_chat=as_chat))


def collected_answers(n_answers: int, stream: Iterable[Sequence[TokenStep]]) -> list[Answer]:
    """The answers of a stream that has run to its end."""
    builders = [AnswerBuilder() for _ in range(n_answers)]
    for step in chain.from_iterable(stream):
        builders[step.sample].add(step)
    return [builder.answer() for builder in builders]


def stream_answers(
    qwen: LoadedQwen,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: GenerationSettings,
    *,
    begun: Sequence[int] = (),
    as_chat: bool = True,
) -> Iterator[list[TokenStep]]:
    """Write one answer per prompt, all together; closing the generator stops after the current token.

    Args:
        qwen: the model.
        prompts: what the user says, without the chat format.
        seeds: one per prompt; equal prompts with equal seeds get equal answers, at any batch size.
        settings: how tokens are drawn.
        begun: token ids that every answer must begin with. Each takes the place of a drawn token and uses up
            its random number, so that forcing the tokens that would have been drawn changes nothing.
        as_chat: whether a prompt is a user turn of the chat format; without it, the model goes on with the bare text.

    Yields the new tokens of every answer that is still growing, the begun ones first.
    """
    ids = {prompt: checked_prompt_ids(qwen, prompt, as_chat=as_chat) for prompt in dict.fromkeys(prompts)}
    yield from stream_after(qwen, [ids[prompt] for prompt in prompts], seeds, settings, begun=begun)


def stream_after(
    qwen: LoadedQwen,
    prompt_ids: Sequence[Sequence[int]],
    seeds: Sequence[int],
    settings: GenerationSettings,
    *,
    begun: Sequence[int] = (),
) -> Iterator[list[TokenStep]]:
    """As `stream_answers`, for prompts that `checked_prompt_ids` has made token ids of."""
    if len(prompt_ids) != len(seeds) or not prompt_ids:
        raise RefusedInputError(
            f"expected one seed per prompt, got {len(prompt_ids)} prompts, {len(seeds)} seeds"
        )
    unknown = [token_id for token_id in begun if not 0 <= token_id < qwen.model.config.vocab_size]
    if unknown:
        raise RefusedInputError(f"expected token ids of {qwen.name} to begin with, got {unknown[0]}")
    rooms = [qwen.n_context_tokens - len(ids) for ids in prompt_ids]
    drawer, writer = _Drawer(seeds, settings), _Writer(qwen)
    samples = list(range(len(prompt_ids)))
    growth = _Growth(qwen, prompt_ids)
    for place in range(settings.max_new_tokens):
        forced = begun[place] if place < len(begun) else None
        drawn = drawer.draw(growth.next_logits, samples, forced)
        steps = [writer.step(sample, *token) for sample, token in zip(samples, drawn, strict=True)]
        yield steps
        going = [row for row, step in enumerate(steps) if not step.is_end and place + 1 < rooms[step.sample]]
        if not going:
            return
        samples = [samples[row] for row in going]
        growth.append([steps[row].token_id for row in going], going)


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


class _Drawer:
    """Draws the next token of every growing answer, each with the random numbers of its own seed."""

    def __init__(self, seeds: Sequence[int], settings: GenerationSettings):
        self._n_drawn = 0
        self._uniform = torch.stack(
            [
                torch.rand(
                    settings.max_new_tokens,
                    generator=torch.Generator().manual_seed(seed),
                    dtype=torch.float64,
                )
                for seed in seeds
            ]
        )
        """One number in [0, 1) for every token of every sample, shape (n, tokens)."""
        self._is_greedy = settings.temperature == 0
        self._warpers = settings.warpers()

    def draw(
        self, logits: torch.Tensor, samples: list[int], forced: int | None = None
    ) -> list[tuple[int, float]]:
        """A token per row of logits (n, vocabulary), with its probability before any warping."""
        tokens = logits.argmax(-1) if self._is_greedy else self._sampled(logits, samples)
        if forced is not None:
            tokens = torch.full_like(tokens, forced)
        self._n_drawn += 1
        picked = logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0].exp()
        return list(zip(tokens.tolist(), picked.tolist(), strict=True))

    def _sampled(self, logits: torch.Tensor, samples: list[int]) -> torch.Tensor:
        # the inverse of the cumulative distribution: one uniform number a token, whatever the batch
        no_ids: Any = torch.empty(len(logits), 0, dtype=torch.long, device=logits.device)
        dtype = torch.float32 if logits.device.type == "mps" else torch.float64
        cumulative = self._warpers(no_ids, logits).to(dtype).softmax(-1).cumsum(-1)
        uniform = self._uniform[samples, self._n_drawn, None].to(logits.device, dtype)
        tokens = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
        return tokens.clamp(max=logits.shape[-1] - 1)


class _Writer:
    """Turns tokens into text piece by piece; a character of several tokens appears when it is whole."""

    def __init__(self, qwen: LoadedQwen):
        self._qwen = qwen
        self._end_ids = set(qwen.end_token_ids)
        self._texts: dict[tuple[int, ...], str] = {}
        self._pending: dict[int, tuple[int, ...]] = {}

    def step(self, sample: int, token_id: int, probability: float) -> TokenStep:
        """What this token adds to this sample."""
        if token_id in self._end_ids:
            return TokenStep(sample, token_id, "", probability, True)
        pending = (*self._pending.get(sample, ()), token_id)
        text = self._decoded(pending)
        is_whole = not text.endswith("\ufffd")
        self._pending[sample] = () if is_whole else pending
        return TokenStep(sample, token_id, text if is_whole else "", probability, False)

    def _decoded(self, token_ids: tuple[int, ...]) -> str:
        if token_ids not in self._texts:
            self._texts[token_ids] = self._qwen.tokenizer.decode(token_ids, skip_special_tokens=True)
        return self._texts[token_ids]


class _Growth:
    """The growing sequences with their key-value cache; finished ones are taken out."""

    def __init__(self, qwen: LoadedQwen, prompt_ids: Sequence[Sequence[int]]):
        self._qwen = qwen
        self._device = qwen.model.device
        read = _read_prompts(qwen, prompt_ids)
        self._mask, self._cache = read.mask, read.cache
        self.next_logits = read.next_logits
        """Logits of the next token of every growing sequence, shape (n, vocabulary)."""

    def append(self, token_ids: list[int], rows: list[int]) -> None:
        """Go on with these rows, each with its new token."""
        if len(rows) < len(self._mask):
            kept = torch.tensor(rows, device=self._device)
            self._mask = self._mask[kept]
            self._cache.batch_select_indices(kept)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(rows), 1)], dim=-1)
        ids = torch.tensor(token_ids, device=self._device)[:, None]
        positions = self._mask.sum(-1, keepdim=True) - 1
        self.next_logits = _logits(self._qwen, ids, self._mask, positions, self._cache)[:, -1]


@dataclass(frozen=True)
class _ReadPrompts:
    """Prompts as the model has read them, padded on the left."""

    mask: torch.Tensor
    """(n, width), 0 where a prompt is padded"""
    cache: DynamicCache
    next_logits: torch.Tensor
    """(n, vocabulary), of the token after each prompt"""

    def rows(self, rows: torch.Tensor) -> "_ReadPrompts":
        """These rows, in this order; the cache is changed, not copied."""
        self.cache.batch_select_indices(rows)
        return _ReadPrompts(self.mask[rows], self.cache, self.next_logits[rows])


def _read_prompts(qwen: LoadedQwen, prompt_ids: Sequence[Sequence[int]]) -> _ReadPrompts:
    """Prompts in the order given; equal ones are read once, and those of like length together."""
    prompts = sorted({tuple(ids) for ids in prompt_ids}, key=lambda ids: (len(ids), ids))
    parts = [_read_together(qwen, prompts[rows]) for rows in _like_lengths([len(ids) for ids in prompts])]
    place_of = {ids: place for place, ids in enumerate(prompts)}
    rows = torch.tensor([place_of[tuple(ids)] for ids in prompt_ids], device=qwen.model.device)
    return (parts[0] if len(parts) == 1 else _joined(parts)).rows(rows)


def _read_together(qwen: LoadedQwen, prompts: Sequence[tuple[int, ...]]) -> _ReadPrompts:
    width = max(map(len, prompts))
    pad_id = qwen.end_token_ids[0]
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    mask, cache = mask.to(qwen.model.device), DynamicCache()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = _logits(qwen, ids.to(mask.device), mask, positions, cache, n_last=1)
    return _ReadPrompts(mask, cache, logits[:, -1])


def _joined(parts: Sequence[_ReadPrompts]) -> _ReadPrompts:
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
    return _ReadPrompts(mask, cache, torch.cat([part.next_logits for part in parts]))


def _logits(
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
    read = _read_prompts(qwen, [prompt for prompt, _ in pairs])
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
        logits = torch.cat([logits, _logits(qwen, ids[:, :-1], mask, positions, read.cache)], dim=1)
    picked = logits.log_softmax(-1).gather(-1, ids[:, :, None])[..., 0]
    return torch.where(is_scored, picked, 0.0).cpu().double().sum(-1)
