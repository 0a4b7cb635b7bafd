"""Pooling, unpooling, upsampling and pixel shuffle against torch in float64: outputs and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    max_pool,
    max_pool_switches,
    max_unpool,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
)

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.full

CASES = {
    "max": (max_pool((3, 2), (2, 1), 1), torch.nn.MaxPool2d((3, 2), (2, 1), 1), (2, 7, 6, 3)),
    "max signal": (max_pool((3,), 2), torch.nn.MaxPool1d(3, 2), (1, 8, 2)),
    "max volume": (max_pool((2, 2, 2)), torch.nn.MaxPool3d(2), (1, 4, 5, 3, 2)),
    "average": (average_pool((3, 2), 2, ((1, 1), (0, 0))), torch.nn.AvgPool2d((3, 2), 2, (1, 0)),
                (2, 7, 6, 3)),
    "average volume": (average_pool((2, 1, 2)), torch.nn.AvgPool3d((2, 1, 2)), (1, 4, 3, 4, 2)),
    "adaptive average": (adaptive_average_pool((3, 4)), torch.nn.AdaptiveAvgPool2d((3, 4)), (2, 7, 5, 3)),
    "adaptive max": (adaptive_max_pool((3, 4)), torch.nn.AdaptiveMaxPool2d((3, 4)), (2, 7, 5, 3)),
    "bilinear": (upsample((2, 3)), torch.nn.Upsample(scale_factor=(2, 3), mode="bilinear"), (2, 3, 4, 2)),
    "corners": (
        upsample(3, align_corners=True),
        torch.nn.Upsample(scale_factor=3, mode="bilinear", align_corners=True), (1, 3, 4, 2),
    ),
    "trilinear": (upsample((2, 1, 2)), torch.nn.Upsample(scale_factor=(2, 1, 2), mode="trilinear"),
                  (1, 2, 3, 2, 2)),
    "nearest": (upsample(2, "nearest"), torch.nn.Upsample(scale_factor=2), (2, 3, 4, 2)),
    "shuffle": (pixel_shuffle(2), torch.nn.PixelShuffle(2), (2, 3, 2, 8)),
    "unshuffle": (pixel_unshuffle(2), torch.nn.PixelUnshuffle(2), (2, 4, 6, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name, x64):
    """Whole numbers, so that maxima are tied."""
    layer, peer, shape = CASES[name]
    x = np.random.default_rng(0).integers(-2, 3, size=shape).astype(float)
    there = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    out = peer(there)
    weights = np.random.default_rng(1).normal(size=tuple(out.shape))
    (out * torch.tensor(weights)).sum().backward()

    @jax.jit
    def both(x):
        y, pull = jax.vjp(lambda x: layer.apply({}, (), x)[0], x)
        return y, pull(jnp.moveaxis(jnp.asarray(weights), 1, -1))[0]

    y, gradient = both(jnp.asarray(x))
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), out.detach().numpy(), atol=1e-9)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), there.grad.numpy(), atol=1e-9)


def test_switches_and_unpooling(x64):
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    there = torch.tensor(np.moveaxis(x, -1, 1).copy())
    out, places = torch.nn.functional.max_pool2d(there, (3, 2), return_indices=True)
    back = torch.nn.functional.max_unpool2d(out, places, (3, 2), output_size=(7, 6))
    y, switches = max_pool_switches(jnp.asarray(x), (3, 2))
    np.testing.assert_array_equal(np.moveaxis(switches, -1, 1), places.numpy())
    again, _ = max_unpool((3, 2)).apply({}, (), y, switches=switches, size=(7, 6))
    np.testing.assert_array_equal(np.moveaxis(again, -1, 1), back.numpy())
