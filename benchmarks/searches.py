"""Search strategies beside Optuna's samplers: equal trainings, one objective for all, medians over seeds.

    python -m benchmarks.searches [--problems hartmann levy] [--contenders bayesian] [--seeds 10] [--anew]
    python -m benchmarks.searches --seconds          what asking `bayesian` for a batch costs, in CPU seconds

Runs what `benchmarks/results/searches.json` does not have yet, adds each search to it, and writes
`docs/SEARCH.md`. So a run may be stopped, and several may work at once on problems of their own; what
searches find does not depend on the machine's load. The numbers are the least value that a search has found
after 32 and after 96 trainings; under noise the value without it, so that luck does not count.
"""

import argparse
import pathlib
import statistics
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from benchmarks.hyperoptax_search import HyperoptaxSearch
from benchmarks.record_file import RecordFile
from benchmarks.search_problems import PROBLEMS, Problem
from jaxopt_notes.interop import optuna_search

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "SEARCH.md"
VERSIONS = ("jaxopt-notes", "jax", "numpy", "scipy", "optuna", "cmaes", "torch")
RECORD = RecordFile(RESULTS / "searches.json", VERSIONS)
known, record = RECORD.known, RECORD.put
BUDGETS = (32, 96)
BATCH = 8
WIDTH = 100  # of a line of the page


def of_optuna(name: str, n: int = BUDGETS[-1]) -> Callable:
    """seed → one of Optuna's samplers as it is, asked for one configuration at a time."""

    def make(seed: int) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = getattr(optuna.samplers, name)(seed=seed)
        return optuna_search(n, sampler, optuna.storages.InMemoryStorage(), batch=1)

    return make


# Label → the strategy of a seed. Ours know nothing of seeds: theirs is the key.
CONTENDERS: dict[str, Callable[[int], Any]] = {
    "random_search": lambda seed: jn.random_search(96),
    "bayesian": lambda seed: jn.bayesian(96, BATCH),
    "bayesian, one at a time": lambda seed: jn.bayesian(BUDGETS[0]),
    "cma_es": lambda seed: jn.cma_es(96),
    "coarse_to_fine": lambda seed: jn.coarse_to_fine(((32, 1), (32, 1), (32, 1))),
    "Optuna TPE": of_optuna("TPESampler"),
    "Optuna GP": of_optuna("GPSampler", BUDGETS[0]),
    "Optuna CMA-ES": of_optuna("CmaEsSampler"),
    "hyperoptax 0.2": lambda seed: HyperoptaxSearch(96, BATCH),
}
# Which wait for eight at a time
IN_BATCHES = ("random_search", "bayesian", "cma_es", "coarse_to_fine", "hyperoptax 0.2")


def search(strategy: Any, problem: Problem, seed: int) -> list[float]:
    """The least value among the first 32 and the first 96 trainings of one search."""
    key, luck = jax.random.key(seed), np.random.default_rng(seed)
    state, worth = strategy.init(key, problem.space), np.zeros(0)
    while len(worth) < BUDGETS[-1] and (wanted := strategy.remaining(state)):
        wanted = min(wanted, BATCH)
        key, own = jax.random.split(key)
        configs, state = strategy.ask(state, own, wanted)
        found = problem.score({name: np.asarray(configs[name]) for name in problem.space})
        told = found + problem.noise * luck.normal(size=len(found))
        state = strategy.tell(state, configs, told.astype(np.float32))
        worth = np.append(worth, found)
    return [float(np.nanmin(worth[:n])) for n in BUDGETS if len(worth) >= n]


def seconds_of_a_batch(observations: int, times: int = 5) -> float:
    """The least CPU seconds, of several, of asking for a batch in six dimensions after some observations."""
    problem = PROBLEMS["hartmann"]
    strategy = jn.bayesian(observations + BATCH * times, BATCH, initial=observations)
    state, taken = strategy.init(jax.random.key(0), problem.space), []
    for i in range(times + 1):
        began = time.process_time()
        configs, state = strategy.ask(state, jax.random.key(i), BATCH if i else observations)
        taken.append(time.process_time() - began)
        state = strategy.tell(state, configs, problem.score(configs).astype(np.float32))
    return min(taken[1:])


