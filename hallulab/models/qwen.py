"""Qwen2 language models: building the tiny one from nothing, loading any one from a folder or the Hub."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

PAD, END, USER, ASSISTANT, SYSTEM = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL_TOKENS = (PAD, END, USER, ASSISTANT, SYSTEM)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class MiniQwenSettings:
    """Size of the tiny Qwen2."""

    vocab_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 512
    n_layers: int = 4
    n_heads: int = 6
    n_key_value_heads: int = 2
    max_tokens: int = 256
    """Longest prompt and answer together, in tokens."""


def train_tokenizer(texts: Iterable[str], settings: MiniQwenSettings) -> Qwen2Tokenizer:
    """Qwen2's own tokenizer class with merges learned from `texts`, role markers and a chat template."""
    learner = Qwen2Tokenizer().backend_tokenizer  # keeps Qwen2's way of splitting text, which a reload will use
    learner.model = models.BPE()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(merge) for merge in learned["merges"]],
        unk_token=PAD,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        chat_template=CHAT_TEMPLATE,
        model_max_length=settings.max_tokens,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_mini_qwen(tokenizer: Any, settings: MiniQwenSettings) -> Qwen2ForCausalLM:
    """A tiny Qwen2 with random weights (from torch's global seed) for this tokenizer."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=settings.n_heads,
        num_key_value_heads=settings.n_key_value_heads,
        max_position_embeddings=settings.max_tokens,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.02,
    )
    return Qwen2ForCausalLM(config)


@dataclass(frozen=True)
class LoadedQwen:
    """A language model ready to use, with its tokenizer."""

    model: Any
    tokenizer: Any
    name: str
    """Folder name or Hub id of the base, and the adapter's name when there is one."""
    sha256: str
    """Content hash of the base and adapter files; empty for a Hub id."""


def save_qwen(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save model (half precision, safetensors) and tokenizer in the Hub's format."""
    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load_qwen(base: Path, *, dtype: Any, device: Any) -> LoadedQwen:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype).to(device).eval()
    return LoadedQwen(model, tokenizer, Path(base).name, "")
