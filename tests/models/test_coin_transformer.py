import pytest
import torch

from hallulab.models.coin_transformer import CoinTransformerSettings, build_coin_transformer

LABELS = torch.tensor([[0, 1, 4], [2, 3, 5]])


def build(seed=0, **settings):
    return build_coin_transformer(3, CoinTransformerSettings(**settings), seed=seed)


def test_shape_is_the_papers():
    network = build()
    assert len(network.layers) == 8
    # per layer 4·64² + 2·64·256 weights, 4·64 + 256 + 64 biases, 2·2·64 norms; 6 embeddings; a head
    per_layer = 4 * 64**2 + 2 * 64 * 256 + 4 * 64 + 256 + 64 + 4 * 64
    assert sum(p.numel() for p in network.parameters()) == 8 * per_layer + 6 * 64 + 65


@pytest.mark.parametrize("tokens", ["coin", "vector"])
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_one_number_per_draw_or_a_logit_per_count(tokens, n_outputs):
    assert build(tokens=tokens, n_outputs=n_outputs)(LABELS).shape == (2, n_outputs)


def test_order_of_the_coins_carries_nothing_when_each_is_a_token():
    network = build()
    torch.testing.assert_close(network(LABELS), network(LABELS.flip(1)), atol=1e-5, rtol=0)
    vector = build(tokens="vector")
    assert (vector(LABELS) - vector(LABELS.flip(1))).abs().max() > 1e-3


def test_same_seed_same_weights_and_the_global_generator_does_not_move():
    before = torch.random.get_rng_state()
    one, again, other = build(3)(LABELS), build(3)(LABELS), build(4)(LABELS)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_dropout_comes_from_the_callers_generator_alone():
    network = build(dropout=0.5)

    def dropped(seed):
        return network(LABELS, dropout_generator=torch.Generator().manual_seed(seed))

    assert torch.equal(dropped(0), dropped(0))
    assert not torch.equal(dropped(0), dropped(1))
    assert torch.equal(network(LABELS), network(LABELS))


def test_the_layer_is_torchs_encoder_layer():
    network = build()
    layer = network.layers[0]
    twin = torch.nn.TransformerEncoderLayer(64, 8, 256, dropout=0.0, batch_first=True)
    with torch.no_grad():
        twin.self_attn.in_proj_weight.copy_(layer.query_key_value.weight)
        twin.self_attn.in_proj_bias.copy_(layer.query_key_value.bias)
        twin.self_attn.out_proj.load_state_dict(layer.attention_out.state_dict())
        twin.linear1.load_state_dict(layer.widen.state_dict())
        twin.linear2.load_state_dict(layer.narrow.state_dict())
        twin.norm1.load_state_dict(layer.attention_norm.state_dict())
        twin.norm2.load_state_dict(layer.feed_forward_norm.state_dict())
        x = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(layer(x, None), twin(x), atol=1e-5, rtol=0)
