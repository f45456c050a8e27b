"""Answers to many questions: batches of prompts of like length, as large as the memory for them allows."""

from collections.abc import Iterator, Sequence

from hallulab.engine.words import Answer, GenerationSettings, collected_answers, stream_after
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen

BATCH_BYTES = 2**30
"""What the growing answers of one batch may take beside the model: keys, values and logits."""
MOST_AT_ONCE = 512
"""Answers in one batch, at most: more of them are no quicker and wait longer for the longest one."""
BYTES_PER_LOGIT = 40
"""While a token is drawn: the logits and their sorted, warped and summed copies, partly in double precision."""


def answer_batches(
    qwen: LoadedQwen,
    prompt_ids: Sequence[Sequence[int]],
    seeds: Sequence[int],
    settings: GenerationSettings,
    *,
    batch_size: int | None = None,
) -> Iterator[dict[int, Answer]]:
    """Place of a prompt → its answer, batch after batch, short prompts first; closing stops between two batches.

    Args:
        qwen: the model.
        prompt_ids: token ids of every prompt, as `checked_prompt_ids` makes them.
        seeds, settings: as `stream_answers`; answer i depends on prompt i and seed i alone.
        batch_size: prompts at once; None: as many as `fitting_batch_size` says.
    """
    if len(prompt_ids) != len(seeds):
        raise RefusedInputError(
            f"expected one seed per prompt, got {len(prompt_ids)} prompts, {len(seeds)} seeds"
        )
    left = sorted(range(len(prompt_ids)), key=lambda place: (len(prompt_ids[place]), place))
    while left:
        # the prompts are sorted, so the first ones decide too little: try the widest of as many as would fit
        size = batch_size or fitting_batch_size(
            qwen, len(prompt_ids[left[min(len(left), MOST_AT_ONCE) - 1]]), settings
        )
        batch, left = left[:size], left[size:]
        stream = stream_after(
            qwen, [prompt_ids[place] for place in batch], [seeds[place] for place in batch], settings
        )
        yield dict(zip(batch, collected_answers(len(batch), stream), strict=True))


def fitting_batch_size(qwen: LoadedQwen, n_prompt_tokens: int, settings: GenerationSettings) -> int:
    """How many answers can grow together within `BATCH_BYTES`: at least 1, at most `MOST_AT_ONCE`."""
    config = qwen.model.config
    n_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * n_heads * head_size * qwen.model.dtype.itemsize
    n_tokens = min(n_prompt_tokens + settings.max_new_tokens, qwen.n_context_tokens)
    # the cache is copied when it grows
    per_answer = 2 * per_token * n_tokens + BYTES_PER_LOGIT * config.vocab_size
    return max(1, min(MOST_AT_ONCE, BATCH_BYTES // per_answer))
