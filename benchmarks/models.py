"""The ready models against the same ones in Flax linen: one command, one table, both in the same run.

    python -m benchmarks.models [--rounds 9] [--only lstm transformer]

A step is the loss and its gradient by all parameters, compiled. Of both are given: the median time, all
called in each round; tracing and compiling, fresh each time, in turns; floating-point operations and bytes
by XLA's count, and how many operations the compiled program has, which no busy machine disturbs. Ratios
below 1 say that ours takes less. Convolutions of ours are matrix products on CPUs, made for loops: the
second table has them inside `lax.scan` and outside, beside XLA's own; the third a deep network as a loop
over its blocks.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from benchmarks.machine import interleaved


class Case(NamedTuple):
    """A model of ours, its peer, and the shape of an input: of vocabulary so many if it is tokens."""

    ours: Any
    peer: Any
    shape: tuple[int, ...]
    vocabulary: int | None = None


def cases() -> dict[str, Case]:
    from benchmarks import models_flax as peers

    return {
        "mlp": Case(jn.mlp([256, 256, 10]), peers.Mlp([256, 256, 10]), (128, 784)),
        "mlp, batch norm": Case(
            jn.mlp([256, 256, 10], batch_norm=True), peers.Mlp([256, 256, 10], True), (128, 784)
        ),
        "autoencoder": Case(jn.autoencoder(784, [128, 32]), peers.Autoencoder(784, [128, 32]), (128, 784)),
        "lstm_classifier": Case(
            jn.lstm_classifier(2, 128, vocabulary=1000), peers.LstmClassifier(2, 128, 1000), (32, 64), 1000
        ),
        "transformer_language_model": Case(
            jn.transformer_language_model(1000, 128, 4, 4, length=64),
            peers.LanguageModel(1000, 128, 4, 4, 64), (8, 64), 1000,
        ),
        "transformer_classifier": Case(
            jn.transformer_classifier(2, 1000, 128, 4, 4, length=64),
            peers.TransformerClassifier(2, 1000, 128, 4, 4, 64), (8, 64), 1000,
        ),
        "lenet": Case(jn.lenet(), peers.LeNet(), (64, 28, 28, 1)),
        "cifar_resnet": Case(jn.cifar_resnet(depth=14), peers.CifarResNet(14), (16, 32, 32, 3)),
        "resnet": Case(jn.resnet(depth=18), peers.ResNet18(), (2, 64, 64, 3)),
        "densenet": Case(
            jn.densenet(10, (4, 4), growth_rate=8, width=16, small=True),
            peers.DenseNet((4, 4), 8, 16), (16, 32, 32, 3),
        ),
        "fcn": Case(jn.fcn(5, (16, 32, 64)), peers.Fcn(5, (16, 32, 64)), (8, 32, 32, 3)),
        "vgg": Case(jn.vgg(10, 11, hidden=(), dropout=None), peers.Vgg11(), (8, 32, 32, 3)),
    }  # fmt: skip


def example(case: Case) -> jax.Array:
    rng = np.random.default_rng(0)
    if case.vocabulary is None:
        return jnp.asarray(rng.normal(size=case.shape), jnp.float32)
    tokens = rng.integers(1, case.vocabulary, case.shape)
    tokens[::2, -tokens.shape[1] // 4 :] = 0  # padding, for those who know of it
    return jnp.asarray(tokens, jnp.int32)


def our_step(case: Case, x: jax.Array) -> tuple[Callable, tuple]:
    params, state = jax.jit(case.ours.init)(jax.random.key(0), x)

    def step(params: Any, state: Any, x: jax.Array) -> tuple:
        def loss(params: Any) -> tuple:
            y, after = case.ours.apply(params, state, x, train=True)
            return jnp.mean(jnp.square(y)), after

        return jax.value_and_grad(loss, has_aux=True)(params)

    return step, (params, state, x)


def peer_step(case: Case, x: jax.Array) -> tuple[Callable, tuple]:
    variables = dict(jax.jit(case.peer.init)(jax.random.key(0), x))
    params = variables.pop("params")

    def step(params: Any, state: Any, x: jax.Array) -> tuple:
        def loss(params: Any) -> tuple:
            y, after = case.peer.apply({"params": params, **state}, x, mutable=["batch_stats"])
            return jnp.mean(jnp.square(y)), after

        return jax.value_and_grad(loss, has_aux=True)(params)

    return step, (params, variables, x)


def size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def counted(compiled: Any) -> dict[str, float]:
    """Work that XLA counts, and operations in the compiled program."""
    cost = compiled.cost_analysis()
    operations = len(re.findall(r"^\s+(?:ROOT )?%?[\w.-]+ = ", compiled.as_text(), re.MULTILINE))
    return {"flops": cost["flops"], "bytes": cost["bytes accessed"], "operations": operations}


def building(steps: dict[str, tuple[Callable, tuple]], times: int) -> tuple[dict[str, dict], dict[str, Any]]:
    """Median seconds of tracing (with lowering) and of compiling, each from nothing; and the programs."""
    seconds: dict[str, list] = {name: [] for name in steps}
    programs: dict[str, Any] = {}
    for step, arguments in steps.values():  # whatever is done once in a process
        jax.jit(step).lower(*arguments)
    for _ in range(times):
        for name, (step, arguments) in steps.items():
            jax.clear_caches()
            began = time.perf_counter()
            lowered = jax.jit(step).lower(*arguments)
            traced = time.perf_counter()
            programs[name] = lowered.compile()
            seconds[name].append((traced - began, time.perf_counter() - traced))
    medians = {name: np.median(each, axis=0) for name, each in seconds.items()}
    return {name: {"trace": float(t), "compile": float(c)} for name, (t, c) in medians.items()}, programs


def runner(compiled: Any, arguments: tuple) -> Callable[[], None]:
    return lambda: jax.block_until_ready(compiled(*arguments))


def compare(case: Case, rounds: int, times: int = 3) -> dict[str, Any]:
    x = example(case)
    steps = {"ours": our_step(case, x), "flax": peer_step(case, x)}
    sizes = {name: size(arguments[0]) for name, (_, arguments) in steps.items()}
    if len(set(sizes.values())) > 1:
        raise AssertionError(f"not the same model: {sizes} parameters")
    built, programs = building(steps, times)
    seconds = interleaved({name: runner(p, steps[name][1]) for name, p in programs.items()}, rounds)
    return {name: {"run": seconds[name], **built[name], **counted(programs[name])} for name in steps}


# A convolution inside a loop and outside, and a loop over blocks


def convolutions(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a training step of a small CNN: outside a loop, and each of 20 inside `lax.scan`."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(32, 28, 28, 1)), jnp.float32)
    kernels = [jnp.ones((3, 3, 1, 32)) * 0.1, jnp.ones((3, 3, 32, 64)) * 0.01]

    def native(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def step(convolution: Callable, kernels: list, x: jax.Array) -> list:
        def loss(kernels: list) -> jax.Array:
            y = x
            for kernel in kernels:
                y = jax.nn.relu(convolution(y, kernel))
            return jnp.mean(jnp.square(y))

        return jax.tree.map(lambda k, g: k - 0.01 * g, kernels, jax.grad(loss)(kernels))

    def many(convolution: Callable, kernels: list, x: jax.Array) -> list:
        return lax.scan(lambda k, _: (step(convolution, k, x), None), kernels, None, length=20)[0]

    found: dict[str, dict[str, float]] = {}
    for place, function, count in (("outside a loop", step, 1), ("inside a loop", many, 20)):
        calls = {
            name: runner(jax.jit(function, static_argnums=0).lower(form, kernels, x).compile(), (kernels, x))
            for name, form in (("ours", jn.layers.convolution), ("native", native))
        }
        seconds = interleaved(calls, rounds if count == 1 else 3)
        found[place] = {name: value / count for name, value in seconds.items()}
    return found


def deep(rounds: int, depth: int = 100) -> dict[str, dict[str, float]]:
    """A residual perceptron of many blocks: as a loop over them, and block by block."""
    block = jn.residual(jn.serial(jn.layer_norm(), jn.dense(64), jax.nn.relu, jn.dense(64)))
    x = jnp.ones((64, 64))
    models = {"repeat": jn.repeat(block, depth), "unrolled": jn.serial(*[block] * depth)}
    steps = {name: our_step(Case(model, None, x.shape), x) for name, model in models.items()}
    built, programs = building(steps, 1)
    seconds = interleaved({name: runner(p, steps[name][1]) for name, p in programs.items()}, rounds)
    return {name: {"run": seconds[name], **built[name]} for name in steps}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--only", nargs="*", help="models whose name contains one of these; no further tables"
    )
    options = parser.parse_args()
    found: dict[str, Any] = {}
    print("ours divided by Flax's; below 1, ours takes less")
    heads = ("run", "trace", "compile", "flops", "bytes", "operations")
    print(f"{'':28s}{'ours ms':>9s}" + "".join(f"{head:>11s}" for head in heads))
    for name, case in cases().items():
        if options.only and not any(word in name for word in options.only):
            continue
        row = found[name] = compare(case, options.rounds)
        ratios = "".join(f"{row['ours'][head] / row['flax'][head]:11.2f}" for head in heads)
        print(f"{name:28s}{row['ours']['run'] * 1e3:9.2f}{ratios}", flush=True)
    if not options.only:
        found["convolution"] = convolutions(options.rounds)
        for place, row in found["convolution"].items():
            print(f"CNN {place}: ours {row['ours'] * 1e3:.2f} ms, native {row['native'] * 1e3:.2f} ms")
        found["deep"] = deep(options.rounds)
        for name, row in found["deep"].items():
            both = row["trace"] + row["compile"]
            print(f"100 blocks, {name}: {row['run'] * 1e3:.2f} ms, tracing and compiling {both:.2f} s")
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "models.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
