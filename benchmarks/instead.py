"""A whole search against what people would use instead: one table, one run, compiling counted.

    python -m benchmarks.instead [--rounds 3] [--configs 64] [--seeds 4]

Each trains configurations × seeds of an MLP 64-64-10 on digits, 1,200 steps of 32 examples with AdamW, whose
rate and weight decay are searched over at random, and validates at the end. Every contender is a process
of its own that begins with nothing compiled; its clock starts when its libraries are imported, and stops
when all scores are known. Rounds are interleaved, medians are reported. Those whose cost is the same for each
run are given a part of the configurations, and their seconds are multiplied: `share` says how many they
trained. `best` is the validation accuracy of the best configuration of those that were trained.

The second table is of few trainings, where compiling weighs most.
"""

import argparse
import contextlib
import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.counts import RESULTS

BATCH, TRAIN, EPOCHS = 32, 1280, 30  # 40 steps an epoch: 1,200 steps
RATE, DECAY = (1e-4, 1e-2), (1e-6, 1e-2)
FEW = (1, 3, 9)


def data() -> tuple:
    """(train, validation)."""
    import jaxopt_notes as jn

    x, y = (np.asarray(part) for part in jn.digits())
    x = x.astype(np.float32) / 16
    return (x[:TRAIN], y[:TRAIN]), (x[TRAIN:], y[TRAIN:])


def ours(configs: int, seeds: int) -> Callable[[], float]:
    """`sweep`."""
    import jax

    import jaxopt_notes as jn

    parts = data()
    space = {"rate": jn.log_uniform(*RATE), "decay": jn.log_uniform(*DECAY)}

    def build(h: dict) -> Any:
        optimizer = jn.adamw(h["rate"], weight_decay=h["decay"])
        return jn.Trainer(jn.mlp([64, 10]), optimizer, jn.softmax_cross_entropy, batch_size=BATCH)

    def search() -> float:
        results = jn.sweep(
            build, space, parts, jn.random_search(configs), seeds=seeds, epochs=EPOCHS, at="last",
            monitor="valid_accuracy", mode="max", key=jax.random.key(0), progress=False,
        )  # fmt: skip
        return float(np.max(np.mean(results.scores.reshape(configs, seeds), axis=1)))

    return search


def with_optax(configs: int, seeds: int, form: str) -> Callable[[], float]:
    """Optuna's sampler and one jitted training function, vectorized over all, over seeds, or not at all."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen

    parts = jax.tree.map(jnp.asarray, data())

    class MLP(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            return linen.Dense(10)(linen.relu(linen.Dense(64)(x)))

    def train(rate: Any, decay: Any, key: Any, train: tuple, valid: tuple) -> Any:
        (x, y), model, optimizer = train, MLP(), optax.adamw(rate, weight_decay=decay)
        params = model.init(key, x[:1])

        def loss(params: Any, x: Any, y: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, x), y).mean()

        def step(carry: tuple, rows: Any) -> tuple:
            params, state = carry
            grads = jax.grad(loss)(params, x[rows], y[rows])
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), None

        def epoch(carry: tuple, key: Any) -> tuple:
            order = jax.random.permutation(key, TRAIN).reshape(-1, BATCH)
            return jax.lax.scan(step, carry, order)

        keys = jax.random.split(key, EPOCHS)
        (params, _), _ = jax.lax.scan(epoch, (params, optimizer.init(params)), keys)
        return jnp.mean(jnp.argmax(model.apply(params, valid[0]), axis=-1) == valid[1])

    def search() -> float:
        study, trials, found = asked(configs)
        keys = jax.random.split(jax.random.key(0), seeds)
        function = train
        if form != "alone":
            function = jax.vmap(function, in_axes=(None, None, 0, None, None))
        if form == "all":
            function = jax.vmap(function, in_axes=(0, 0, None, None, None))
        call = jax.jit(function)
        rates, decays = (jnp.asarray(values, jnp.float32) for values in zip(*found, strict=True))
        if form == "all":
            scores = call(rates, decays, keys, *parts)
        elif form == "seeds":
            scores = jnp.stack([call(r, d, keys, *parts) for r, d in zip(rates, decays, strict=True)])
        else:
            pairs = zip(rates, decays, strict=True)
            scores = jnp.stack([jnp.stack([call(r, d, key, *parts) for key in keys]) for r, d in pairs])
        return tell(study, trials, np.asarray(scores).mean(axis=1))

    return search


def asked(configs: int) -> tuple:
    """A random study of Optuna, that many trials, and their rates and decays."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    trials = [study.ask() for _ in range(configs)]
    return study, trials, [suggested(trial) for trial in trials]


