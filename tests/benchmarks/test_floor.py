from itertools import product

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.floor import expected_distinct, matrix_rates, training_operations
from hallulab.models.coin_transformer import CoinTransformer, CoinTransformerSettings

N_INPUTS = 7


def counted(coins_per_draw, shape):
    """What torch counts while a network is differentiated."""
    labels = torch.arange(coins_per_draw).repeat(N_INPUTS, 1)
    with FlopCounterMode(display=False) as counter:
        CoinTransformer(coins_per_draw, shape)(labels).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("n_outputs", [1, 4])
def test_operations_are_those_that_torch_counts(n_outputs):
    shape = CoinTransformerSettings(n_layers=2, n_outputs=n_outputs)
    assert training_operations(N_INPUTS, 3, shape) == counted(3, shape)


def test_a_token_alone_needs_neither_query_nor_key():
    shape = CoinTransformerSettings(n_layers=2, tokens="vector")
    # per input and layer 2·64² multiply-adds with weights, 64 for the score, 64 for the mixture; forward, twice back
    spared = 2 * 3 * N_INPUTS * 2 * (2 * 64**2 + 2 * 64)
    assert training_operations(N_INPUTS, 3, shape) == counted(3, shape) - spared


def test_expected_distinct_is_the_mean_over_all_batches():
    batches = list(product(range(3), repeat=4))
    mean = sum(len(set(batch)) for batch in batches) / len(batches)
    assert expected_distinct(4, 3) == pytest.approx(mean)


def test_rates_are_of_this_machine_and_leave_its_threads_alone():
    before = torch.get_num_threads()
    one, two = (matrix_rates(64, CoinTransformerSettings(), n_cores=n) for n in (1, 2))
    assert torch.get_num_threads() == before
    # from a hundredth of what a slow core does to more than any core does
    assert all(1e7 < rate < 1e13 for rate in (*one.values(), *two.values()))
    assert "torch's default" in one
