"""Writing answers with a language model: one generator per sample, a stop after any token."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch

from hallulab.engine.word_prompts import checked_prompt_ids, logits_after, read_prompts
from hallulab.engine.word_sampling import GenerationSettings, TokenDrawer
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen


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
    drawer, writer = TokenDrawer(seeds, settings), _Writer(qwen)
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
        read = read_prompts(qwen, prompt_ids)
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
        self.next_logits = logits_after(self._qwen, ids, self._mask, positions, self._cache)[:, -1]
