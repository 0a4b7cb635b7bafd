"""The same draws as JAX's own initializers for the same key, the same bounds as torch, and Flax's kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import (
    constant,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    orthogonal,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
)
from tests.properties.registry import subjects

pytestmark = pytest.mark.full

THEIRS = jax.nn.initializers


@pytest.mark.parametrize("shape", [(30, 50), (3, 3, 8, 16)])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (normal(0.3), THEIRS.normal(0.3)),
        (orthogonal(1.5), THEIRS.orthogonal(1.5)),
        (lecun_uniform(), THEIRS.lecun_uniform()),
        (xavier_uniform(), THEIRS.glorot_uniform()),
        (he_uniform(), THEIRS.he_uniform()),
        (variance_scaling(1.0, "fan_in", "truncated_normal"), THEIRS.lecun_normal()),
        *(
            (variance_scaling(1.7, mode, kind), THEIRS.variance_scaling(1.7, mode, kind))
            for mode in ("fan_in", "fan_out", "fan_avg")
            for kind in ("normal", "uniform", "truncated_normal")
        ),
    ],
    ids=lambda x: repr(x) if not callable(x) or hasattr(x, "__dataclass_fields__") else "",
)
def test_draws_are_those_of_jax(ours, theirs, shape, key):
    with jax.numpy_dtype_promotion("standard"):
        expected = theirs(key, shape, jnp.float32)
    np.testing.assert_allclose(ours(key, shape), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.notes("S2-21", "S2-23", "S2-10")
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_bounds_and_deviations_are_those_of_torch(mode, key):
    init = pytest.importorskip("torch").nn.init
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    kernel = torch.empty(200, 100, 3, 3)  # (out, in, H, W)

    def ours(record):
        return np.asarray(record(key, (3, 3, 100, 200)))

    bound = init.kaiming_uniform_(kernel, a=0.3, mode=mode).abs().max().item()
    assert np.abs(ours(he_uniform(0.3, mode))).max() == pytest.approx(bound, rel=1e-3)
    std = init.kaiming_normal_(kernel, a=0.3, mode=mode).std().item()
    assert ours(he_normal(0.3, mode)).std() == pytest.approx(std, rel=0.01)
    std = init.xavier_normal_(kernel, gain=1.5).std().item()
    assert ours(xavier_normal(1.5)).std() == pytest.approx(std, rel=0.01)
    bound = init.xavier_uniform_(kernel, gain=1.5).abs().max().item()
    assert np.abs(ours(xavier_uniform(1.5))).max() == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize("subject", subjects("initializers"), ids=str)
def test_every_initializer_is_a_kernel_init_of_flax(subject, key):
    nn, init = pytest.importorskip("flax.linen"), subject.build()
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        dense = nn.Dense(5, kernel_init=init, bias_init=constant(0.5))
        params = jax.jit(dense.init)(key, jnp.ones((2, 4)))["params"]
        conv = nn.Conv(5, (3, 3), kernel_init=init, param_dtype=jnp.bfloat16)
        kernel = conv.init(key, jnp.ones((1, 8, 8, 4)))["params"]["kernel"]
    assert params["kernel"].shape == (4, 5)
    np.testing.assert_array_equal(params["bias"], 0.5)
    assert (kernel.shape, kernel.dtype) == ((3, 3, 4, 5), jnp.bfloat16)


def test_flax_nnx_takes_them(key):
    nnx = pytest.importorskip("flax.nnx")
    with jax.numpy_dtype_promotion("standard"):
        layer = nnx.Linear(400, 300, kernel_init=lecun_normal(), rngs=nnx.Rngs(0))
    assert float(layer.kernel[...].std()) == pytest.approx(0.05, rel=0.02)
