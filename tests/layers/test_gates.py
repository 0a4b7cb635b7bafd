"""PReLU, maxout, gated linear units, squeeze-and-excitation: formulas, gradients, parameters, and torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant
from jaxopt_notes.layers import dense, geglu, glu, maxout, prelu, squeeze_excite, swiglu
from tests.compiled import apply, grad, init

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def gradients(layer, params, x):
    """Output, and gradients of Σ sin(y) with respect to params and x."""

    @jax.jit
    def run(params, x):
        def loss(params, x):
            y, _ = apply(layer, params, (), x)
            return jnp.sum(jnp.sin(y)), y

        return grad(loss, (0, 1), has_aux=True)(params, x)

    (by_params, by_x), y = run(params, jnp.asarray(x))
    return y, by_params, by_x


@pytest.mark.notes("S1-15")
@pytest.mark.parametrize("shared", [False, True])
def test_prelu(shared, x64):
    """∂L/∂a = Σ over x < 0 of x·δ, by channel; no weight decay by `weights_only`: it is a vector."""
    x = np.random.default_rng(0).normal(size=(1, 3, 5, 2))
    slope = np.array([0.3]) if shared else np.array([0.3, -0.2])
    layer = prelu(shared)
    y, by_params, by_x = gradients(layer, {"negative_slope": jnp.asarray(slope)}, x)
    want = np.where(x >= 0, x, slope * x)
    delta = np.cos(want)
    np.testing.assert_allclose(y, want, **CLOSE)
    np.testing.assert_allclose(by_x, delta * np.where(x >= 0, 1, slope), **CLOSE)
    by_slope = (np.minimum(x, 0) * delta).sum((0, 1, 2))
    np.testing.assert_allclose(
        by_params["negative_slope"], by_slope.sum(keepdims=True) if shared else by_slope, **CLOSE
    )
    assert init(layer, None, jnp.asarray(x))[0]["negative_slope"].tolist() == [0.25] * slope.size


@pytest.mark.notes("S1-15")
def test_prelu_in_torch(x64):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 2))
    there, slope = (
        torch.tensor(x, requires_grad=True),
        torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True),
    )
    out = torch.nn.functional.prelu(there, slope)
    out.sin().sum().backward()
    y, by_params, by_x = gradients(prelu(), {"negative_slope": jnp.array([0.3, -0.2])}, x)
    np.testing.assert_allclose(y, out.detach().numpy(), **CLOSE)
    np.testing.assert_allclose(by_x, there.grad.numpy(), **CLOSE)
    np.testing.assert_allclose(by_params["negative_slope"], slope.grad.numpy(), **CLOSE)


@pytest.mark.notes("S1-17")
def test_maxout(x64):
    """The largest of its pieces, which alone has a gradient; k times the parameters."""
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(3, 1, 4)), rng.normal(size=(4, 6)), rng.normal(size=6)
    layer = maxout(2, 3)
    y, by_params, _ = gradients(layer, {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}, x)
    pieces = np.stack([x @ kernel[:, 2 * j : 2 * j + 2] + bias[2 * j : 2 * j + 2] for j in range(3)])
    np.testing.assert_allclose(y, pieces.max(0), **CLOSE)
    chosen = pieces == pieces.max(0)
    want = np.concatenate([(np.cos(pieces.max(0)) * chosen[j]).sum((0, 1)) for j in range(3)])
    np.testing.assert_allclose(by_params["bias"], want, **CLOSE)
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(init(m, jax.random.key(0), jnp.ones((1, 4)))[0]))
        for m in (layer, dense(2))
    ]
    assert sizes == [30, 10]


@pytest.mark.notes("S1-17")
def test_maxout_with_a_piece_of_zeros_is_a_rectifier():
    x, kernel = jnp.linspace(-2, 2, 6)[:, None], jnp.array([[0.0, 0.0, 1.0, -2.0]])
    y, _ = apply(maxout(2, 2, use_bias=False), {"kernel": kernel}, (), x)
    np.testing.assert_allclose(y, jax.nn.relu(x @ kernel[:, 2:]))


def test_gated_linear_units_in_torch(x64):
    """Values first, then gates: torch's own GLU, and the other two by their formulas."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(1, 3, 5)), rng.normal(size=(5, 6)), rng.normal(size=6)
    for layer, gate in (
        (glu(3), None),
        (swiglu(3, use_bias=True), functional.silu),
        (geglu(3, use_bias=True), lambda z: functional.gelu(z, approximate="tanh")),
    ):
        there = [torch.tensor(a, requires_grad=True) for a in (x, kernel, bias)]
        z = there[0] @ there[1] + there[2]
        out = functional.glu(z) if gate is None else z[..., :3] * gate(z[..., 3:])
        out.sin().sum().backward()
        y, by_params, by_x = gradients(layer, {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}, x)
        np.testing.assert_allclose(y, out.detach().numpy(), **CLOSE)
        for found, peer in zip((by_x, by_params["kernel"], by_params["bias"]), there, strict=True):
            np.testing.assert_allclose(found, peer.grad.numpy(), **CLOSE)


@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (2, 4, 7)])
def test_squeeze_excite(shape, x64):
    """x·σ(relu(s·W₁ + b₁)·W₂ + b₂) with s the mean over pixels; outputs and gradients in torch."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, layer = rng.normal(1, 2, shape), squeeze_excite(3)
    params, _ = init(layer, jax.random.key(0), jnp.asarray(x))
    assert jax.tree.map(jnp.shape, params)["reduce"] == {"kernel": (7, 2), "bias": (2,)}
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)
    theirs = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf), requires_grad=True), params)
    there = torch.tensor(x, requires_grad=True)
    squeezed = there.mean(tuple(range(1, len(shape) - 1)), keepdim=True)
    hidden = torch.relu(squeezed @ theirs["reduce"]["kernel"] + theirs["reduce"]["bias"])
    out = there * torch.sigmoid(hidden @ theirs["expand"]["kernel"] + theirs["expand"]["bias"])
    out.sin().sum().backward()
    y, by_params, by_x = gradients(layer, params, x)
    np.testing.assert_allclose(y, out.detach().numpy(), **CLOSE)
    np.testing.assert_allclose(by_x, there.grad.numpy(), **CLOSE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b.grad.numpy(), **CLOSE), by_params, theirs)


def test_a_width_at_least_one_and_errors():
    assert init(squeeze_excite(16), jax.random.key(0), jnp.ones((1, 2, 2, 3)))[0]["reduce"]["bias"].shape == (
        1,
    )
    assert init(prelu(slope_init=constant(0.1)), None, jnp.ones((1, 2)))[0]["negative_slope"].shape == (2,)
    with pytest.raises(ValueError, match=r"maxout\(pieces\) is 0"):
        maxout(2, 0)
    with pytest.raises(ValueError, match=r"prelu\(x\) has shape"):
        apply(prelu(), {"negative_slope": jnp.ones(2)}, (), jnp.ones((1, 1)))