def suggested(trial: Any) -> tuple[float, float]:
    return trial.suggest_float("rate", *RATE, log=True), trial.suggest_float("decay", *DECAY, log=True)


def tell(study: Any, trials: list, scores: np.ndarray) -> float:
    for trial, score in zip(trials, scores, strict=True):
        study.tell(trial, float(score))
    return study.best_value


def torch_run(rate: float, decay: float, seed: int, fused: bool, parts: tuple) -> float:
    """One training in torch, on one thread: networks this small are slower with more."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    (x, y), valid = ((torch.tensor(x), torch.tensor(y).long()) for x, y in parts)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    kind = {"fused": True} if fused else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay, **kind)
    for _ in range(EPOCHS):
        for rows in torch.randperm(TRAIN).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return (model(valid[0]).argmax(1) == valid[1]).float().mean().item()


def optuna_torch(configs: int, seeds: int, fused: bool) -> Callable[[], float]:
    """Optuna's loop over trials, torch's over steps."""
    import optuna
    import torch  # noqa: F401

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = data()

    def objective(trial: Any) -> float:
        numbers = suggested(trial)
        return statistics.mean(torch_run(*numbers, seed, fused, parts) for seed in range(seeds))

    def search() -> float:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
        study.optimize(objective, n_trials=configs)
        return study.best_value

    return search


def ray_torch(configs: int, seeds: int) -> Callable[[], float]:
    """Ray Tune, a process for each core; starting it is not counted."""
    import ray
    from ray import tune

    parts = data()
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level="error")

    def trial(config: dict) -> dict:
        numbers = config["rate"], config["decay"]
        return {"score": statistics.mean(torch_run(*numbers, seed, True, parts) for seed in range(seeds))}

    def search() -> float:
        space = {"rate": tune.loguniform(*RATE), "decay": tune.loguniform(*DECAY)}
        tuner = tune.Tuner(
            trial, param_space=space,
            tune_config=tune.TuneConfig(num_samples=configs, metric="score", mode="max"),
            run_config=tune.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0),
        )  # fmt: skip
        return tuner.fit().get_best_result().metrics["score"]

    return search


def scikit_learn(configs: int, seeds: int) -> Callable[[], float]:
    """RandomizedSearchCV on all cores, one split for each seed."""
    import warnings

    from scipy.stats import loguniform
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # of its workers
    (x, y), (x_valid, y_valid) = data()
    x, y = np.concatenate([x, x_valid]), np.concatenate([y, y_valid])
    split = (np.arange(TRAIN), np.arange(TRAIN, len(y)))

    def search() -> float:
        model = MLPClassifier((64,), batch_size=BATCH, max_iter=EPOCHS, n_iter_no_change=EPOCHS)
        space = {"learning_rate_init": loguniform(*RATE), "alpha": loguniform(*DECAY)}
        found = RandomizedSearchCV(
            model, space, n_iter=configs, cv=[split] * seeds, n_jobs=-1, refit=False, random_state=0
        )
        return float(found.fit(x, y).best_score_)

    return search


OURS = "jaxopt_notes.sweep"
FUSED = "Optuna + torch, fused AdamW"
# name → what makes it, the share of the configurations that it trains, and the ratio to reach
CONTENDERS: dict[str, tuple[Callable[[int, int], Callable[[], float]], float, float]] = {
    OURS: (ours, 1, 1.0),
    "Optuna + one jit(vmap) of all, optax": (functools.partial(with_optax, form="all"), 1, 2.5),
    "Optuna + jit(vmap) over seeds, optax": (functools.partial(with_optax, form="seeds"), 1, 2.8),
    "Optuna + one jitted function, optax": (functools.partial(with_optax, form="alone"), 1, 4.5),
    "scikit-learn RandomizedSearchCV": (scikit_learn, 1, 5.5),
    "Ray Tune + torch, fused AdamW": (ray_torch, 1 / 4, 8.5),
    FUSED: (functools.partial(optuna_torch, fused=True), 1 / 16, 12.0),
    "Optuna + torch, default AdamW": (functools.partial(optuna_torch, fused=False), 1 / 16, 17.0),
}


def child(name: str, configs: int, seeds: int) -> None:
    """Run a contender, and print its seconds and its best score."""
    make, *_ = CONTENDERS[name]
    if "torch" not in name and "scikit" not in name:
        import jax

        jax.block_until_ready(jax.device_put(0))  # the backend is there
    search = make(configs, seeds)
    began = time.perf_counter()
    best = search()
    print(json.dumps({"seconds": time.perf_counter() - began, "best": best}), flush=True)
    sys.stdout.flush()
    os._exit(0)  # no library's threads to wait for


def timed(name: str, configs: int, seeds: int) -> dict[str, float] | None:
    """A contender in a process of its own, that finds nothing compiled; `None` where it is not installed."""
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "benchmarks.instead", "--only", name]
    command += ["--configs", str(configs), "--seeds", str(seeds)]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        run = subprocess.Popen(
            command, env=environment, stdout=said, stderr=complaints, start_new_session=True
        )  # files: workers that outlive their parent would keep pipes open
        code = run.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        said.seek(0)
        complaints.seek(0)
        if code:
            trouble = complaints.read()
            if "ModuleNotFoundError" in trouble:
                return None
            raise RuntimeError(f"{name}: {trouble[-2000:]}")
        return json.loads(said.read().strip().splitlines()[-1])


def interleaved(wanted: dict[str, tuple[str, int, int]], rounds: int) -> dict[str, dict[str, float] | None]:
    """Medians of rounds in which the contenders come in random order: label → (name, configs, seeds)."""
    rng, found = np.random.default_rng(0), {label: [] for label in wanted}  # type: tuple[Any, dict]
    for _ in range(rounds):
        for label in rng.permutation(list(wanted)):
            found[label].append(timed(*wanted[label]))
    return {
        label: None
        if None in runs
        else {key: statistics.median(run[key] for run in runs) for key in ("seconds", "best")}
        for label, runs in found.items()
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Both tables, printed and written to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("rounds", 3), ("configs", 64), ("seeds", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", help="run this contender here, once")
    parser.add_argument("--no-write", action="store_true", help="leave the file of results alone")
    options = parser.parse_args(arguments)
    if options.only:
        child(options.only, options.configs, options.seeds)
    load = [os.getloadavg()[0]]
    numbers = {name: max(2, round(options.configs * share)) for name, (_, share, _) in CONTENDERS.items()}
    many = interleaved({name: (name, n, options.seeds) for name, n in numbers.items()}, options.rounds)
    few = interleaved({f"{n} {name}": (name, n, 1) for n in FEW for name in (OURS, FUSED)}, options.rounds)
    load.append(os.getloadavg()[0])
    rows, own = {}, many[OURS]
    assert own is not None
    print(f"{options.configs} configurations × {options.seeds} seeds, 1,200 steps; {os.cpu_count()} cores, "
          f"load {load[0]:.1f} to {load[1]:.1f}")  # fmt: skip
    print(f"{'':38}{'trained':>8}{'seconds':>9}{'ours is':>9}{'goal':>6}{'best':>7}")
    for name, (_, _, goal) in CONTENDERS.items():
        one = many[name]
        if one is None:
            print(f"{name:38} not installed: its libraries are no part of this environment")
            continue
        seconds = one["seconds"] * options.configs / numbers[name]
        rows[name] = {
            "trained": numbers[name], "seconds": seconds, "ours_is": seconds / own["seconds"], "goal": goal,
            "best": one["best"],
        }  # fmt: skip
        print(
            f"{name:38}{numbers[name]:8}{seconds:9.1f}{rows[name]['ours_is']:8.2f}×{goal:6.1f}{one['best']:7.3f}"
        )
    table = {n: {name: (few[f"{n} {name}"] or {}).get("seconds") for name in (OURS, FUSED)} for n in FEW}
    print(f"{'trainings':>10}{OURS:>22}{FUSED:>30}")
    for n, row in table.items():
        print(f"{n:10}{row[OURS]:22.2f}{row[FUSED]:30.2f}")
    report = {"configs": options.configs, "seeds": options.seeds, "cores": os.cpu_count(), "load": load,
              "rounds": options.rounds, "many": rows, "few": table}  # fmt: skip
    if not options.no_write:
        (RESULTS / "instead.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
