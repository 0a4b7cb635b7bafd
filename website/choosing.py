"""Which optimizer, which initializer, which strategy: decision tables made from committed measurements.

`benchmarks/results/choosing.json` has the losses, `docs/OPTIMIZERS.md` what state an optimizer holds and
what it moves. Nothing here is typed: who measures anew gets another page.
"""

import json
import math
import pathlib
import re
import statistics
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RATE_FREE = ("prodigy", "dog")  # the number is a factor, 1 by default


def page() -> str:
    """The page for readers."""
    found = json.loads((RESULTS / "choosing.json").read_text(encoding="utf-8"))
    lines = [
        "# Which optimizer, initializer, strategy",
        "",
        f"Made from measurements, which `python -m benchmarks.choosing` repeats, with jax {found['jax']}, on",
        "a CPU. They are small tasks, and yours is another: the tables say where to begin, a sweep says",
        "where to end.",
        "",
    ]
    lines += optimizers(summaries(**found["optimizers"]), costs())
    lines += initializers(
        {
            activation: {name: one | {"loss": reached(one["loss"])} for name, one in of.items()}
            for activation, of in found["initializers"].items()
        }
    )
    lines += strategies(found.get("strategies", {}))
    return "\n".join(lines) + "\n"


def summaries(rates: list[float], tasks: dict[str, dict[str, list[float | None]]]) -> dict[str, Any]:
    """Task → optimizer → the lowest loss, its rate, and how many decades of rates reach twice that loss."""
    found: dict[str, Any] = {}
    for task, of in tasks.items():
        found[task] = {}
        for name, losses in of.items():
            finals = [reached(loss) for loss in losses]
            best = min(finals)
            good = sum(loss <= 2 * best for loss in finals)
            found[task][name] = {"loss": best, "rate": rates[finals.index(best)], "decades": good / 2}
    return found


def costs() -> dict[str, tuple[str, str]]:
    """Optimizer → bytes of state and bytes moved on CPU, per parameter."""
    text = (ROOT / "docs" / "OPTIMIZERS.md").read_text(encoding="utf-8")
    table = text[text.index("## All optimizers") : text.index("## Solvers")]
    rows = re.findall(r"^\| \[(\w+)\]\S* \| (.*) \|$", table, re.MULTILINE)
    split = {name: cells.split(" | ") for name, cells in rows}
    return {name: (cells[0], cells[3]) for name, cells in split.items()}


def least(of: dict[str, dict[str, float]], within: float = 1.1) -> list[str]:
    """The names whose loss is within a tenth of the lowest, best first."""
    best = min(one["loss"] for one in of.values())
    return sorted(
        (name for name, one in of.items() if one["loss"] <= within * best), key=lambda n: of[n]["loss"]
    )


