"""The evaluation of Section 7.2 of [LHZSL] as one writes it in an afternoon: one question after the other, difflib."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_resemblance_run import WordsResemblanceSettings
from hallulab.models.qwen import LoadedQwen
from hallulab.scoring.resemblance import Strangers


@dataclass(frozen=True)
class PlainScore:
    """One question, answered and scored."""

    text: str
    """what was scored"""
    n_tokens: int
    incorrect: float | None
    """None for an empty text, as everywhere"""
    correct: float | None
    null_incorrect: float | None
    null_correct: float | None
    generation_s: float
    scoring_s: float


@dataclass(frozen=True)
class GreedyAnswer:
    """The likeliest tokens, one prompt at a time."""

    token_ids: tuple[int, ...]
    """end token left out"""
    least_gap_nats: float
    """of all steps, the least distance of the two likeliest tokens"""


def plain_evaluation(
    qwen: LoadedQwen,
    questions: Sequence[ReferencedQuestion],
    others: Sequence[Strangers],
    settings: WordsResemblanceSettings,
) -> Iterator[PlainScore]:
    """Answer and score every question, one after the other.

    Args:
        qwen: the model.
        questions: what is asked.
        others: per question, those whose references are its null.
        settings: variant and sampling.
    """
    torch.manual_seed(settings.seed)
    for question, strangers in zip(questions, others, strict=True):
        started = time.perf_counter()
        ids = prompt_ids(qwen, question.question, settings)
        written = qwen.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=settings.max_new_tokens,
            do_sample=True,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=0,
            eos_token_id=list(qwen.end_token_ids),
            pad_token_id=qwen.end_token_ids[0],
        )[0]
        kept = written if settings.choices.scores_prompt else written[ids.shape[1] :]
        text = qwen.tokenizer.decode(kept, skip_special_tokens=True).strip()
        generated = time.perf_counter()
        own = closest(text, question.incorrect_answers), closest(text, question.correct_answers)
        null_incorrect = mean([closest(text, stranger.incorrect_answers) for stranger in strangers.incorrect])
        null_correct = mean([closest(text, stranger.correct_answers) for stranger in strangers.correct])
        scored = time.perf_counter()
        n_tokens = len(written) - ids.shape[1]
        yield PlainScore(
            text, n_tokens, *own, null_incorrect, null_correct, generated - started, scored - generated
        )


def plain_greedy(
    qwen: LoadedQwen, question: ReferencedQuestion, settings: WordsResemblanceSettings
) -> GreedyAnswer:
    """The likeliest tokens after one prompt, as transformers finds them."""
    ids = prompt_ids(qwen, question.question, settings)
    found = qwen.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,
        eos_token_id=list(qwen.end_token_ids),
        pad_token_id=qwen.end_token_ids[0],
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = torch.cat(found.logits).float().log_softmax(-1).topk(2).values  # (n_tokens, 2)
    tokens = found.sequences[0, ids.shape[1] :].tolist()
    ended = tokens[:-1] if tokens[-1] in qwen.end_token_ids else tokens
    return GreedyAnswer(tuple(ended), float((best[:, 0] - best[:, 1]).min()))


def prompt_ids(qwen: LoadedQwen, question: str, settings: WordsResemblanceSettings) -> torch.Tensor:
    """Token ids of one prompt, shape (1, n)."""
    ids = qwen.chat_ids(question) if settings.choices.as_chat else qwen.tokenizer(question)["input_ids"]
    return torch.tensor([ids], device=qwen.model.device)


def closest(text: str, references: Sequence[str]) -> float | None:
    """The largest ratio to any reference, by Python's own difflib; None for a text without a letter or digit."""
    if not any(character.isalnum() for character in text):
        return None
    return max(SequenceMatcher(None, text.lower(), reference.lower()).ratio() for reference in references)


def mean(values: Sequence[float | None]) -> float | None:
    """None when anything is missing."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if len(there) == len(values) else None
