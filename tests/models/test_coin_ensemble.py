import pytest
import torch

from hallulab.models import coin_ensemble
from hallulab.models.coin_ensemble import MAX_PAIRED_TOKENS, CoinEnsemble, DropoutMasks, flat_weights
from hallulab.models.coin_transformer import CoinTransformer, CoinTransformerSettings, build_coin_transformer

N_DRAWS = 7
SHAPES = [
    pytest.param(1, "coin", 1, id="one coin"),
    pytest.param(3, "coin", 1, id="few coins"),
    pytest.param(5, "coin", 6, id="logits"),
    pytest.param(MAX_PAIRED_TOKENS + 1, "coin", 1, id="many coins"),
    pytest.param(5, "vector", 1, id="one token"),
]


def members(coins_per_draw, tokens, n_outputs=1, dropout=0.0, n=3):
    settings = CoinTransformerSettings(n_layers=3, tokens=tokens, n_outputs=n_outputs, dropout=dropout)
    return [build_coin_transformer(coins_per_draw, settings, seed=seed) for seed in range(n)]


def ensemble_of(networks, coins_per_draw):
    return CoinEnsemble(
        coins_per_draw, networks[0].settings, torch.stack([flat_weights(each) for each in networks])
    )


def some_labels(coins_per_draw, n_members=3):
    generator = torch.Generator().manual_seed(0)
    rows = [
        torch.randperm(2 * coins_per_draw, generator=generator)[:coins_per_draw]
        for _ in range(n_members * N_DRAWS)
    ]
    return torch.stack(rows).view(n_members, N_DRAWS, coins_per_draw)


def gradient_of(network):
    parts = [w.grad if w.grad is not None else torch.zeros_like(w) for w in network.parameters()]
    return torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize("is_onednn", [False, True])  # which copies the weights
@pytest.mark.parametrize(("coins_per_draw", "tokens", "n_outputs"), SHAPES)
def test_outputs_and_gradients_are_those_of_each_network_alone(
    coins_per_draw, tokens, n_outputs, is_onednn, monkeypatch
):
    monkeypatch.setattr(coin_ensemble, "use_products_for", lambda _: is_onednn)
    networks = members(coins_per_draw, tokens, n_outputs)
    ensemble, labels = ensemble_of(networks, coins_per_draw), some_labels(coins_per_draw)
    pull = torch.randn(3, N_DRAWS, n_outputs, generator=torch.Generator().manual_seed(1))
    outputs = ensemble.forward(labels)
    ensemble.backward(pull)
    for member, network in enumerate(networks):
        alone = network(labels[member])
        (alone * pull[member]).sum().backward()
        torch.testing.assert_close(outputs[member], alone.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ensemble.gradients[member], gradient_of(network), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("coins_per_draw", "tokens"), [(3, "coin"), (MAX_PAIRED_TOKENS + 1, "coin"), (5, "vector")]
)
def test_dropout_is_what_the_network_drops_with_the_same_masks(coins_per_draw, tokens, monkeypatch):
    networks = members(coins_per_draw, tokens, dropout=0.25)
    ensemble, labels = ensemble_of(networks, coins_per_draw), some_labels(coins_per_draw)
    taken = []
    take = DropoutMasks.take

    def remember(masks, shape):
        taken.append(take(masks, shape))
        return taken[-1]

    monkeypatch.setattr(DropoutMasks, "take", remember)
    outputs = ensemble.forward(
        labels, dropout_generators=[torch.Generator().manual_seed(seed) for seed in range(3)]
    )
    ensemble.backward(torch.ones_like(outputs))
    assert torch.cat([mask.flatten() for mask in taken]).unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.cat([mask.flatten() for mask in taken]).gt(0).float().mean().item() == pytest.approx(
        0.75, abs=0.02
    )
    for member, network in enumerate(networks):
        replay = iter([of_member(mask, member, coins_per_draw, tokens) for mask in taken])
        monkeypatch.setattr(
            "hallulab.models.coin_transformer._Layer._drop",
            lambda _, x, __, r=replay: x * next(r).view(x.shape),
        )
        alone = network(labels[member])
        alone.sum().backward()
        torch.testing.assert_close(outputs[member], alone.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ensemble.gradients[member], gradient_of(network), atol=2e-5, rtol=1e-4)


def of_member(mask, member, coins_per_draw, tokens):
    """One member's part of a mask, attention masks with heads before tokens as the network has them."""
    part = mask.view(3, -1)[member]
    if mask.dim() == 3 and mask.shape[-1] == 8 and tokens == "coin":
        return part.view(N_DRAWS, coins_per_draw, coins_per_draw, 8).permute(0, 3, 1, 2)
    return part


def test_a_members_dropout_does_not_depend_on_its_company():
    networks, labels = members(5, "vector", dropout=0.1), some_labels(5)
    together = ensemble_of(networks, 5).forward(
        labels, dropout_generators=[torch.Generator().manual_seed(seed) for seed in range(3)]
    )
    alone = ensemble_of(networks[1:2], 5).forward(
        labels[1:2], dropout_generators=[torch.Generator().manual_seed(1)]
    )
    torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=1e-6)


def test_a_broken_member_leaves_the_others_alone():
    networks, labels = members(3, "coin"), some_labels(3)
    whole = ensemble_of(networks, 3)
    expected = whole.forward(labels)
    whole.weights[0] = float("nan")
    outputs = whole.forward(labels)
    whole.backward(torch.ones_like(outputs))
    assert outputs[0].isnan().all()
    torch.testing.assert_close(outputs[1:], expected[1:])
    assert whole.gradients[1:].isfinite().all()


def test_flat_weights_are_in_the_order_of_the_network():
    network = members(2, "coin", n=1)[0]
    row = flat_weights(network)
    again = CoinTransformer(2, network.settings)
    torch.nn.utils.vector_to_parameters(row, again.parameters())
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
