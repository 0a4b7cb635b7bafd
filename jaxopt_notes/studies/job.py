"""The main job as a program: progress on the screen, results on disk, a table at the end."""

import csv
import json
import os
import pathlib
import time
from typing import Any

import jax
import numpy as np

from jaxopt_notes.search.results import Results
from jaxopt_notes.studies.digits_sweep import Outcome, digits_sweep
from jaxopt_notes.training import save_params
from jaxopt_notes.trees import Tree


def run_job(space: dict[str, Any], options: Any, version: str) -> int:
    """Run `digits_sweep` with the options of the command line, and write everything to a folder.

    Arguments:
        space: the search space.
        options: `configs`, `seeds`, `epochs`, `batch_size`, `optimizer`, `seed`, `output`, `quiet`.
        version: of this library, for the record.

    Returns:
        The exit code: 0, or 130 after Ctrl-C.

    Raises:
        OSError: the folder cannot be written. ValueError: an argument outside its interval.
    """
    folder = pathlib.Path(options.output)
    prepare(folder)
    names = ("optimizer", "configs", "seeds", "epochs", "batch_size", "seed")
    settings = {name: getattr(options, name) for name in names}
    config = {
        "command": "sweep",
        **settings,
        "space": {name: repr(axis) for name, axis in sorted(space.items())},
        "versions": {"jaxopt_notes": version, "jax": jax.__version__, "numpy": np.__version__},
    }
    write_json(folder / "config.json", config)
    say = (lambda *_: None) if options.quiet else print
    say(
        f"{settings['configs']} configurations × {settings['seeds']} seeds of {settings['optimizer']} on "
        f"digits, {settings['epochs']} epochs each; results go to {folder}"
    )

    began = time.perf_counter()
    finished = Finished(folder / "members.csv")
    arguments = {name: settings[name] for name in names if name != "seed"}
    try:
        with finished:
            outcome = digits_sweep(
                jax.random.key(settings["seed"]), space=space, **arguments,
                progress=None if not options.quiet else False, on_chunk=finished.add,
            )  # fmt: skip
    except KeyboardInterrupt:
        print(
            f"\nstopped: {finished.rows} finished members are in {finished.path}. The same command with the "
            "same seed trains the same members again; fewer --configs finish sooner.",
        )
        return 130
    summary = write(folder, outcome, settings, time.perf_counter() - began)
    say(f"\n{outcome.results.table(10)}\n\n{describe(summary)}\n{listing(folder)}")
    return 0


def prepare(folder: pathlib.Path) -> None:
    """Make the folder and make sure that it can be written, before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write_test"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"--output is {str(folder)!r}, which cannot be written ({error.strerror}): name another folder."
        ) from error


class Finished:
    """Finished members, written to a CSV file as they come: what Ctrl-C leaves behind."""

    def __init__(self, path: pathlib.Path):
        self.path, self.rows = path, 0

    def __enter__(self) -> "Finished":
        self.file = self.path.open("w", newline="", encoding="utf-8")
        return self

    def add(self, members: np.ndarray, configs: dict[str, np.ndarray], results: Tree) -> None:
        writer = csv.writer(self.file)
        if not self.rows:
            writer.writerow(["member", *configs, "score"])
        for row, member in enumerate(members):
            writer.writerow([member, *(column[row] for column in configs.values()), results["score"][row]])
        self.rows += len(members)
        self.file.flush()
        os.fsync(self.file.fileno())

    def __exit__(self, *_: Any) -> None:
        self.file.close()


def write(folder: pathlib.Path, outcome: Outcome, settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Everything the job leaves behind; returns the summary."""
    from jaxopt_notes.plots import plot_curves, plot_sweep

    results = outcome.results
    results.to_csv(folder / "results.csv")
    summary = summarize(results, outcome, settings, seconds)
    write_json(folder / "summary.json", summary)
    (folder / "members.csv").unlink()  # all of it is in results.csv
    save_params(folder / "best_params.npz", outcome.params)
    plot_sweep(results).savefig(folder / "sweep.png", dpi=110)
    title = f"the best of {len(results)} configurations, {results.scores.shape[1]} seeds"
    plot_curves(outcome.curves, title).savefig(folder / "curves.png", dpi=110)
    return summary


def summarize(results: Results, outcome: Outcome, settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The job in numbers."""
    report = results.reports[0]
    members = results.scores.size
    steps = members * settings["epochs"] * outcome.steps_per_epoch
    running = sum(report.run_seconds for report in results.reports)
    best = results.order[0]
    return {
        "best": {name: results.best[name] for name in results.columns},
        "valid_accuracy_mean": float(results.score_mean[best]),
        "valid_accuracy_std": float(results.score_std[best]),
        "test_accuracy": outcome.test_accuracy,
        "members": members,
        "diverged_members": results.diverged,
        "steps": steps,
        "member_steps_per_second": round(steps / running, 1),
        "devices": [str(device) for device in report.devices],
        "worker_threads": report.workers,
        "seconds_compiling": round(sum(report.compile_seconds for report in results.reports), 3),
        "seconds_running": round(running, 3),
        "seconds_total": round(seconds, 3),
    }


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def describe(summary: dict[str, Any]) -> str:
    """The summary in two sentences."""
    return (
        f"best configuration: validation accuracy {summary['valid_accuracy_mean']:.4f} "
        f"± {summary['valid_accuracy_std']:.4f}; retrained on training + validation set, test accuracy "
        f"{summary['test_accuracy']:.4f}\n{summary['members']} members, {summary['steps']:,} steps, "
        f"{summary['member_steps_per_second']:,.0f} member-steps/s on {summary['worker_threads']} threads × "
        f"{len(summary['devices'])} device(s); {summary['seconds_compiling']:.1f} s compiling, "
        f"{summary['seconds_running']:.1f} s running"
    )


def listing(folder: pathlib.Path) -> str:
    return f"in {folder}: " + ", ".join(sorted(path.name for path in folder.iterdir()))
