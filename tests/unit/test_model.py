"""The equations, against plain dense re-implementations; ties, padding, normaliser, the raw baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biosae.errors import ConfigError, InputError
from biosae.model import SAE, RawChannels
from biosae.sparse import by_node, top_nodes

CHANNELS, NODES, K, ROWS = 12, 48, 5, 200
WEIGHTS = ("encoder", "decoder", "pre_bias", "latent_bias")


def make_model(layer_norm: bool = True, seed: int = 0, dtype: torch.dtype = torch.float32) -> SAE:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.rand(CHANNELS, generator=generator) + 0.5
    model = SAE(CHANNELS, NODES, K, layer_norm, shift=None, scale=scale, seed=seed).to(dtype)
    with torch.no_grad():
        model.pre_bias.copy_(0.1 * torch.randn(CHANNELS, generator=generator))
        model.latent_bias.copy_(0.1 * torch.randn(NODES, generator=generator))
    return model


def make_rows(seed: int = 1, rows: int = ROWS, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(rows, CHANNELS, generator=generator) + 1).to(dtype)


def published_forward(x, weights: dict, maxima, k: int, layer_norm: bool = True, relu: bool = True):
    """The published SAE from its description, dense and slow: (loss, dense latents, reconstruction).

    x / max; per-position LayerNorm (unbiased std, 1e-5 added); untied matrices; ReLU; TopK a position;
    the output is multiplied by std and shifted by the mean; MSE against x / max.
    """
    target = x / maxima
    inner, mean, std = target, 0.0, 1.0
    if layer_norm:
        mean = target.sum(1, keepdim=True) / target.shape[1]
        std = ((target - mean).pow(2).sum(1, keepdim=True) / (target.shape[1] - 1)).sqrt()
        inner = (target - mean) / (std + 1e-5)
    hidden = (inner - weights["pre_bias"]) @ weights["encoder"].T + weights["latent_bias"]
    if relu:
        hidden = hidden.clamp(min=0)
    kept = torch.topk(hidden, k, dim=1)
    sparse = torch.zeros_like(hidden).scatter(1, kept.indices, kept.values)
    output = (sparse @ weights["decoder"] + weights["pre_bias"]) * std + mean
    return ((output - target) ** 2).mean(), sparse, output


def weights_of(model: SAE) -> dict:
    return {name: getattr(model, name).detach().clone().requires_grad_() for name in WEIGHTS}


def dense(values: torch.Tensor, indices: torch.Tensor, n_nodes: int = NODES) -> torch.Tensor:
    return values.new_zeros(len(values), n_nodes).scatter_add(1, indices, values)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_loss_is_the_published_one_to_1e_5(layer_norm):
    model, x = make_model(layer_norm), make_rows()
    result = model(x)
    loss = float((result.output - result.target).detach().square().mean())
    expected = float(published_forward(x, weights_of(model), model.scale, K, layer_norm)[0].detach())
    assert expected > 0.01
    assert abs(loss - expected) < 1e-5 * min(1.0, expected)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_values_and_gradients_equal_the_dense_reference(layer_norm):
    model, x = make_model(layer_norm, dtype=torch.float64), make_rows(dtype=torch.float64)
    result = model(x)
    (result.output - result.target).square().mean().backward()
    weights = weights_of(model)
    loss, sparse, output = published_forward(x, weights, model.scale, K, layer_norm)
    loss.backward()
    torch.testing.assert_close(dense(result.values, result.indices), sparse, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(result.output, output, rtol=1e-11, atol=1e-12)
    for name in WEIGHTS:
        assert float(weights[name].grad.abs().max()) > 0
        torch.testing.assert_close(getattr(model, name).grad, weights[name].grad, rtol=1e-10, atol=1e-13)


def test_gradient_of_the_input_equals_the_dense_reference():
    model = make_model(dtype=torch.float64)
    x, same = (make_rows(dtype=torch.float64).requires_grad_() for _ in range(2))
    model(x).output.square().sum().backward()
    published_forward(same, weights_of(model), model.scale, K)[2].square().sum().backward()
    torch.testing.assert_close(x.grad, same.grad, rtol=1e-9, atol=1e-11)


def test_chunks_of_rows_change_nothing(monkeypatch):
    model, x = make_model(dtype=torch.float64), make_rows(dtype=torch.float64)
    whole = model.encode(x)
    monkeypatch.setitem(__import__("biosae.sparse").sparse._CHUNK_ROWS, "cpu", 7)
    parts = model.encode(x)
    torch.testing.assert_close(dense(*parts), dense(*whole), rtol=1e-12, atol=1e-13)


def test_training_and_encoding_use_the_same_function():
    model, x = make_model(), make_rows()
    with torch.no_grad():
        model.latent_bias.fill_(-1.5)  # few nodes positive: where the published inference differs
    result = model(x)
    values, indices = model.encode(x)
    assert torch.equal(values, result.values)
    assert torch.equal(indices, result.indices)
    weights = weights_of(model)
    without_relu = published_forward(x, weights, model.scale, K, relu=False)[1]
    assert bool((without_relu < 0).any())  # the published inference leaves negative "activations"
    with_relu = published_forward(x, weights, model.scale, K)[1]
    torch.testing.assert_close(dense(values, indices), with_relu, rtol=1e-5, atol=1e-6)


def test_raw_activations_are_normalised_inside():
    """The published trap: a SAE trained on normalised activations was fed raw ones."""
    model = SAE(CHANNELS, NODES, K, False, shift=np.full(CHANNELS, 3.0), scale=np.full(CHANNELS, 10.0))
    plain = SAE(CHANNELS, NODES, K, False)
    x = make_rows() * 10 + 3
    torch.testing.assert_close(
        dense(*model.encode(x)), dense(*plain.encode((x - 3) / 10)), rtol=1e-4, atol=1e-5
    )
    assert float((dense(*model.encode(x)) - dense(*plain.encode(x))).detach().abs().max()) > 1


def slow_top_nodes(rows: np.ndarray, k: int) -> np.ndarray:
    output = np.zeros_like(rows)
    for row, kept in zip(rows, output, strict=True):
        for node in sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]:
            kept[node] = max(row[node], 0)
    return output


@settings(max_examples=40, deadline=None)
@given(rows=arrays(np.float32, (4, 9), elements=st.integers(-2, 3).map(float)), k=st.integers(1, 9))
def test_ties_go_to_the_lower_node(rows, k):
    values, indices = top_nodes(torch.from_numpy(rows), k)
    assert values.shape == indices.shape == (4, k)
    np.testing.assert_array_equal(dense(values, indices, 9).numpy(), slow_top_nodes(rows, k))


def test_by_node_equals_the_dense_product():
    generator = torch.Generator().manual_seed(0)
    indices = torch.rand(30, 9, generator=generator).argsort(1)[:, :4]  # nodes 9 to 11 never occur
    weights = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    rows = torch.randn(30, 6, generator=generator, dtype=torch.float64)
    expected = dense(weights, indices, 12).T @ rows
    torch.testing.assert_close(by_node(indices, weights, rows, 12), expected, rtol=1e-12, atol=1e-13)


def test_encode_block_lists_activations_only():
    model, x = make_model(), make_rows()
    with torch.no_grad():
        model.latent_bias.fill_(-1.0)
    codes = model.encode_block(x.numpy())
    assert (codes.values > 0).all()
    assert (np.diff(codes.rows) >= 0).all()
    assert codes.rows.dtype == codes.nodes.dtype == np.int64
    assert codes.values.dtype == np.float32
    rebuilt = np.zeros((ROWS, NODES), np.float32)
    rebuilt[codes.rows, codes.nodes] = codes.values
    expected = dense(*model.encode(x)).detach().numpy()
    np.testing.assert_allclose(rebuilt, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(rebuilt > 0, expected > 0)
    assert 0 < len(codes.values) < ROWS * K  # some padding was left out


def test_silent_model_has_no_codes():
    model = make_model()
    with torch.no_grad():
        model.latent_bias.fill_(-1e6)
    assert len(model.encode_block(make_rows()).values) == 0
    assert make_model(layer_norm=False).encode_block(make_rows()[:0]).rows.shape == (0,)


def test_decode_gives_raw_rows():
    model, x = make_model(), make_rows()
    result = model(x)
    torch.testing.assert_close(model.decode(*model.encode(x), like=x), result.output * model.scale)
    with pytest.raises(InputError, match="LayerNorm's mean and std are not in the codes"):
        model.decode(*model.encode(x))


def test_raw_channels_have_a_node_for_each_sign():
    model = RawChannels(2, shift=[1.0, 0.0], scale=[2.0, 1.0])
    codes = model.encode_block(np.array([[3.0, -4.0], [-1.0, 0.0]], np.float32))
    assert codes.rows.tolist() == [0, 0, 1]
    assert codes.nodes.tolist() == [0, 3, 2]
    assert codes.values.tolist() == [1.0, 4.0, 1.0]
    assert (model.n_nodes, model.channels) == (4, 2)
    assert model.decoder_directions().tolist() == [[1, 0], [0, 1], [-1, 0], [0, -1]]


def test_raw_channels_reconstruct_exactly():
    model, x = RawChannels(CHANNELS, scale=[4.0] * CHANNELS), make_rows()
    assert torch.equal(model(x).output, model(x).target)
    torch.testing.assert_close(model.decode(*model.encode(x)), x)


def test_decoder_directions_are_what_a_unit_adds():
    model = make_model(layer_norm=False)
    one = model.combine(torch.ones(1, 1), torch.tensor([[7]])) - model.pre_bias
    np.testing.assert_allclose(model.decoder_directions()[7], one.detach().numpy()[0], rtol=1e-5, atol=1e-6)
    assert model.decoder_directions().shape == (NODES, CHANNELS)


def test_seed_fixes_the_weights():
    first, same, other = SAE(8, 16, 2, seed=1), SAE(8, 16, 2, seed=1), SAE(8, 16, 2, seed=2)
    assert torch.equal(first.encoder, same.encoder)
    assert not torch.equal(first.encoder, other.encoder)


def test_float16_rows_are_taken():
    model, x = make_model(), make_rows().half()
    torch.testing.assert_close(model.encode(x.numpy())[0], model.encode(x.float())[0])


def test_wrong_number_of_channels_is_refused():
    with pytest.raises(InputError, match=r"do not fit the dictionary.*\(4, 13\).*\(rows, 12\)"):
        make_model().encode(np.zeros((4, 13), np.float32))
    with pytest.raises(InputError, match="normaliser does not fit the number of channels"):
        SAE(8, 16, 2, scale=np.ones(7))
    with pytest.raises(InputError, match="scale not 0"):
        SAE(8, 16, 2, scale=np.zeros(8))
    with pytest.raises(ConfigError, match="1 <= k <= n_nodes"):
        SAE(8, 16, 17)
