"""The main job as a program: progress on the screen, results on disk, a table at the end.

While it runs, what is finished is in the subfolder "unfinished". A job that was killed and is started again
with the same settings goes on from there.
"""

import csv
import json
import os
import pathlib
import shutil
import sys
import time
from typing import Any

import jax
import numpy as np

from jaxopt_notes.cli.notation import read_strategy, write_axis
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.search import default_search
from jaxopt_notes.search.names import own_names
from jaxopt_notes.studies.digits_sweep import Outcome, check_space, digits_sweep
from jaxopt_notes.training import save_params

RESULTS = ("results.csv", "summary.json", "best_params.npz", "sweep.png", "curves.png")
OWN_RESULTS = ("preprocessing.json",)  # of a job on one's own data, too


def run_job(
    space: dict[str, Any],
    settings: dict[str, Any],
    folder: pathlib.Path,
    version: str,
    quiet: bool = False,
    overwrite: bool = False,
    own: Any = None,
) -> int:
    """Run `digits_sweep`, or the same on one's own data, and write everything to a folder.

    Arguments:
        space: the search space.
        settings: `optimizer`, `configs`, `seeds`, `epochs`, `batch_size`, `seed`, and `strategy`, text, empty
            for what `default_search` picks by space and number of configurations.
        folder: made if it does not exist; an unfinished job of the same settings is finished there.
        version: of this library, for the record.
        quiet: no progress bar, no table.
        overwrite: whether the results of an earlier job in the folder may be replaced.
        own: an `OwnTask` in place of digits; `settings` then have its `data`, `target`, `task`, `model` too.

    Returns:
        The exit code: 0, or 130 after Ctrl-C.

    Raises:
        OSError: the folder cannot be written, or another process is at work in it. ValueError: an argument
            outside its interval, a folder with an unfinished job of other settings, or with results.
        ImportError: scikit-learn or matplotlib is missing.
    """
    from jaxopt_notes.plots.figure import figure

    began = time.perf_counter()
    figure(1, 1)  # a missing matplotlib is said now, not after the training
    check_space(settings["optimizer"], space)
    if own is not None:
        own.check(settings["optimizer"], space)
    prepare(folder, overwrite)
    config = {
        "command": "sweep",
        **settings,
        "space": {name: write_axis(axis) for name, axis in sorted(space.items())},
        "versions": {"jaxopt_notes": version, "jax": jax.__version__, "numpy": np.__version__},
    }
    say = (lambda *_, **__: None) if quiet else print
    if settings["strategy"]:
        strategy, number, why = read_strategy(settings["strategy"]), settings["strategy"], None
    else:
        trainings = settings["configs"] * settings["seeds"]
        strategy, _, why = default_search(space, trainings, seeds=settings["seeds"])
        number = f"{getattr(strategy, 'n', settings['configs'])} configurations"
    unfinished = folder / "unfinished"
    for sentence in own.table.said if own is not None else ():
        say(sentence)
    say(
        f"{number} × {settings['seeds']} seeds of {settings['optimizer']} on "
        f"{settings.get('data', 'digits')}, {settings['epochs']} epochs each; results go to {folder}"
        + (", which has an unfinished job: it goes on" if unfinished.exists() else ""),
        flush=True,
    )
    if why is not None:
        say(f"strategy: {why}; --strategy takes another", flush=True)
    names = ("optimizer", "configs", "seeds", "epochs", "batch_size")
    arguments = {name: settings[name] for name in names}
    members = Members(folder, config)
    try:
        outcome = (digits_sweep if own is None else own)(
            jax.random.key(settings["seed"]), space=space, **arguments, strategy=strategy, folder=unfinished,
            progress=False if quiet else None, on_chunk=members.add,
        )  # fmt: skip
        summary = save(folder, outcome, settings["epochs"], began)
        if own is not None:
            summary["data"] = own.table.said
            save_json(folder / "summary.json", summary)
            save_json(folder / "preprocessing.json", outcome.standardizer.as_dict())
    except KeyboardInterrupt:
        print(f"\nstopped: {members.describe()}", file=sys.stderr)
        return 130
    members.path.unlink()  # all of it is in results.csv
    shutil.rmtree(unfinished)
    say(f"\n{outcome.results.table(10)}\n\n{describe(summary)}\n{listing(folder)}")
    return 0


def prepare(folder: pathlib.Path, overwrite: bool) -> None:
    """Make the folder, make sure that it can be written and loses nothing, before anything is computed."""
    if (folder / RESULTS[0]).exists() and not (folder / "unfinished").exists() and not overwrite:
        raise ValueError(
            f"--output is {str(folder)!r}, which holds the results of an earlier job: name another folder, "
            "or replace them with --overwrite."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write_test"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"--output is {str(folder)!r}, which cannot be written ({error.strerror}): name another folder."
        ) from error


