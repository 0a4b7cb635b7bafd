"""Inside `jax.set_mesh`, and with arrays cut over explicit axes, everything is what it is without.

One process with four CPU devices does it all; what it prints is what differs.
"""

import os
import subprocess
import sys

import pytest

CODE = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import jaxopt_notes as jn
from jaxopt_notes.optimizers import apply_updates
from jaxopt_notes.population import Programs
from jaxopt_notes.sharding import placed_like
from tests.properties.registry import GRADIENT_TRANSFORMS, subjects

rng = np.random.default_rng(0)
close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)

# 1. Parameters cut over two explicit axes, in every optimizer, transform, wrapper and solver there is: a
# program is made, and parameters and states keep their places, as a loop demands.
SPECS = {"kernel": P("data", "model"), "bias": P("model"), "both": P(("data", "model"), None), "whole": P(),
         "conv": P(None, None, "data", "model"), "scale": P()}
SHAPES = {"kernel": (4, 2), "bias": (2,), "both": (4, 3), "whole": (3, 2), "conv": (1, 2, 2, 4), "scale": ()}
params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
curvature = {n: np.linspace(0.5, 1.5, p.size, dtype=np.float32).reshape(p.shape) for n, p in params.items()}
mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Explicit,) * 2)
cut = jax.device_put(params, {name: NamedSharding(mesh, spec) for name, spec in SPECS.items()})

def residual_fn(tree):
    roots = {n: placed_like(jnp.sqrt(2 * jnp.asarray(curvature[n])), x) for n, x in tree.items()}
    return {n: roots[n] * (x - 0.3) for n, x in tree.items()}

def value_fn(tree):
    return sum((jnp.sum(r**2) / 2 for r in residual_fn(tree).values()), jnp.zeros(()))

def train(subject, record, params):
    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(value_fn)(params)
        given = jax.tree.map(lambda g: -0.1 * g, grads) if subject.family == "transforms" else grads
        extra = {"value": value, "grad": grads, "value_fn": value_fn, "residual_fn": residual_fn}
        updates, state = record.update(given, state, params, **extra)
        return (apply_updates(params, updates), state), None
    return jax.lax.scan(step, (params, record.init(params)), length=2)[0]

found = {s.label: s for s in subjects(*GRADIENT_TRANSFORMS) if "-" not in s.label}
with jax.set_mesh(mesh):
    for name, subject in found.items():
        ends = jax.make_jaxpr(lambda p: train(subject, subject.build(), p)[0])(cut).out_avals
        for own, end in zip(jax.tree.leaves(cut), ends, strict=True):
            if end.sharding.spec != jax.typeof(own).sharding.spec:
                print(name, end)

# 2. Where something is gathered or reduced on the way, the numbers are those of one device.
chosen = ("muon", "sm3", "rprop", "adafactor-factored", "snapshots", "hypergradient", "grouped", "bfgs-bare",
          "lbfgs-bare", "newton", "iterative_hard_thresholding")
records = {s.label: (s, s.build()) for s in subjects(*GRADIENT_TRANSFORMS) if s.label in chosen}
assert len(records) == len(chosen)
run = jax.jit(lambda params: {n: train(s, record, params)[0] for n, (s, record) in records.items()})
want = run(params)
with jax.set_mesh(mesh):
    got = jax.jit(lambda params: run.__wrapped__(params))(cut)
for name in want:
    for leaf in params:
        close(got[name][leaf], want[name][leaf])
        assert got[name][leaf].sharding.is_equivalent_to(cut[leaf].sharding, cut[leaf].ndim), (name, leaf)

# 3. Populations, a sweep and a run on data cut over rows.
def member(config, key, x):
    slope = jax.grad(lambda w: jnp.mean((x @ w - 1) ** 2))
    return config * slope(jax.random.normal(key, (3,))), jax.random.fold_in(key, 1)

def build(h):
    return jn.Trainer(jn.mlp([3]), jn.adam(h["rate"]), jn.softmax_cross_entropy, batch_size=8)

x = rng.normal(size=(20, 3)).astype(np.float32)
data, keys = (x, np.argmax(x, 1)), jax.random.split(jax.random.key(0), 12)
rates = np.linspace(0, 1, 12, dtype=np.float32)
options = {"all": {}, "one": {"devices": jax.devices()[:1], "workers": 1},
           "workers": {"devices": jax.devices()[:1], "workers": 2}, "two": {"devices": jax.devices()[1:3]}}

def population(x, keys, rates, **given):
    given |= {"shared": (x,), "batch_size": 2, "programs": Programs()}  # compiled anew
    slopes, keys = jn.population_map(member, rates, keys, **given)
    return slopes, np.asarray(jax.random.key_data(keys))

def sweep(data, strategy=jn.random_search(4), epochs=1):
    given = {"seeds": 1, "epochs": epochs, "key": jax.random.key(2), "progress": False,
             "programs": Programs()}
    space = {"rate": jn.log_uniform(1e-3, 1.0)}
    return jn.sweep(build, space, (data, data), strategy, **given).scores

def fit(data):
    got = jn.fit(build({"rate": 0.1}), jax.random.key(0), data, data, epochs=2, progress=False)
    return got.history["valid_loss"]

wanted = population(x, keys, rates, **options["one"]), sweep(data), fit(data)
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    rows = NamedSharding(mesh, P("data"))
    with jax.set_mesh(mesh):
        cut = jax.device_put((data, keys, rates), rows)
        for given in options.values():
            jax.tree.map(close, population(x, keys, rates, **given), wanted[0])
        if kind == AxisType.Explicit:  # with the others JAX chooses the places
            jax.tree.map(close, population(cut[0][0], *cut[1:]), wanted[0])
            close(sweep(cut[0]), wanted[1])
            sweep(cut[0], jn.search.successive_halving(3), epochs=3)  # its runs go on
            close(fit(cut[0]), wanted[2])
            close(fit((cut[0][0], data[1])), wanted[2])  # inputs alone
print("done", len(found))
"""


@pytest.mark.full
def test_meshes_change_nothing():
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.split()[0] == "done", run.stdout
    assert int(run.stdout.split()[1]) > 85