def medians(searches: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Problem → contender → its median after 32 trainings, and after 96 if it was run so far."""
    return {
        problem: {
            name: [statistics.median(at) for at in zip(*runs.values(), strict=True)]
            for name, runs in searches[problem].items()
        }
        for problem in PROBLEMS
        if problem in searches
    }


def as_good_as_best(of: dict[str, list[float]], at: int) -> list[str]:
    """The contenders within 1.1 times the best median, or within 1 % of what separates it from chance."""
    values = {name: median[at] for name, median in of.items() if len(median) > at}
    best = min(values.values())
    limit = max(1.1 * best, best + 0.01 * (values.get("random_search", best) - best))
    return [name for name, value in values.items() if value <= limit]


def first_two(of: dict[str, list[float]], at: int) -> list[str]:
    values = {name: median[at] for name, median in of.items() if len(median) > at}
    return sorted(values, key=values.__getitem__)[:2]


def page(found: dict[str, Any]) -> str:
    """The page for readers, made from the measurements alone."""
    table = medians(found["searches"])
    count = len(table)
    names = [name for name in CONTENDERS if all(name in of for of in table.values())]
    searches = found["searches"]
    runs = [len(of) for problem in searches.values() for of in problem.values()]
    seeds = f"{min(runs)}" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"

    def often(rule: Callable, at: int, among: list[str]) -> list[tuple[int, str]]:
        best = [rule({name: of[name] for name in among}, at) for of in table.values()]
        wins = [(sum(name in names for names in best), name) for name in among]
        return sorted(wins, key=lambda pair: -pair[0])

    def row(if_: str, rule: Callable, words: str, at: int, among: list[str]) -> str:
        (first, name), *others = often(rule, at, among)
        second = f"; {code(others[0][1])} on {others[0][0]}" if others and others[0][0] else ""
        return f"| {if_} | {code(name)} | {words} on {first} of {count} problems{second} |"

    batched = [name for name in names if name in IN_BATCHES]
    whole = [name for name in names if all(len(of[name]) > 1 for of in table.values())]
    lines = [
        "# Which search, and when",
        "",
        "Made from measurements, which `python -m benchmarks.searches` repeats: "
        + ", ".join(f"{name} {version}" for name, version in found["versions"].items()) + ".",
        "",
        "| if | then | because |",
        "|---|---|---|",
        row("there are some thirty trainings, one after the other", first_two, "best or second", 0, names),
        row("there are some thirty, in batches", as_good_as_best, "as good as the best", 0, batched),
        row("there are some hundred trainings", as_good_as_best, "as good as the best", 1, whole),
        row("there are some hundred, in batches", as_good_as_best, "as good as the best", 1, batched),
        "| you have no opinion | `default_search(space, trainings)` | it decides by space and budget |",
        "| runs can be stopped early | `successive_halving`, `asha`, `hyperband` | epochs count then, not "
        "trainings: `python -m benchmarks.choosing strategies` |",
        "",
        "As good as the best is who is within 1.1 times its median, or within 1 % of the way from it to",
        "random search: of two regrets of 0.00001 neither is better.",
        "",
        "## Equal trainings",
        "",
        f"The least value found after {BUDGETS[0]} / {BUDGETS[1]} trainings, medians over {seeds} seeds (the",
        "last table says how many each has); lower is better. Digits and MNIST are validation losses of",
        "networks, the others regrets, 0 at best.",
        f"All see the same objective; under noise (σ {PROBLEMS['noisy'].noise}) the value without it counts.",
        "Optuna's samplers are asked for one configuration at a time, the others for eight unless it says",
        "otherwise. hyperoptax 0.2.0 was run as it is (`benchmarks/hyperoptax_search.py`).",
        "",
        *grid(table, lambda problem, name: cell(table[problem], name)),
        "",
        "The best median, and those as good, are bold; – was not run. Every search is in the JSON file.",
        "",
    ]  # fmt: skip
    lines += [
        *among_first_two(table),
        "",
        *astray(searches["noisy"]),
        "",
        "How many searches a median is of:",
        "",
        *grid(table, lambda problem, name: str(len(searches[problem].get(name, ())) or "–")),
        "",
    ]
    if "seconds" in found:
        said = ", ".join(f"{value:.2g} s after {n} trainings" for n, value in found["seconds"].items())
        lines += [
            f"A batch of {BATCH} costs `bayesian` CPU time on the host: {said}; nothing is compiled.",
            "",
        ]
    return "\n".join(lines)


def grid(table: dict[str, Any], word: Callable[[str, str], str]) -> list[str]:
    """A table of the contenders, with a column for each problem."""
    lines = ["| | " + " | ".join(PROBLEMS[problem].label for problem in table) + " |"]
    lines.append("|---|" + "---|" * len(table))
    for name in CONTENDERS:
        if any(name in of for of in table.values()):
            lines.append(f"| {code(name)} | " + " | ".join(word(problem, name) for problem in table) + " |")
    return lines


def among_first_two(table: dict[str, Any], name: str = "bayesian") -> list[str]:
    """On how many problems a contender is best or second after few trainings, of those alike and of all."""

    def count(allowed: Callable[[str], bool]) -> int:
        return sum(
            name in first_two({other: of[other] for other in of if allowed(other)}, 0)
            for of in table.values()
        )

    return textwrap.wrap(
        f"After {BUDGETS[0]} trainings `{name}` in batches of {BATCH} is best or second on "
        f"{count(lambda other: other in IN_BATCHES)} of {len(table)} problems of those in batches, and on "
        f"{count(lambda other: True)} of all: the others learn from every training before the next.",
        WIDTH,
    )


def astray(runs: dict[str, Any], above: float = 1.0) -> list[str]:
    """Which share of searches under noise found no valley in 96 trainings."""
    shares = []
    for name in CONTENDERS:
        ends = [values[1] for values in runs.get(name, {}).values() if len(values) > 1]
        if ends:
            shares.append(f"{code(name)} {sum(end > above for end in ends)} of {len(ends)}")
    return textwrap.wrap(
        f"Under noise some searches go astray: after {BUDGETS[1]} trainings above {above:g} are still "
        f"{', '.join(shares)}. No minimum holds them, the function has but two, 0 and 0.12: the way down "
        "from there is straight, but a step of 0.1 gains no more than about one deviation of the noise.",
        WIDTH,
    )


def code(name: str) -> str:
    """Names of ours as code, with what is said beside them."""
    first, comma, rest = name.partition(",")
    return f"`{first}`{comma}{rest}" if hasattr(jn, first) else name


def cell(of: dict[str, list[float]], name: str) -> str:
    if name not in of:
        return "–"
    words = []
    for at in range(len(BUDGETS)):
        if at >= len(of[name]):
            words.append("–")
            continue
        word = f"{of[name][at]:.2g}" if abs(of[name][at]) >= 5e-5 else "0.0000"
        words.append(f"**{word}**" if name in as_good_as_best(of, at) else word)
    return " / ".join(words)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--anew", action="store_true", help="also what has been run before")
    parser.add_argument("--seconds", action="store_true", help="only what asking costs")
    asked = parser.parse_args()
    before = {} if asked.anew else known().get("searches", {})
    if asked.seconds:
        for n in (100, 300):
            record(("seconds", str(n)), float(f"{seconds_of_a_batch(n):.2g}"))
    for problem in () if asked.seconds else asked.problems:
        for contender in asked.contenders:
            for seed in range(asked.seeds):
                if str(seed) in before.get(problem, {}).get(contender, {}):
                    continue
                values = search(CONTENDERS[contender](seed), PROBLEMS[problem], seed)
                record(("searches", problem, contender, str(seed)), [float(f"{v:.4g}") for v in values])
                print(f"{problem:12}{contender:26}{seed:4}", *(f"{v:10.4g}" for v in values), flush=True)
    PAGE.write_text(page(known()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of samplers: a choice has no covariance, a sampler is experimental
    sys.exit(main())
