"""The positive control: no swap is found as often as chance allows, a large one always, a small one in between."""

import numpy as np
import pytest

from hallulab.experiments.words_power import N_REPLICATES, POWER, SHARES, SwapTables, score_powers


def tables(n_questions=60, n_seeds=2, *, apart=0.0, noise=0.05):
    """Answers of base and tuned with independent noise, listed wrong answers 0.5 above them."""
    rng = np.random.default_rng(3)
    base, tuned = rng.normal(0.3, noise, size=(2, n_questions, n_seeds))
    listed = np.full((n_questions, 3), np.nan)
    listed[:, :2] = 0.8
    return SwapTables(base, [tuned + apart], listed)


@pytest.fixture(scope="module")
def power():
    (found,) = score_powers({"incorrect": tables()}, seed=0)
    return found


def test_without_a_swap_a_rise_is_found_in_one_test_of_forty(power):
    assert power.shares[0] == 0
    assert power.powers[0] < 0.025 + 4 * np.sqrt(0.025 * 0.975 / N_REPLICATES)


def test_power_grows_with_the_share_until_it_is_sure(power):
    assert power.shares == SHARES[: len(power.shares)]
    assert power.powers[-1] >= 0.995
    assert power.noticed_at is not None
    below = max(s for s, p in zip(power.shares, power.powers, strict=True) if p < POWER)
    assert below <= power.noticed_at <= power.shares[-1]
    assert power.change_if_all == pytest.approx(0.5, abs=0.02)


def test_a_real_difference_between_base_and_tuned_is_not_a_find(power):
    # a coin decides which of the two is "after", so what already differs pushes neither way
    (apart,) = score_powers({"incorrect": tables(apart=0.2)}, seed=0)
    assert apart.powers[0] < 0.025 + 4 * np.sqrt(0.025 * 0.975 / N_REPLICATES)
    assert apart.noticed_at is not None
    assert apart.noticed_at > power.noticed_at  # but it is noise that hides swaps


def test_what_no_swap_changes_is_never_noticed():
    alike = tables()
    flat = SwapTables(np.full_like(alike.base, 0.8), [np.full_like(alike.base, 0.8)], alike.listed)
    (found,) = score_powers({"incorrect": flat}, seed=0)
    assert found.noticed_at is None
    assert found.shares == SHARES
    assert set(found.powers) == {0.0}


def test_the_same_seed_gives_the_same_powers(power):
    assert score_powers({"incorrect": tables()}, seed=0) == [power]
