"""Normalization layers against torch in float64: outputs, gradients and running statistics, in both modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import (
    batch_norm,
    dense,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
    spectral_norm,
    weight_norm,
)

pytestmark = pytest.mark.full

NAMES = {"weight": "scale", "bias": "bias"}


def channels_first(x):
    """The layout of torch."""
    return np.moveaxis(np.asarray(x), -1, 1) if np.ndim(x) > 2 else np.asarray(x)


def agree(torch, layer, peer, x, layout=channels_first, train=True, state=None):
    """The state that both have afterwards, if outputs and all gradients of Σ sin(y) agree to 1e-9.

    Every parameter is drawn anew, and the peer gets it by its own name.
    """
    rng = np.random.default_rng(1)
    params, fresh = layer.init(jax.random.key(0), jnp.asarray(x))
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(1, 0.5, leaf.shape)), params)
    peer.train(train)
    theirs = dict(peer.named_parameters())
    assert {NAMES[name] for name in theirs} == set(params)
    with torch.no_grad():
        for name, leaf in theirs.items():
            leaf.copy_(torch.tensor(np.asarray(params[NAMES[name]])))
            leaf.grad = None
    there = torch.tensor(layout(x).copy(), requires_grad=True)
    out = peer(there)
    out.sin().sum().backward()

    @jax.jit
    def gradients(x, params, state):
        def loss(x, params):
            y, after = layer.apply(params, state, x, train=train)
            return jnp.sum(jnp.sin(y)), (y, after)

        return jax.grad(loss, (0, 1), has_aux=True)(x, params)

    (dx, dparams), (y, after) = gradients(jnp.asarray(x), params, fresh if state is None else state)
    close = {"rtol": 1e-9, "atol": 1e-10}
    np.testing.assert_allclose(layout(y), out.detach().numpy(), **close)
    np.testing.assert_allclose(layout(dx), there.grad.numpy(), **close)
    for name, leaf in theirs.items():
        np.testing.assert_allclose(dparams[NAMES[name]], leaf.grad.numpy(), err_msg=name, **close)
    return after


def draws(*shape):
    return np.random.default_rng(0).normal(1, 2, shape)


@pytest.mark.notes("S1-38", "S4-61")
@pytest.mark.parametrize("shape", [(7, 3), (1, 5, 3), (5, 3, 1, 3)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(torch, shape, affine):
    """Two batches in training, one in evaluation; odd sizes, a batch of one sequence, one row of pixels."""
    kinds = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}
    peer = kinds[len(shape)](3, eps=1e-3, momentum=0.2, affine=affine, dtype=torch.float64)
    layer = batch_norm(0.8, 1e-3, use_scale=affine, use_bias=affine)
    state = None
    for i, train in enumerate((True, True, False)):
        state = agree(torch, layer, peer, draws(*shape) * (i + 1), train=train, state=state)
        np.testing.assert_allclose(state["mean"], peer.running_mean.numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(state["var"], peer.running_var.numpy(), rtol=1e-12)


@pytest.mark.notes("S4-62")
@pytest.mark.parametrize(("shape", "axes"), [((1, 5), 1), ((3, 7, 4), 1), ((2, 3, 5, 4), 3)])
def test_layer_norm_and_rms_norm(torch, shape, axes):
    axis, same = tuple(range(-axes, 0)), np.asarray
    peer = torch.nn.LayerNorm(shape[-axes:], eps=1e-4, dtype=torch.float64)
    agree(torch, layer_norm(1e-4, axis=axis), peer, draws(*shape), same)
    peer = torch.nn.RMSNorm(shape[-axes:], eps=1e-4, dtype=torch.float64)
    agree(torch, rms_norm(1e-4, axis=axis), peer, draws(*shape), same, train=False)


@pytest.mark.parametrize("shape", [(1, 6), (3, 5, 6), (2, 3, 5, 6)])
def test_group_norm(torch, shape):
    for groups in (1, 2, 3):
        peer = torch.nn.GroupNorm(groups, 6, eps=1e-4, dtype=torch.float64)
        agree(torch, group_norm(groups, 1e-4), peer, draws(*shape))


@pytest.mark.parametrize("shape", [(1, 5, 3), (2, 3, 5, 3)])
def test_instance_norm(torch, shape):
    kind = torch.nn.InstanceNorm1d if len(shape) == 3 else torch.nn.InstanceNorm2d
    agree(torch, instance_norm(1e-4), kind(3, eps=1e-4, affine=True, dtype=torch.float64), draws(*shape))
    plain = instance_norm(1e-4, use_scale=False, use_bias=False)
    agree(torch, plain, kind(3, eps=1e-4, dtype=torch.float64), draws(*shape), train=False)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_local_response_norm(torch, size):
    """torch divides α by the size of the neighbourhood."""
    for shape in ((1, 3, 3, 7), (2, 5, 2, 2)):
        peer = torch.nn.LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5)
        agree(torch, local_response_norm(size, 0.3 / size, 0.6, 1.5), peer, draws(*shape))


def _with_kernel(torch, peer, kernel, bias):
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(kernel.T.copy()))
        peer.bias.copy_(torch.tensor(bias))
    return peer


@pytest.mark.notes("S4-63")
def test_weight_norm(torch):
    """Outputs and the gradients of g and v, for an odd number of units and one example."""
    rng = np.random.default_rng(0)
    kernel, bias, x = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=(1, 5))
    linear = _with_kernel(torch, torch.nn.Linear(5, 3, dtype=torch.float64), kernel, bias)
    peer = torch.nn.utils.parametrizations.weight_norm(linear)
    layer = weight_norm(dense(3))
    params = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias), "scale": jnp.linspace(0.5, 2, 3)}
    g, v = peer.parametrizations.weight.original0, peer.parametrizations.weight.original1
    with torch.no_grad():
        g.copy_(torch.linspace(0.5, 2, 3, dtype=torch.float64)[:, None])
    out = peer(torch.tensor(x))
    out.sin().sum().backward()
    loss = lambda p: jnp.sum(jnp.sin(layer.apply(p, (), jnp.asarray(x))[0]))  # noqa: E731
    gradient = jax.grad(loss)(params)
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(layer.apply(params, (), jnp.asarray(x))[0], out.detach().numpy(), **close)
    np.testing.assert_allclose(gradient["scale"], g.grad.numpy()[:, 0], **close)
    np.testing.assert_allclose(gradient["kernel"], v.grad.numpy().T, **close)


def test_spectral_norm(torch):
    """From torch's vectors: two passes in training, which move them, and one in evaluation."""
    rng = np.random.default_rng(0)
    kernel, bias, x = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=(2, 5))
    linear = _with_kernel(torch, torch.nn.Linear(5, 3, dtype=torch.float64), kernel, bias)
    peer = torch.nn.utils.parametrizations.spectral_norm(linear, n_power_iterations=2)
    vectors = peer.parametrizations.weight[0]
    layer, params = spectral_norm(dense(3), 2), {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    state = {"u": jnp.asarray(vectors._u.numpy().copy()), "v": jnp.asarray(vectors._v.numpy().copy())}
    original = peer.parametrizations.weight.original
    for train in (True, True, False):
        peer.train(train)
        original.grad = None
        out = peer(torch.tensor(x))
        out.sin().sum().backward()

        def loss(params, state=state, train=train):
            y, after = layer.apply(params, state, jnp.asarray(x), train=train)
            return jnp.sum(jnp.sin(y)), (y, after)

        gradient, (y, state) = jax.grad(loss, has_aux=True)(params)
        np.testing.assert_allclose(y, out.detach().numpy(), rtol=1e-9)
        np.testing.assert_allclose(gradient["kernel"], original.grad.numpy().T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(state["u"], vectors._u.numpy(), rtol=1e-9)
