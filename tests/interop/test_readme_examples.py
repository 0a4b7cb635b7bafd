"""The examples of the README with Flax and with Equinox: they run, and what stands there is what runs."""

import inspect
import pathlib
import re
import textwrap

import pytest

pytestmark = pytest.mark.usefixtures("relaxed")
README = pathlib.Path(__file__).parents[2] / "README.md"


def flax_example():
    import jax
    from flax import nnx

    import jaxopt_notes as jn

    x, y = jn.digits()
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(64, 64, rngs=rngs), jax.nn.relu, nnx.Linear(64, 10, rngs=rngs))
    optimizer = nnx.Optimizer(model, jn.chain(jn.clip_by_global_norm(1.0), jn.adamw(3e-3)), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        def loss(model):
            return jn.softmax_cross_entropy(model(x / 16), y).mean()

        optimizer.update(model, nnx.grad(loss)(model))

    for _ in range(100):
        step(model, optimizer)
    print(jn.accuracy(model(x / 16), y).mean())


def equinox_example():
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import jaxopt_notes as jn

    x, y = jn.digits()
    model = eqx.nn.MLP(64, 10, width_size=64, depth=1, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(params):
        return jn.softmax_cross_entropy(jax.vmap(eqx.combine(params, static))(x / 16), y).mean()

    def train(optimizer):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (eqx.apply_updates(params, updates), state), None

        return loss(jax.lax.scan(step, (params, optimizer.init(params)), length=30)[0][0])

    print(jax.jit(jax.vmap(train))(jax.vmap(jn.adam)(jnp.array([1e-4, 1e-3, 1e-2]))))  # three rates at once


# fmt: off
def models_example():
    import equinox as eqx
    import jax
    from flax import linen, nnx

    import jaxopt_notes as jn

    train, validation, _ = jn.split(jax.random.key(0), jn.digits())

    class Net(linen.Module):                        # Flax linen: told `train` or `deterministic`
        @linen.compact
        def __call__(self, x, train):
            x = linen.Dropout(0.2, deterministic=not train)(linen.relu(linen.Dense(64)(x)))
            return linen.Dense(10)(x)

    def of_nnx(rngs):                               # Flax NNX: a function, so that every seed draws its own
        return nnx.Sequential(nnx.Linear(64, 64, rngs=rngs), nnx.relu, nnx.Linear(64, 10, rngs=rngs))

    def of_equinox(key):                            # Equinox: of one example, mapped over those of a batch
        return eqx.nn.MLP(64, 10, width_size=64, depth=1, key=key)

    for model in (Net(), of_nnx, of_equinox):
        result = jn.sweep(
            lambda h, model=model: jn.Trainer(model, jn.adam(h["rate"]), jn.softmax_cross_entropy),
            {"rate": jn.log_uniform(1e-4, 1e-1)}, (train, validation), jn.random_search(4), epochs=3,
            key=jax.random.key(0), progress=False)
        print(result.best["valid_loss"])
# fmt: on


EXAMPLES = {"flax": flax_example, "equinox": equinox_example, "models": models_example}


def text(example):
    """The body of the function as it stands in the README."""
    return textwrap.dedent(inspect.getsource(example).split("\n", 1)[1]).strip()


@pytest.mark.full
def test_flax(capsys):
    pytest.importorskip("flax")
    flax_example()
    assert float(capsys.readouterr().out) > 0.95


def test_equinox(capsys):
    """The losses fall with the rate, from log 10 at the start; too small a rate hardly moves."""
    pytest.importorskip("equinox")
    equinox_example()
    low, middle, high = map(float, capsys.readouterr().out.strip(" []\n").split())
    assert high < 0.5 < middle < low < 2.5


@pytest.mark.full
def test_models(capsys):
    pytest.importorskip("flax")
    pytest.importorskip("equinox")
    models_example()
    losses = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 3
    assert max(losses) < 0.5


def test_the_readme_shows_what_is_tested():
    blocks = re.findall(r"```python\n(.*?)\n```", README.read_text(encoding="utf-8"), re.DOTALL)
    of_peers = [
        block for block in blocks if re.search(r"^(import|from) (flax|equinox)\b", block, re.MULTILINE)
    ]
    assert sorted(of_peers) == sorted(map(text, EXAMPLES.values()))
    for example in EXAMPLES.values():
        assert len([line for line in text(example).splitlines() if line]) <= 22
