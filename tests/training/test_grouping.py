"""`fit` holds small leaves joined: the same run, seen in trees. Here few on a CPU, by force."""

import importlib.util
import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.optimizers.wrappers.flatten_tree import Joined
from jaxopt_notes.training import fit, grouping
from jaxopt_notes.training.grouping import Groups

X = np.linspace(-1, 1, 48, dtype=np.float32).reshape(12, 4)
DATA = (X, np.sin(3 * X[:, :1]) + X[:, 1:2])
KEY = jax.random.key(0)


class Rows:
    """Sixteen leaves of four numbers and a larger one."""

    def init(self, key, x):
        names = [f"{i}/kernel" if i % 3 else f"{i}/bias" for i in range(16)]
        small = {name: 0.1 * jnp.cos(jnp.arange(4.0) * i)[:, None] for i, name in enumerate(names)}
        return {**small, "large": jnp.full((4, 80), 0.1)}

    def apply(self, params, x):
        rows = jnp.concatenate([jnp.sin(params[name]) for name in params if name != "large"], axis=1)
        return (x @ rows).sum(axis=1, keepdims=True) + (x @ params["large"]).sum(axis=1, keepdims=True)


def trainer(optimizer=None, **settings):
    if optimizer is None:
        optimizer = jn.chain(jn.clip_by_global_norm(0.5), jn.adamw(0.05, weight_decay=0.3))
    settings = {"metric": None, "batch_size": 4, "early_stopping": jn.patience(2)} | settings
    model = settings.pop("model", Rows())
    return jn.Trainer(model, optimizer, jn.mean_squared_error, **settings)


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    monkeypatch.setattr(grouping, "FEWEST", {})


def is_joined(state):
    return any(isinstance(x, Joined) for x in jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, Joined)))


def assert_same_run(one, other):
    assert jax.tree.structure(one.state) == jax.tree.structure(other.state)
    bits = lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(bits(a), bits(b), rtol=1e-5, atol=2e-6),
        (one.state, one.history), (other.state, other.history),
    )  # fmt: skip


def grown(model, epochs=3, data=DATA, **arguments):
    return fit(model, KEY, data, DATA, epochs, progress=False, **arguments)


@pytest.mark.filterwarnings("ignore:fit. the loss is not finite")
def test_a_run_in_groups_is_the_run(as_on_an_accelerator, monkeypatch):
    """Clipping, decay of weights, a step left out, a callback between, early stopping, a run gone on with."""
    bad = (np.where(np.arange(12)[:, None] == 7, np.nan, X).astype(np.float32), DATA[1])
    seen, made = [], []
    of = Groups.of.__func__
    monkeypatch.setattr(Groups, "of", classmethod(lambda cls, *args: made.append(of(cls, *args)) or made[-1]))
    look = lambda state, history: seen.append(is_joined(state))  # noqa: E731
    first = grown(trainer(), data=bad, callback=look)
    joined = grown(trainer(), 1, data=bad, state=first.state)
    assert [groups.joined for groups in made] == [True, True]
    held = made[0].held(first.state).learner.opt_state.inner[1].mu
    assert {name: buffer.shape for name, buffer in held.buffers.items()} == {"float32": (64,)}
    assert [x.shape for x in held.others] == [(4, 80)]
    assert seen == [False] * 3
    assert not is_joined(joined.state)
    monkeypatch.setattr(grouping, "FEWEST", {"cpu": 500})
    plain = grown(trainer(), 1, data=bad, state=grown(trainer(), data=bad).state)
    assert not made[-1].joined
    assert_same_run(joined, plain)
    assert int(plain.state.metrics["skipped"]) == 1


@pytest.mark.usefixtures("as_on_an_accelerator")
def test_what_must_not_share_does_not():
    whole = [jn.lamb(), jn.adam(state_dtype="packed"), jn.chain(jn.clip_by_norm(1.0), jn.sgd(0.1))]
    own = [jn.grouped(jn.adam()), jn.chain(jn.clip_by_value(1.0), jn.grouped(jn.adam()))]
    for rule in (*whole, *own):
        model = trainer(rule)
        state = model.init(KEY, DATA)
        groups = Groups.of(model, state)
        assert groups == (model, False)
        assert groups.held(state) is state
        assert groups.shown(state) is state
    few = trainer(jn.adam(), trainable=lambda params: {name: name < "3" for name in params})
    assert not Groups.of(few, few.init(KEY, DATA)).joined


def test_a_cpu_groups_only_where_leaves_are_many(key):
    """500 leaves share loops on it; one fewer does not."""
    for leaves in (499, 500):
        params = {f"{i}": np.zeros(2, np.float32) for i in range(leaves)}
        model = types.SimpleNamespace(init=lambda key, x, params=params: params, apply=lambda params, x: x)
        run = trainer(jn.adam(), model=model, early_stopping=None)
        state = run.init(key, DATA)
        assert Groups.of(run, state).joined == (leaves == 500)


@pytest.mark.full
@pytest.mark.parametrize("settings", [
    {"optimizer": jn.nesterov(0.003)},
    {"optimizer": jn.skip_nonfinite(jn.adam(0.05))},
    {"optimizer": jn.adam(0.05), "skip_nonfinite": False, "history_every": 2},
    {"trainable": lambda params: {name: name != "0/bias" and name != "large" for name in params}},
    {"collect": lambda step: {"norm": jn.global_norm(step.grads), "one": jnp.sum(step.updates["1/kernel"])}},
], ids=["nesterov", "own guard", "no guard", "frozen leaves", "collected"])  # fmt: skip
def test_runs_of_every_kind(as_on_an_accelerator, monkeypatch, tmp_path, settings):
    monkeypatch.setattr(grouping, "FEWEST", {"cpu": 15})
    model = trainer(**settings)
    assert Groups.of(model, model.init(KEY, DATA)).joined
    joined = grown(model)
    kept = grown(model, 2, folder=tmp_path / "run")
    again = grown(model, 3, folder=tmp_path / "run")
    batches = [(DATA[0][i : i + 4], DATA[1][i : i + 4]) for i in (0, 4, 8)]
    streamed = None if "history_every" in settings else grown(model, data=batches)
    monkeypatch.setattr(grouping, "FEWEST", {"cpu": 500})
    plain = grown(model)
    assert_same_run(joined, plain)
    assert_same_run(again, plain)
    assert not is_joined(kept.state)
    if streamed is not None:
        assert_same_run(streamed, grown(model, data=batches))


@pytest.mark.full
@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_kernels_of_a_step(platform):
    """Of a network of 42 leaves, compiled ahead of time: not one for each leaf's update."""
    package = {"gpu": "jax_cuda12_plugin", "tpu": "libtpu"}[platform]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    if platform == "gpu":
        environment["XLA_FLAGS"] = "--xla_gpu_autotune_level=0"
    code = f"""
from benchmarks.accelerators import steps
[found] = steps({platform!r}, depths=(20,)).values()
assert found["grouped"]["kernels"] < 0.8 * found["ours"]["kernels"], found
assert found["grouped"]["leaf_copies"] == 0, found
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
