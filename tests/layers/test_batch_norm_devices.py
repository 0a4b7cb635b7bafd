"""Batch normalization synchronized over devices: outputs, gradients, statistics of the whole batch."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

SCRIPT = """
    import sys
    import jax
    jax.config.update("jax_num_cpu_devices", 4)
    import jax.numpy as jnp, numpy as np
    from jax.sharding import PartitionSpec as P
    import jaxopt_notes as jn

    x, weights = (jnp.asarray(a, jnp.float32) for a in np.random.default_rng(0).normal(2, 3, (2, 16, 4, 3)))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    found = {}
    for make in (jn.batch_norm, jn.batch_renorm):
        own, shared = make(), make(axis_name="data")
        params, state = own.init(jax.random.key(0), x)
        params = {"scale": jnp.array([2.0, 1.0, 0.5]), "bias": jnp.ones(3)}

        def part(layer, params, state, x, weights):
            y, after = layer.apply(params, state, x, train=True)
            return jnp.sum(weights * y), (y, after)

        def synchronized(params, state, x, weights):
            def loss(params, x):
                value, rest = part(shared, params, state, x, weights)
                return jax.lax.psum(value, "data"), rest
            (_, rest), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)
            return *rest, grads

        cut = jax.shard_map(
            synchronized, mesh=mesh, in_specs=(P(), P(), P("data"), P("data")),
            out_specs=(P("data"), P(), (P(), P("data"))),
        )
        def whole(params, state, x, weights):
            (_, rest), grads = jax.value_and_grad(
                lambda params, x: part(own, params, state, x, weights), (0, 1), has_aux=True
            )(params, x)
            return *rest, grads
        for name, function in (("cut", cut), ("whole", whole)):
            leaves = jax.tree.leaves(jax.jit(function)(params, state, x, weights))
            found |= {f"{make.__name__} {name} {i}": leaf for i, leaf in enumerate(leaves)}
    np.savez(sys.argv[1], devices=len(jax.devices()), **found)
"""


@pytest.mark.full
def test_statistics_over_four_devices_are_those_of_the_whole_batch(tmp_path):
    """By `shard_map`, each device with a quarter of the batch, in a process of its own."""
    path = tmp_path / "found.npz"
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    with np.load(path) as arrays:
        found = dict(arrays)
    assert found["devices"] == 4
    names = [name for name in found if " whole " in name]
    assert len(names) == 2 * 6 + 1  # output, gradients by scale, bias and x, statistics; a count
    for name in names:
        cut = found[name.replace("whole", "cut")]
        np.testing.assert_allclose(cut, found[name], rtol=1e-4, atol=1e-5, err_msg=name)
