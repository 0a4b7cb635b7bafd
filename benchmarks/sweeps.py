"""What the engine saves in sweeps: members that have stopped, and memory however many members there are.

    python -m benchmarks.sweeps [--rounds 3]

The first table is one sweep of networks on digits that stop early, or diverge, trained in one piece and in
segments of epochs: the same results, which is asserted. The second is populations of 1,000 to 100,000 small
networks: what devices and the host hold, the largest size of the process, and the rate.
"""

import argparse
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from benchmarks.machine import interleaved

SPACE = {"rate": jn.log_uniform(1e-4, 100.0), "momentum": jn.uniform(0.5, 0.99)}
EPOCHS, MEMBERS = 60, 192


def build(h: dict) -> jn.Trainer:
    """A small network that stops after three epochs without a better validation loss."""
    return jn.Trainer(
        jn.mlp([32, 10]), jn.momentum(h["rate"], h["momentum"]), jn.softmax_cross_entropy,
        early_stopping=jn.patience(3),
    )  # fmt: skip


def stopped_members(rounds: int) -> dict[str, Any]:
    """Seconds of one sweep in one piece and in segments, and the member-epochs that each trains."""
    train, valid, _ = jn.split(jax.random.key(0), jn.digits())
    data = tuple((jnp.asarray(x / 16), jnp.asarray(y)) for x, y in (train, valid))
    latest: dict[int | None, jn.Results] = {}
    programs = jn.search.Programs(64)  # nothing is compiled in the sweeps that are timed

    def run(segment: int | None) -> Callable[[], None]:
        def call() -> None:
            latest[segment] = jn.sweep(
                build, SPACE, data, jn.random_search(MEMBERS), epochs=EPOCHS, key=jax.random.key(1),
                segment=segment, progress=False, programs=programs,
            )  # fmt: skip

        call()
        return call

    seconds = interleaved({str(segment): run(segment) for segment in (None, 10, 5)}, rounds)
    print(f"\n{MEMBERS} members, at most {EPOCHS} epochs")
    print(f"{'segment':>10s}{'epochs':>10s}{'seconds':>10s}{'faster':>9s}")
    found = {}
    for segment, results in latest.items():
        np.testing.assert_allclose(results.scores, latest[None].scores, rtol=1e-4)
        trained = sum(report.trained for report in results.reports) * (segment or EPOCHS)
        faster = seconds["None"] / seconds[str(segment)]
        print(f"{segment or 'none':>10}{trained:10d}{seconds[str(segment)]:10.2f}{faster:8.2f}×", flush=True)
        found[str(segment)] = {"member_epochs": trained, "seconds": seconds[str(segment)], "faster": faster}
    return found


def memory() -> dict[str, Any]:
    """What populations of several sizes hold: the chunk's share on devices, their results on the host."""
    x = jnp.linspace(-1, 1, 32)[:, None]

    def train(rate: Any, key: jax.Array) -> jax.Array:
        trainer = jn.Trainer(jn.mlp([16, 1]), jn.adam(rate), jn.half_mean_squared_error, metric=None)
        return trainer.advance(trainer.init(key, (x, x**2)), (x, x**2), epochs=5)[1]["loss"]

    print(f"\n{'members':>10s}{'on device':>12s}{'results':>12s}{'process':>12s}{'members/s':>12s}   (MB)")
    found = {}
    for members in (1_000, 10_000, 100_000):
        rates, keys = np.geomspace(1e-4, 1e-1, members), jax.random.split(jax.random.key(0), members)
        _, report = jn.population_map(train, rates, keys, return_report=True)
        row = {
            "device_bytes": report.device_bytes, "host_bytes": report.host_bytes,
            "process_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "members_per_second": members / report.run_seconds,
        }  # fmt: skip
        cells = "".join(
            f"{row[name] / 1e6:12.2f}" for name in ("device_bytes", "host_bytes", "process_bytes")
        )
        print(f"{members:10d}{cells}{row['members_per_second']:12.0f}", flush=True)
        found[str(members)] = row
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = {"memory": memory(), "stopped_members": stopped_members(rounds)}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "sweeps.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
