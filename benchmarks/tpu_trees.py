"""Updates of trees with many leaves on TPU, beside optax: exact counts of programs compiled ahead of time.

    python -m benchmarks.tpu_trees [--chip v5e] [--tree ResNet-50|Transformer] [--recipes "adam,sgd"]

Needs libtpu and no TPU. The compiler counts the padding of small leaves to tiles and its prefetches too, so
its bytes are to be compared with the peer's. `flat` is ours with `flatten_tree`: one long vector.
"""

import argparse
import json
import sys
from typing import Any

import jax

from benchmarks.counts import RESULTS, Counts, count, step, tpu_device
from benchmarks.shapes import resnet50, transformer
from benchmarks.update import optax_peers, optax_step, ours
from jaxopt_notes.optimizers.wrappers.flatten_tree import flatten_tree

TREES = {"ResNet-50": resnet50, "Transformer": transformer}


def compare(recipe: str, tree: Any, device: Any) -> dict[str, Counts]:
    """Ours, ours flat, and optax."""
    optimizer = ours()[recipe]
    return {
        "ours": count(optimizer, tree, device, step),
        "flat": count(optimizer, jax.eval_shape(flatten_tree, tree), device, step),
        "optax": count(optax_peers()[recipe], tree, device, optax_step),
    }


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chip", default="v5e")
    parser.add_argument("--tree", choices=list(TREES), help="only this one")
    parser.add_argument("--recipes", help="only these, by their names in `benchmarks.update`")
    chosen = parser.parse_args(args)
    device, path = tpu_device(f"{chosen.chip}:2x2"), RESULTS / "tpu_trees.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for label in [chosen.tree] if chosen.tree else TREES:
        tree = TREES[label]()
        print(f"\n{label}, {len(jax.tree.leaves(tree))} leaves, TPU {chosen.chip}")
        print(f"{'':28s}{'':8s}{'bytes/param':>12s}{'copies':>8s}{'fusions':>9s}{'temporaries':>13s}")
        rows = found.setdefault(f"TPU {chosen.chip}, {label}", {})
        for recipe in chosen.recipes.split(",") if chosen.recipes else ours():
            rows[recipe] = {}
            for who, c in compare(recipe, tree, device).items():
                print(f"{recipe:28s}{who:8s}{c.bytes_per_parameter:12.1f}{c.leaf_copies:8d}"
                      f"{c.fusions:9d}{c.temporaries:13d}", flush=True)  # fmt: skip
                rows[recipe][who] = c._asdict()
            RESULTS.mkdir(exist_ok=True)
            path.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
