"""A memory with too few slots: prompts that share one are mixed up, so that it is more or less sure of its answers.

It is what an n-gram is whose context cannot tell its prompts apart. The memoriser of [KNVZ] is either certain or
without a clue; confidence targets mean little to it.
"""

import numpy as np

from hallulab.data.facts_world import FactsWorld, TrainingCounts
from hallulab.errors import RefusedInputError
from hallulab.models.fact_learners import Learned


def crowded_memory(
    facts: FactsWorld, counts: TrainingCounts, n_slots: int, *, rng: np.random.Generator
) -> Learned:
    """p̂(r|c): the share of r among all training samples whose prompt lies in the slot of c; of all, if none does.

    Args:
        facts: the world, small enough to keep every answer's probability.
        counts: its training data.
        n_slots: room of the memory; prompts are put into slots at random.
        rng: source of that order.

    Raises RefusedInputError for a world that is too large, or without a slot.
    """
    if n_slots < 1:
        raise RefusedInputError(f"expected at least one slot of memory, got {n_slots}")
    truth = facts.dense
    slot = rng.integers(0, n_slots, facts.n_prompts)
    seen = np.zeros((n_slots, facts.idk + 1))
    np.add.at(seen, (slot, facts.right_answer), counts.n_answered)
    np.add.at(seen, (slot, np.full(facts.n_prompts, facts.idk)), counts.n_idk)
    is_empty = seen.sum(axis=1) == 0
    seen[is_empty] = seen.sum(axis=0)
    shares = seen / seen.sum(axis=1, keepdims=True)
    # what is no plausible answer to this prompt is mass that the model loses
    return Learned(facts, truth, shares[slot] * (truth.n_members > 0))
