import numpy as np
import pytest

from hallulab.data.facts_world import WorldSettings, draw_counts, draw_world
from hallulab.errors import RefusedInputError
from hallulab.models.crowded_memory import crowded_memory


def world(**changes):
    settings = WorldSettings(**{"n_prompts": 30, "n_answers": 6, "answer_rate": 0.8} | changes)
    facts = draw_world(settings, rng=np.random.default_rng(0))
    return facts, draw_counts(facts, 300, rng=np.random.default_rng(1))


def test_it_is_the_share_among_the_samples_of_its_slot():
    facts, counts = world()
    learned = crowded_memory(facts, counts, 8, rng=np.random.default_rng(2))
    slot = np.random.default_rng(2).integers(0, 8, 30)
    for prompt in range(30):
        together = np.flatnonzero(slot == slot[prompt])
        total = counts.n_seen[together].sum()
        for answer in range(6):
            n = sum(counts.n_answered[c] for c in together if facts.right_answer[c] == answer)
            assert learned.probability[prompt, answer] == pytest.approx(n / total)
        assert learned.abstention[prompt] == pytest.approx(counts.n_idk[together].sum() / total)


def test_one_slot_knows_nobody_and_an_empty_one_says_what_is_common():
    facts, counts = world()
    assert (
        np.ptp(crowded_memory(facts, counts, 1, rng=np.random.default_rng(0)).probability, axis=0).max() == 0
    )
    nothing_seen = crowded_memory(facts, counts, 10_000, rng=np.random.default_rng(0)).probability
    assert nothing_seen.sum(axis=1) == pytest.approx(1)
    with pytest.raises(RefusedInputError, match="at least one slot"):
        crowded_memory(facts, counts, 0, rng=np.random.default_rng(0))


def test_answers_that_are_not_plausible_are_lost_mass():
    facts, counts = world(fewest_answers=2)
    learned = crowded_memory(facts, counts, 2, rng=np.random.default_rng(0))
    assert (learned.probability[learned.truth.n_members == 0] == 0).all()
    assert learned.probability.sum(axis=1).min() < 1
