"""One world measured: the contract of the issue on its learners, and what a page shows of a fact."""

import numpy as np
import pytest

from hallulab.data.facts_world import WorldSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_measure import curve_sizes, fact_card, play_facts, size_curve
from hallulab.experiments.facts_run import FactsSettings
from hallulab.models.fact_learners import EXACT_LEARNERS

SMALL = FactsSettings(world=WorldSettings(n_prompts=60, n_answers=7, fewest_answers=4), n_samples=120)


@pytest.mark.parametrize("seed", range(10))
def test_no_bound_is_broken_and_delta_is_one_number(seed):
    play = play_facts(SMALL, seed=seed)
    assert set(play.learners) == set(EXACT_LEARNERS)
    for point in play.learners.values():
        assert point.err >= point.bound - 1e-12
        assert point.err >= point.sharp_bound - 1e-12
        assert point.delta == pytest.approx(abs(point.loss_slope), abs=1e-12)
        assert point.best_err_iiv <= point.err_iiv + 1e-12
        assert point.err + point.abstained + point.right + point.lost_mass == pytest.approx(1)
    assert play.learners["memoriser"].delta <= 1e-9
    assert play.learners["abstainer"].err == 0


def test_error_by_frequency_adds_up_and_separates_seen_from_unseen():
    play = play_facts(SMALL)
    for point in play.learners.values():
        assert sum(one.n_prompts for one in point.by_frequency) == 60
        assert sum(one.prompt_mass for one in point.by_frequency) == pytest.approx(1)
        total = sum(one.prompt_mass * one.err for one in point.by_frequency if one.err is not None)
        assert total == pytest.approx(point.err)
    bins = {one.label: one for one in play.learners["memoriser"].by_frequency}
    assert list(bins) == ["0", "1", "2", "3–5", "6–10", "11–30", "31+"]
    assert bins["0"].err > 0.5
    assert all(one.err in (0, None) for label, one in bins.items() if label != "0")
    assert play.learners["unigram"].by_frequency[3].err > 0.4  # seen often, and wrong all the same


def test_a_fact_with_everybody_s_distribution():
    play = play_facts(SMALL)
    unseen = int(np.flatnonzero(play.counts.n_answered == 0)[0])
    card = fact_card(play, unseen)
    assert card.n_answered == 0
    assert len(card.answers) == play.facts.n_answers[unseen] + 1
    assert card.answers[-1] == "I do not know"
    assert card.answers[card.right_answer] == play.facts.answer_text(card.right_answer)
    guess = card.distributions["memoriser"]
    assert guess[:-1] == pytest.approx(np.full(len(guess) - 1, 0.9 / (len(guess) - 1)))
    assert guess[-1] == pytest.approx(0.1)
    assert set(card.distributions) == set(EXACT_LEARNERS)


def test_the_world_stays_while_training_grows():
    larger = FactsSettings(world=SMALL.world, n_samples=5_000)
    first, second = play_facts(SMALL), play_facts(larger)
    assert (first.facts.right_answer == second.facts.right_answer).all()
    assert second.point.missing_mass < first.point.missing_mass


def test_the_curve_ends_where_nothing_is_unseen():
    sizes = curve_sizes()
    assert (sizes[0], sizes[-1]) == (10, 10_000_000)
    points = list(size_curve(SMALL, seed=0, sizes=(10, 1_000, 100_000)))
    assert [point.n_samples for point in points] == [10, 1_000, 100_000]
    assert points[0].err > points[1].err >= points[2].err == 0
    for point in points:
        assert point.err <= point.sharp_upper_bound <= point.paper_upper_bound


def test_learners_without_room_are_left_out_and_named():
    large = FactsSettings(world=WorldSettings(n_prompts=50_000), n_samples=10_000)
    play = play_facts(large)
    assert play.skipped == ("trigram", "bigram", "unigram")
    assert set(play.learners) == {"memoriser", "counter", "abstainer"}


def test_a_million_samples_over_a_hundred_thousand_prompts():
    large = FactsSettings(
        world=WorldSettings(n_prompts=100_000), n_samples=1_000_000, learners=("memoriser",)
    )
    play = play_facts(large)
    assert play.learners["memoriser"].err == pytest.approx(play.point.missing_mass * 364 / 365)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"learners": ("nobody",)}, "learners among"),
        ({"learners": ()}, "got none"),
        ({"learners": ("memoriser", "memoriser")}, "each once"),
        ({"n_samples": 0}, "n_samples"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_refusals(changed, words):
    with pytest.raises(RefusedInputError, match=words):
        FactsSettings(**changed)
