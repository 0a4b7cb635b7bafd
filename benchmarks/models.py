"""The ready models against the same ones in Flax linen: one command, one page, both in the same run.

    python -m benchmarks.models [--rounds 9] [--times 3] [--only lstm transformer]

A step is the loss and its gradient by all parameters, compiled. Of both are given: the median time, all
called in each round; processor seconds of tracing, lowering and compiling, fresh each time, in turns;
floating-point operations and bytes by XLA's count, and how many operations the compiled program has, which
no busy machine disturbs. Ratios below 1 say that ours takes less. Convolutions of ours are matrix products
on CPUs for some sizes, made for loops: the second table has them inside `lax.scan` and outside, beside XLA's
own; the third a deep network as a loop over its blocks.

Each row is added to `benchmarks/results/models.json` when it is measured, and `docs/MODELS.md` is made of
that; `--only` leaves the other rows as they are.
"""

import argparse
import functools
import json
import os
import pathlib
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
from benchmarks.record_file import RecordFile

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "MODELS.md"
VERSIONS = ("jaxopt-notes", "jax", "jaxlib", "flax")
RECORD = RecordFile(RESULTS / "models.json", VERSIONS)
known, record = RECORD.known, RECORD.put


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


def filled(shapes: Any) -> Any:
    """Small random numbers for leaves of any shape, without a program that would have to be compiled."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.05 * rng.normal(size=leaf.shape), leaf.dtype), shapes)


def our_step(case: Case, x: jax.Array) -> tuple[Callable, tuple]:
    params, state = filled(jax.eval_shape(case.ours.init, jax.random.key(0), x))

    def step(params: Any, state: Any, x: jax.Array) -> tuple:
        def loss(params: Any) -> tuple:
            y, after = case.ours.apply(params, state, x, train=True)
            return jnp.mean(jnp.square(y)), after

        return jax.value_and_grad(loss, has_aux=True)(params)

    return step, (params, state, x)


def peer_step(case: Case, x: jax.Array) -> tuple[Callable, tuple]:
    variables = dict(filled(jax.eval_shape(case.peer.init, jax.random.key(0), x)))
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
    """Median processor seconds of tracing, lowering and compiling, each from nothing; and the programs."""
    seconds: dict[str, list] = {name: [] for name in steps}
    programs: dict[str, Any] = {}
    for step, arguments in steps.values():  # whatever is done once in a process
        jax.jit(step).lower(*arguments)
    for _ in range(times):
        for name, (step, arguments) in steps.items():
            jax.clear_caches()
            at = [time.process_time()]
            traced = jax.jit(step).trace(*arguments)
            at.append(time.process_time())
            lowered = traced.lower()
            at.append(time.process_time())
            programs[name] = lowered.compile()
            at.append(time.process_time())
            seconds[name].append((*np.diff(at), at[-1] - at[0]))
    names = ("trace", "lower", "compile", "all three")
    medians = {name: np.median(each, axis=0) for name, each in seconds.items()}
    return {name: dict(zip(names, map(float, of), strict=True)) for name, of in medians.items()}, programs


def runner(compiled: Any, arguments: tuple) -> Callable[[], None]:
    return lambda: jax.block_until_ready(compiled(*arguments))


def compare(case: Case, rounds: int, times: int) -> dict[str, Any]:
    x = example(case)
    steps = {"ours": our_step(case, x), "flax": peer_step(case, x)}
    sizes = {name: size(arguments[0]) for name, (_, arguments) in steps.items()}
    if len(set(sizes.values())) > 1:
        raise AssertionError(f"not the same model: {sizes} parameters")
    built, programs = building(steps, times)
    seconds = interleaved({name: runner(p, steps[name][1]) for name, p in programs.items()}, rounds)
    return {name: {"run": seconds[name], **built[name], **counted(programs[name])} for name in steps}


# A convolution inside a loop and outside, and a loop over blocks


PLACES = {"CNN outside a loop": 1, "CNN inside a loop": 20}  # and how many steps a call has
DEEP = "100 blocks"


def convolutions(place: str, rounds: int) -> dict[str, float]:
    """Seconds of a training step of a small CNN: outside a loop, or each of 20 inside `lax.scan`."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(32, 28, 28, 1)), jnp.float32)
    kernels = [jnp.ones((3, 3, 1, 32)) * 0.1, jnp.ones((3, 3, 32, 64)) * 0.01]
    count = PLACES[place]

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
        return lax.scan(lambda k, _: (step(convolution, k, x), None), kernels, None, length=count)[0]

    jitted = jax.jit(step if count == 1 else many, static_argnums=0)
    calls = {
        name: runner(jitted.lower(form, kernels, x).compile(), (kernels, x))
        for name, form in (("ours", jn.layers.convolution), ("native", native))
    }
    seconds = interleaved(calls, rounds if count == 1 else 3)
    return {name: value / count for name, value in seconds.items()}