def links(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def optimizers(tasks: dict[str, dict[str, dict[str, float]]], cost: dict[str, tuple[str, str]]) -> list[str]:
    everything = list(dict.fromkeys(name for of in tasks.values() for name in of))
    names = [name for name in everything if all(name in of for of in tasks.values())]
    decades = {name: statistics.mean(of[name]["decades"] for of in tasks.values()) for name in names}
    ranks = {name: statistics.mean(rank(of, name) for of in tasks.values()) for name in names}
    by_rank = sorted(names, key=ranks.__getitem__)
    small = [name for name in by_rank if float(cost[name][0].strip("< ")) <= 4]
    lines = ["## Which optimizer", "", "| if | then, best first | because |", "|---|---|---|"]
    for task, of in tasks.items():
        best = least(of)
        lines.append(
            f"| the task is like {task} | {links(best[:5])} | losses from {of[best[0]]['loss']:.3g}; "
            f"`sgd` {of['sgd']['loss']:.3g} |"
        )
    widest = sorted(names, key=lambda name: -decades[name])[:4]
    span = f"{decades[widest[-1]]:.1f} to {decades[widest[0]]:.1f}"
    free = [name for name in RATE_FREE if name in everything]
    middle = statistics.median(decades.values())
    lines += [
        f"| you know nothing of the task | {links(by_rank[:4])} | mean ranks of {len(names)} |",
        f"| the rate will be guessed | {links(widest)} | {span} decades are good; median {middle:.1f} |",
        f"| memory is short: at most 4 bytes of state | {links(small[:4])} | lowest mean ranks of those |",
        f"| no rate is to be chosen | {links(free)} | {rate_free(tasks)} |",
        "",
        "No rule is best everywhere. The whole table: the lowest training loss (median of three seeds),",
        "the rate at which it was found among thirteen from 1e-5 to 10, and how many decades of rates reach",
        "twice that loss or less.",
        "",
        "| | state | moved | " + " | ".join(tasks) + " |",
        "|---|---|---|" + "---|" * len(tasks),
    ]
    for name in [*by_rank, *(name for name in everything if name not in names)]:
        cells = [
            f"{of[name]['loss']:.3g} at {of[name]['rate']:g}, {of[name]['decades']:g}" if name in of else "–"
            for of in tasks.values()
        ]
        lines.append(f"| [`{name}`](OPTIMIZERS.md#{name}) | {' | '.join(cost[name])} | {' | '.join(cells)} |")
    lines += ["", "State and moved are bytes per float32 parameter, on a CPU; see [costs](COSTS.md).", ""]
    return lines


def rank(of: dict[str, dict[str, float]], name: str) -> int:
    return sum(other["loss"] < of[name]["loss"] for other in of.values())


def rate_free(tasks: dict[str, dict[str, dict[str, float]]]) -> str:
    best = {name: [of[name]["rate"] for of in tasks.values() if name in of] for name in RATE_FREE}
    best = {name: rates for name, rates in best.items() if rates}
    return "; ".join(
        f"`{name}` is best at a factor of {', '.join(f'{r:g}' for r in rates)}"
        for name, rates in best.items()
    )


def reached(loss: float | None) -> float:
    """A measured loss, infinite where training diverged."""
    return math.inf if loss is None else loss


def finite(loss: float) -> str:
    return f"{loss:.3g}" if math.isfinite(loss) else "diverges"


def initializers(found: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    lines = [
        "## Which initializer",
        "",
        "By the activation behind it. With eight hidden layers gradient descent gets furthest from:",
        "",
        "| activation | take | loss | instead of | loss |",
        "|---|---|---|---|---|",
    ]
    for activation, of in found.items():
        best = least(of, within=2.0)
        worst = max(of, key=lambda name: of[name]["loss"])
        lines.append(
            f"| {activation} | {links(best[:3])} | {of[best[0]]['loss']:.3g} "
            f"| `{worst}` | {finite(of[worst]['loss'])} |"
        )
    lines += [
        "",
        "Why: by how much one of twelve layers of 128 units multiplies the variance of activations, each",
        "unit's over the samples, and the mean square of gradients, backwards. At 1 a deep network is as",
        "easy as a shallow one; 0.5 is a factor of 2,000 in eleven layers. Then the loss.",
        "",
        "| activation | initializer | forward | backward | loss |",
        "|---|---|---|---|---|",
    ]
    for activation, of in found.items():
        for name, one in of.items():
            factors = f"{one['forward']:g} | {one['backward']:g}"
            lines.append(f"| {activation} | `{name}` | {factors} | {finite(one['loss'])} |")
    return [*lines, "", "A loss of 2.3 is that of guessing, log 10.", ""]


def strategies(rungs: dict[str, dict[str, float]]) -> list[str]:
    lines = ["## Which strategy", "", "At equal trainings: [which search, and when](SEARCH.md)."]
    if not rungs:
        return lines
    whole = rungs["random_search"]
    cheap = [
        name
        for name, one in rungs.items()
        if one["epochs"] <= whole["epochs"] / 3 and one["loss"] <= whole["loss"]
    ]
    shares = " and ".join(f"{rungs[name]['epochs'] / whole['epochs']:.0%}" for name in cheap)
    lines += [
        "Where bad runs show early, runs can be stopped and the good ones continued:",
        f"{links(cheap)} reach random search's best at {shares} of its epochs.",
        "Epochs count then, not trainings (digits, medians):",
        "",
        "| | best loss | epochs | of random search's |",
        "|---|---|---|---|",
    ]
    for name, one in sorted(rungs.items(), key=lambda item: item[1]["loss"]):
        share = one["epochs"] / whole["epochs"]
        lines.append(f"| `{name}` | {one['loss']:.3g} | {one['epochs']:.0f} | {share:.0%} |")
    return lines
