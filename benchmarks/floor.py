"""How long the matrix products of coin training take alone: their operations over the rate this machine reaches."""

import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from hallulab.models.coin_transformer import CoinTransformerSettings
from hallulab.models.products import products_for


def expected_distinct(batch_size: int, n_draws: int) -> float:
    """How many different draws a batch holds on average when each of `n_draws` is equally likely."""
    return n_draws * (1 - (1 - 1 / n_draws) ** batch_size)


def training_operations(n_inputs: float, coins_per_draw: int, shape: CoinTransformerSettings) -> float:
    """Operations of the matrix products of training, forward and backward; two per multiply-add.

    Args:
        n_inputs: different draws in a batch, or rows where dropout makes every row different; all batches together.
        coins_per_draw: N.
        shape: of the network.
    """
    width, by_coin = shape.width, shape.tokens == "coin"
    n_tokens = coins_per_draw if by_coin else 1
    feed_forward = 2 * width * shape.feed_forward_width
    # query, key, value, output; scores and mixture of values
    attention = 4 * width**2 + 2 * n_tokens * width
    if n_tokens == 1:  # a token alone attends to itself, whatever its query and key: value, output
        attention = 2 * width**2
    network = n_inputs * (n_tokens * shape.n_layers * (attention + feed_forward) + width * shape.n_outputs)
    embedding = 0 if by_coin else n_inputs * coins_per_draw * width
    # the backward pass has two products for each forward one, by weights and by input; labels need no gradient
    return 2 * (3 * network + 2 * embedding)


def matrix_rates(n_rows: int, shape: CoinTransformerSettings, *, n_cores: int) -> dict[str, float]:
    """Operations per second of (n_rows × width) @ (width × feed-forward): the best of one thread, times cores.

    Once as torch does without being told, once as hallulab's trainer has it done, both in float32. One product for
    all rounds at its best moment: no network reaches this in every product, so what follows from it is a floor.
    """
    x = torch.rand(n_rows, shape.width)
    weight = torch.rand(shape.feed_forward_width, shape.width)
    routes = {"torch's default": nullcontext, "hallulab's way": lambda: products_for(n_rows * weight.numel())}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        quickest_s = {}
        for name, route in routes.items():
            with route():
                quickest_s[name] = _quickest_s(lambda: x @ weight.T)
    finally:
        torch.set_num_threads(n_threads)
    return {name: n_cores * 2 * x.numel() * len(weight) / taken_s for name, taken_s in quickest_s.items()}


def _quickest_s(product: Callable[[], object], *, n_blocks: int = 30, block_size: int = 20) -> float:
    """Seconds of one product, in the best of many blocks of products."""
    blocks_s = []
    for _ in range(n_blocks):
        started = time.perf_counter()
        for _ in range(block_size):
            product()
        blocks_s.append(time.perf_counter() - started)
    return min(blocks_s) / block_size