def deep(rounds: int, depth: int = 100) -> dict[str, dict[str, float]]:
    """A residual perceptron of many blocks: as a loop over them, and block by block."""
    block = jn.residual(jn.serial(jn.layer_norm(), jn.dense(64), jax.nn.relu, jn.dense(64)))
    x = jnp.ones((64, 64))
    models = {"repeat": jn.repeat(block, depth), "unrolled": jn.serial(*[block] * depth)}
    steps = {name: our_step(Case(model, None, x.shape), x) for name, model in models.items()}
    built, programs = building(steps, 1)
    seconds = interleaved({name: runner(p, steps[name][1]) for name, p in programs.items()}, rounds)
    return {name: {"run": seconds[name], **built[name]} for name in steps}


# The page


HEADS = ("run", "trace", "lower", "compile", "all three", "flops", "bytes", "operations")


def ratios(row: dict[str, Any]) -> list[str]:
    return [f"{row['ours'][head] / row['flax'][head]:.2f}" for head in HEADS]


def page(found: dict[str, Any]) -> str:
    rows = found["rows"]
    loads = [row["load"] for row in rows.values()]
    lines = [
        "# Ready models beside Flax",
        "",
        "Made by `python -m benchmarks.models`; do not edit. Measured with "
        + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
        + f", on {found['cores']} cores",
        f"of a CPU whose load before each row was {min(loads)} to {max(loads)}. Where that is not near 0,",
        "other work ran beside it.",
        "",
        "A step is the loss and its gradient by all parameters, compiled. Ours divided by Flax linen's,",
        "medians of one interleaved run; below 1, ours takes less. Tracing, lowering and compiling are",
        "seconds of processor time from cleared caches; operations are those of the compiled program, bytes",
        "and floating-point operations as XLA counts them.",
        "",
        "| model | ours, ms | " + " | ".join(HEADS) + " |",
        "|---|---|" + "---|" * len(HEADS),
    ]
    for name in cases():
        if name in rows:
            row = rows[name]
            lines.append(f"| {name} | {row['ours']['run'] * 1e3:.2f} | {' | '.join(ratios(row))} |")
    places = [place for place in PLACES if place in rows]
    if places:
        lines += [
            "",
            "A training step of a CNN of two 3×3 convolutions (28×28×1 → 32 → 64 channels, batch 32):",
            "",
            "| | ours, ms | `lax.conv_general_dilated`, ms | ours is |",
            "|---|---|---|---|",
        ]
        for place in places:
            ours, native = (rows[place][name] * 1e3 for name in ("ours", "native"))
            lines.append(f"| {place} | {ours:.2f} | {native:.2f} | {native / ours:.2f}× as fast |")
    if DEEP in rows:
        loop, unrolled = (rows[DEEP][name] for name in ("repeat", "unrolled"))
        lines += [
            "",
            "A residual perceptron of 100 blocks, `repeat(block, 100)` beside `serial(*[block] * 100)`:",
            "",
            "| | step, ms | tracing, lowering and compiling, s |",
            "|---|---|---|",
            f"| repeat | {loop['run'] * 1e3:.2f} | {loop['all three']:.2f} |",
            f"| unrolled | {unrolled['run'] * 1e3:.2f} | {unrolled['all three']:.2f} |",
            f"| repeat is | {loop['run'] / unrolled['run']:.2f} of its time "
            f"| {unrolled['all three'] / loop['all three']:.1f}× as fast |",
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--times", type=int, default=3, help="how often each is compiled")
    parser.add_argument("--only", nargs="*", help="rows whose name contains one of these")
    options = parser.parse_args()
    rows: dict[str, Callable[[], dict]] = {
        name: functools.partial(compare, case, options.rounds, options.times)
        for name, case in cases().items()
    }
    rows |= {place: functools.partial(convolutions, place, options.rounds) for place in PLACES}
    rows[DEEP] = functools.partial(deep, options.rounds)
    for name, measure in rows.items():
        if options.only is None or any(word in name for word in options.only):
            load = os.getloadavg()[0]
            row = measure()
            record(("cores",), os.cpu_count())
            record(("rows", name), {"load": round(load, 2), **row})
            said = " ".join(f"{word:>6s}" for word in ratios(row)) if "flax" in row else json.dumps(row)
            print(f"{name:28s}{said}", flush=True)
    PAGE.write_text(page(known()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