class Members:
    """Finished members, written to a CSV file as they come: what Ctrl-C leaves behind.

    The first of them take the folder over: the configuration is written, and the results of an earlier
    job go, so that a folder never holds parts of two.
    """

    def __init__(self, folder: pathlib.Path, config: dict[str, Any]):
        self.folder, self.config, self.path, self.rows = folder, config, folder / "members.csv", 0

    def add(self, members: np.ndarray, configs: dict[str, np.ndarray], results: Tree) -> None:
        if not self.rows:
            for name in (*RESULTS, *OWN_RESULTS):
                (self.folder / name).unlink(missing_ok=True)
            save_json(self.folder / "config.json", self.config)
        with self.path.open("a" if self.rows else "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if not self.rows:
                own = own_names(configs, "sweep", ["member", "score"])
                writer.writerow([own["member"], *configs, own["score"]])
            for row, member in enumerate(members):
                writer.writerow(
                    [member, *(column[row] for column in configs.values()), results["score"][row]]
                )
            file.flush()
            os.fsync(file.fileno())
        self.rows += len(members)

    def describe(self) -> str:
        """What there is after Ctrl-C."""
        if not self.rows:
            return "no member had finished, nothing was written."
        return (
            f"{self.rows} finished members are in {self.path}. The same command goes on from there; to begin "
            f"another job in this folder remove {self.folder / 'unfinished'} first."
        )


def save(folder: pathlib.Path, outcome: Outcome, epochs: int, began: float) -> dict[str, Any]:
    """Everything the job leaves behind; returns the summary."""
    from jaxopt_notes.plots import plot_curves, plot_sweep

    results = outcome.results
    results.to_csv(folder / "results.csv")
    save_params(folder / "best_params.npz", outcome.params)
    plot_sweep(results).savefig(folder / "sweep.png", dpi=110)
    title = f"the best of {len(results)} configurations, {results.scores.shape[1]} seeds"
    plot_curves(outcome.curves, title).savefig(folder / "curves.png", dpi=110)
    summary = summarize(outcome, epochs, time.perf_counter() - began)
    save_json(folder / "summary.json", summary)
    return summary


def summarize(outcome: Outcome, epochs: int, seconds: float) -> dict[str, Any]:
    """The job in numbers."""
    results, reports = outcome.results, outcome.results.reports
    running = sum(report.run_seconds for report in reports)
    trained = results.epochs_trained(epochs)
    restored = 1 - sum(report.members - report.restored for report in reports) / results.scores.size
    steps = int(trained.sum()) * results.scores.shape[1] * outcome.steps_per_epoch
    here = steps * (1 - restored)  # the others were trained before the job was interrupted
    best, metric = results.order[0], results.monitor.removeprefix("valid_")
    return {
        "best": {name: results.best[name] for name in results.columns},
        f"valid_{metric}_mean": float(results.score_mean[best]),
        f"valid_{metric}_std": float(results.score_std[best]),
        f"test_{metric}": outcome.test_score,
        "members": results.scores.size,
        "diverged_members": results.diverged,
        "steps": steps,
        "restored_members": round(restored * results.scores.size),
        "member_steps_per_second": round(here / running, 1) if running else 0.0,
        "devices": [str(device) for device in (reports[0].devices if reports else jax.local_devices())],
        "worker_threads": reports[0].workers if reports else 0,
        "seconds_compiling": round(sum(report.compile_seconds for report in reports), 3),
        "seconds_running": round(running, 3),
        "seconds_total": round(seconds, 3),
    }


def save_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def describe(summary: dict[str, Any]) -> str:
    """The summary in two sentences."""
    metric = next(name.removeprefix("test_") for name in summary if name.startswith("test_"))
    mean, deviation = summary[f"valid_{metric}_mean"], summary[f"valid_{metric}_std"]
    digits = ".4f" if metric == "accuracy" else ".4g"
    return (
        f"best configuration: validation {metric} {mean:{digits}} ± {deviation:{digits}}; retrained on "
        f"training + validation set, test {metric} {summary[f'test_{metric}']:{digits}}\n"
        f"{summary['members']} members, {summary['steps']:,} steps, "
        f"{summary['member_steps_per_second']:,.0f} member-steps/s on {summary['worker_threads']} threads × "
        f"{len(summary['devices'])} device(s); {summary['seconds_compiling']:.1f} s compiling, "
        f"{summary['seconds_running']:.1f} s running"
    )


def listing(folder: pathlib.Path) -> str:
    return f"in {folder}: " + ", ".join(sorted(path.name for path in folder.iterdir()))
