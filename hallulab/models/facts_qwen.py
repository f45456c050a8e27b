"""A small Qwen2 for facts of three tokens: first name, last name, answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from hallulab.data.coins import check_whole
from hallulab.data.facts_world import FactsWorld
from hallulab.errors import RefusedInputError
from hallulab.models.fact_learners import Learned

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM

PROMPTS_PER_PASS = 8_192


@dataclass(frozen=True)
class FactsQwenSettings:
    """Size and training of the network."""

    hidden_size: int = 128
    n_layers: int = 2
    n_heads: int = 4
    epochs: int = 30
    """passes over the training samples"""
    batch_size: int = 128
    learning_rate: float = 2e-3
    """of AdamW, after a short warm-up"""
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        for name in ("hidden_size", "n_layers", "n_heads", "epochs", "batch_size"):
            check_whole(name, getattr(self, name), 1, 10_000)
        if self.hidden_size % (2 * self.n_heads):
            raise RefusedInputError(
                f"expected a hidden size that {self.n_heads} heads divide into even parts, got {self.hidden_size}"
            )
        if not 0 < self.learning_rate <= 1 or not 0 <= self.weight_decay < 1:
            raise RefusedInputError(
                "expected a learning rate above 0 and at most 1 and a weight decay from 0 to 1, got "
                f"{self.learning_rate} and {self.weight_decay}"
            )


@dataclass(frozen=True)
class FactTokens:
    """The vocabulary: answers with IDK, then first names, then last names."""

    n_answers: int
    """IDK included"""
    n_first: int
    n_last: int

    @classmethod
    def of(cls, facts: FactsWorld) -> "FactTokens":
        """The vocabulary of a world."""
        return cls(facts.idk + 1, len(facts.first_names), len(facts.last_names))

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary."""
        return self.n_answers + self.n_first + self.n_last

    def prompt_ids(self, name_tokens: NDArray[np.int64]) -> torch.Tensor:
        """Token ids of names, shape (n, 2)."""
        return torch.from_numpy(name_tokens + np.array([self.n_answers, self.n_answers + self.n_first]))


def build_facts_qwen(tokens: FactTokens, settings: FactsQwenSettings) -> "Qwen2ForCausalLM":
    """A network with random weights, from torch's global seed."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=tokens.n_tokens,
        hidden_size=settings.hidden_size,
        intermediate_size=4 * settings.hidden_size,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=settings.n_heads,
        num_key_value_heads=settings.n_heads,
        max_position_embeddings=4,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return Qwen2ForCausalLM(config)


def answer_logits(model: "Qwen2ForCausalLM", prompt_ids: torch.Tensor) -> torch.Tensor:
    """Logits of what follows the names, over the whole vocabulary, shape (n, n_tokens)."""
    return model(input_ids=prompt_ids, use_cache=False).logits[:, -1]


@torch.no_grad()
def read_answers(model: "Qwen2ForCausalLM", facts: FactsWorld) -> Learned:
    """p̂(r|c) of every answer to every prompt, by one forward pass; nothing is sampled.

    The softmax is over the whole vocabulary: mass on names, or on answers outside R_c, is lost mass.
    Raises RefusedInputError for a world too large to keep every answer's probability.
    """
    tokens, truth, was_training = FactTokens.of(facts), facts.dense, model.training
    model.eval()
    ids = tokens.prompt_ids(facts.name_tokens).to(model.device)
    rows = [
        torch.softmax(answer_logits(model, part).double(), dim=1)[:, : tokens.n_answers].cpu().numpy()
        for part in ids.split(PROMPTS_PER_PASS)
    ]
    model.train(was_training)
    return Learned(facts, truth, np.concatenate(rows) * (truth.n_members > 0))
