"""Learners of arbitrary facts: what they say is a distribution, and is what their description says."""

import numpy as np
import pytest

from hallulab.data.facts_world import TrainingCounts, WorldSettings, draw_counts, draw_world
from hallulab.models.fact_learners import EXACT_LEARNERS, GROUPED_LEARNERS, counter, memoriser, name_ngram
from hallulab.theory.arbitrary_facts import missing_mass
from hallulab.theory.is_it_valid import loss_slope, reduction


def drawn(seed: int = 0, n_samples: int = 60, **changed):
    settings = WorldSettings(**({"n_prompts": 30, "n_answers": 6, "answer_rate": 0.8} | changed))
    rng = np.random.default_rng(seed)
    world = draw_world(settings, rng=rng)
    return world, draw_counts(world, n_samples, rng=rng)


@pytest.mark.parametrize("name", EXACT_LEARNERS)
def test_every_answer_has_a_probability(name):
    world, counts = drawn()
    learned = EXACT_LEARNERS[name](world, counts)
    rows = np.array([learned.distribution(prompt) for prompt in range(world.n_prompts)])
    assert rows.shape == (30, 7)
    assert rows.sum(axis=1) == pytest.approx(np.ones(30))
    assert learned.abstention_rate == pytest.approx(world.prompt_weights @ rows[:, -1])
    # the distribution alone gives the same error rate as the columns
    wrong = 1 - rows[np.arange(30), world.right_answer] - rows[:, -1]
    assert reduction(learned.truth, learned.probability).err == pytest.approx(world.prompt_weights @ wrong)


@pytest.mark.parametrize("fewest_answers", [None, 3])
@pytest.mark.parametrize("seed", range(20))
def test_the_memoriser_is_calibrated_and_errs_on_the_missing_mass(seed, fewest_answers):
    world, counts = drawn(seed, fewest_answers=fewest_answers)
    learned = memoriser(world, counts)
    found = reduction(learned.truth, learned.probability)
    assert found.delta <= 1e-9
    assert abs(loss_slope(learned.truth, learned.probability)) <= 1e-9
    unseen = counts.n_answered == 0
    share_wrong = 1 - 1 / world.n_answers  # a guess is right once in |R_c|
    assert found.err == pytest.approx((world.fact_probability * share_wrong)[unseen].sum())
    assert found.err <= missing_mass(world.fact_probability, counts.n_answered)


def test_the_memoriser_must_be_told_alpha():
    # rare prompts are hardly ever answered: guessing on them as often as on the others is no longer calibrated
    world, counts = drawn(
        n_prompts=2_000, n_samples=2_000, n_answers=365, answer_rate=1.0, rarest_answer_rate=0.01
    )
    told, untold = memoriser(world, counts), counter(world, counts)
    told, untold = (reduction(learned.truth, learned.probability) for learned in (told, untold))
    assert told.delta <= 1e-9
    assert untold.err > 1.2 * told.err


def test_grouped_learners_mean_the_same_one_by_one():
    world, counts = drawn(3)
    for name in GROUPED_LEARNERS:
        learned = EXACT_LEARNERS[name](world, counts)
        rows = np.array([learned.distribution(prompt) for prompt in range(world.n_prompts)])
        grouped, dense = reduction(learned.truth, learned.probability), reduction(world.dense, rows)
        for field in ("err", "err_iiv", "overshoot", "size_term"):
            assert getattr(grouped, field) == pytest.approx(getattr(dense, field), abs=1e-12)


def test_ngrams_know_as_much_of_the_name_as_they_look_at():
    world, _ = drawn(n_prompts=9)  # 3 first names, 3 last names
    counts = TrainingCounts(np.full(9, 4), np.zeros(9, dtype=int))
    trigram = name_ngram(world, counts, order=3)
    assert reduction(trigram.truth, trigram.probability).err == 0
    bigram = name_ngram(world, counts, order=2)
    prompt = 0
    same_last_name = np.flatnonzero(world.name_tokens[:, 1] == world.name_tokens[prompt, 1])
    expected = np.bincount(world.right_answer[same_last_name], minlength=7) / len(same_last_name)
    assert bigram.distribution(prompt) == pytest.approx(expected)
    unigram = name_ngram(world, counts, order=1)
    assert unigram.distribution(0) == pytest.approx(np.bincount(world.right_answer, minlength=7) / 9)


def test_answers_that_are_not_plausible_are_lost_mass():
    world, counts = drawn(1, n_samples=400, fewest_answers=2, n_answers=6)
    learned = name_ngram(world, counts, order=1)
    found = reduction(learned.truth, learned.probability)
    assert 0 < found.lost_mass < 1
    assert found.err >= found.bound
