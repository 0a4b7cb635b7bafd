"""What augmentation costs inside the compiled step of a small convolutional network.

    python -m benchmarks.augmentation [--steps 20] [--rounds 7]

Trains `cnn([32, 64], [10])` on 32 × 32 × 3 images in batches of 32 with AdamW, without augmentation and with
each of some, and the usual ones together. One call is a compiled epoch of so many steps. Calls are
interleaved. `cpu` is the least CPU time of a step (threads included), which other processes touch little;
`seconds` is the median of the wall clock, which means something on an idle machine only.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from benchmarks.machine import interleaved
from jaxopt_notes.data import augmentation as of

AUGMENTATIONS: dict[str, Any] = {
    "none": None,
    "flip": of.random_flip(),
    "crop with padding 4": of.random_crop(padding=4),
    "flip and crop": of.compose(of.random_flip(), of.random_crop(padding=4)),
    "flip, crop and cutout": of.compose(of.random_flip(), of.random_crop(padding=4), of.cutout(8)),
    "mixup": of.mixup(0.2, classes=10),
}


def epoch(augmentation: Any, data: tuple, cpu: list[float]) -> Callable[[], None]:
    """A compiled epoch, which adds the CPU seconds of each of its calls to a list."""
    trainer = jn.Trainer(
        jn.cnn([32, 64], [10]),
        jn.adamw(1e-3),
        jn.softmax_cross_entropy,
        augmentation=augmentation,
        metric=None,
    )
    state = trainer.init(jax.random.key(0), data)

    def call() -> None:
        began = time.process_time()
        jax.block_until_ready(trainer.advance(state, data))
        cpu.append(time.process_time() - began)

    return call


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """The table, printed and written to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-write", action="store_true", help="leave the file of results alone")
    options = parser.parse_args(arguments)
    rng, n = np.random.default_rng(0), 32 * options.steps
    data = jax.device_put((rng.normal(size=(n, 32, 32, 3)).astype(np.float32), rng.integers(10, size=n)))
    cpu: dict[str, list[float]] = {name: [] for name in AUGMENTATIONS}
    load = [os.getloadavg()[0]]
    seconds = interleaved(
        {name: epoch(augmentation, data, cpu[name]) for name, augmentation in AUGMENTATIONS.items()},
        options.rounds,
    )
    load.append(os.getloadavg()[0])
    least = {name: min(spent[1:]) for name, spent in cpu.items()}  # the first call compiles
    rows = {
        name: {
            "cpu": least[name] / options.steps, "cpu_more": least[name] / least["none"] - 1,
            "seconds": seconds[name] / options.steps, "seconds_more": seconds[name] / seconds["none"] - 1,
        }
        for name in AUGMENTATIONS
    }  # fmt: skip
    print(f"steps of 32 images, {os.cpu_count()} cores, load {load}")
    print(f"{'':24}{'CPU ms':>8}{'more':>8}{'ms':>8}{'more':>8}")
    for name, row in rows.items():
        print(
            f"{name:24}{1e3 * row['cpu']:8.2f}{row['cpu_more']:8.1%}"
            f"{1e3 * row['seconds']:8.2f}{row['seconds_more']:8.1%}"
        )
    report = {"steps": options.steps, "cores": os.cpu_count(), "load": load, "rows": rows}
    if not options.no_write:
        (RESULTS / "augmentation.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
