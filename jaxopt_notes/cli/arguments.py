"""The command line: `jaxopt-notes sweep` (the main job, also without a word), `study` and `optimizers`.

Whatever a user can get wrong ends in one clear line and exit code 2. Ctrl-C ends with exit code 130,
and what was finished is on disk.
"""

import argparse
import dataclasses
import inspect
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import jaxopt_notes
from jaxopt_notes.cli.study import NO_CACHE, add_study

EXAMPLES = """examples:
  jaxopt-notes                                         the main job: 64 configurations x 4 seeds on digits
  jaxopt-notes sweep --configs 256 --seeds 8           a larger one
  jaxopt-notes sweep --optimizer nesterov --epochs 50  another optimizer, searched over its own coefficients
  jaxopt-notes sweep --space "learning_rate=log_uniform(1e-3, 1e-2)" --space "dropout=0.2"
  jaxopt-notes sweep --strategy "successive_halving(81, max_epochs=27)" --epochs 27
  jaxopt-notes sweep --config runs/sweep/config.json   a job once more, as it was
  jaxopt-notes sweep --data train.csv --target price   on your own table (CSV, Parquet, NPZ, NPY)
  jaxopt-notes optimizers                              every optimizer, with its defaults and its formula
  jaxopt-notes optimizers adam lion                    two of them
  jaxopt-notes study --list                            the experiments of the notes
  jaxopt-notes study overfit_sine seeds=4              one of them: a table, a figure
"""

# What a job is a function of, beside its space.
SETTINGS = ("optimizer", "configs", "seeds", "epochs", "batch_size", "strategy", "seed")
OWN = ("data", "target", "task", "model", "ignore")  # of a job on one's own data


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Arguments:
        arguments: those behind the program's name; by default `sys.argv[1:]`.

    Returns:
        The exit code: 0, 2 for a wrong argument, 130 after Ctrl-C.

    Example:
        >>> main(["sweep", "--configs", "0"])
        2
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["sweep", *arguments]
    try:
        options = _parser().parse_args(arguments)
        if getattr(options, "config", None):  # what it holds stands before what was typed, which wins
            options = _parser().parse_args(["sweep", *saved_arguments(options.config), *arguments[1:]])
        code = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit says nothing either
        return 0
    except SystemExit as stop:  # argparse, after --help
        return int(stop.code or 0)
    except (ValueError, TypeError, ImportError, OSError) as error:
        if "--debug" in arguments:
            raise
        print(f"jaxopt-notes: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # one line, where argparse prints the usage too
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        "jaxopt-notes", description=__doc__.splitlines()[0], epilog=EXAMPLES, formatter_class=formatter
    )
    parser.add_argument("--version", action="version", version=jaxopt_notes.__version__)
    commands = parser.add_subparsers(title="commands", metavar="{sweep,optimizers,study}", required=True)

    sweep = commands.add_parser(
        "sweep",
        help="hyperparameter search on scikit-learn's digits (the main job)",
        description="Train configurations x seeds in one compiled program on every core, rank them, retrain "
        "the winner on training and validation set, and score it once on the sealed test set. A job that was "
        "stopped goes on when it is started again with the same flags.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    add = sweep.add_argument
    add("--configs", type=int, default=64, metavar="N", help="configurations in all (default 64)")
    add("--seeds", type=int, default=4, metavar="N", help="members per configuration (default 4)")
    add("--epochs", type=int, default=30, metavar="N", help="epochs per member (default 30)")
    add("--batch-size", type=int, default=32, metavar="N", help="examples per step (default 32)")
    add("--optimizer", default="adamw", metavar="NAME", help="see `jaxopt-notes optimizers` (default adamw)")
    add("--strategy", default="", metavar="NAME(ARGUMENTS)",
        help="in place of the one that fits space and --configs, as \"random_search(64)\" or "
             "\"successive_halving(27, max_epochs=9)\"; then --configs says "
             "nothing, and --epochs is how long rates take to fall to zero")  # fmt: skip
    add("--space", action="append", default=[], metavar="NAME=DISTRIBUTION",
        help="replace a dimension: uniform(low, high), log_uniform(low, high), normal(mean, stddev), "
             "integers(low, high), choice([...]), static_choice([...]) of what changes the structure of your "
             "--model, or a number to fix it; repeatable")  # fmt: skip
    add("--data", metavar="FILE",
        help="a table of your own in place of digits: .csv, .parquet, .npz, .npy; its columns are described "
             "before anything is trained")  # fmt: skip
    add("--target", metavar="COLUMN", help="what is to be predicted of --data")
    add("--task", default="auto", choices=("auto", "classification", "regression"),
        help="auto: classes are text, or few whole numbers")  # fmt: skip
    add("--model", default="mlp", metavar="mlp|cnn|MODULE:FUNCTION",
        help="of --data; a function of (h, outputs) makes a model of the hyperparameters in --space and the "
             "number of outputs")  # fmt: skip
    add("--ignore", action="append", default=[], metavar="COLUMN", help="no input of --data; repeatable")
    add("--seed", type=int, default=0, metavar="N", help="the whole job is a function of it (default 0)")
    add("--config", type=pathlib.Path, metavar="FILE",
        help="the config.json of a job, to run it once more; other flags change it")  # fmt: skip
    add("--output", type=pathlib.Path, default=pathlib.Path("runs/sweep"), metavar="FOLDER",
        help="where the results go (default runs/sweep)")  # fmt: skip
    add("--overwrite", action="store_true", help="replace the results of an earlier job in the folder")
    add("--quiet", action="store_true", help="no progress bar, no table")
    add("--no-cache", action="store_true", help=NO_CACHE)
    add("--debug", action="store_true", help="a traceback instead of one line")
    sweep.set_defaults(run=_sweep)

    optimizers = commands.add_parser("optimizers", help="list every optimizer with defaults and formula")
    optimizers.add_argument("names", nargs="*", metavar="NAME", help="only these")
    optimizers.set_defaults(run=_optimizers)
    add_study(commands)
    return parser


def saved_arguments(path: pathlib.Path) -> list[str]:
    """The flags of a job from its `config.json`.

    Raises:
        ValueError: the file cannot be read, or is not a config.json of this program.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        saved.setdefault("strategy", "")  # of a job before there was a choice
        flags = [f"--{name.replace('_', '-')}={saved[name]}" for name in SETTINGS]
        for name in (name for name in OWN if name in saved):
            values = saved[name] if isinstance(saved[name], list) else [saved[name]]
            flags += [f"--{name}={value}" for value in values]
        return flags + [f"--space={name}={axis}" for name, axis in saved["space"].items()]
    except OSError as error:
        raise ValueError(f"--config is {str(path)!r}, which cannot be read ({error.strerror}).") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(f"--config is {str(path)!r}, expected the config.json of an earlier job.") from None


def _sweep(options: argparse.Namespace) -> int:
    for name in ("configs", "seeds", "epochs", "batch_size"):
        if getattr(options, name) < 1:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"{flag} is {getattr(options, name)}, expected a whole number of at least 1.")
    if not 0 <= options.seed < 2**32:  # beyond 32 bits different seeds make equal keys
        raise ValueError(f"--seed is {options.seed}, expected a whole number in [0, 2**32).")
    # Imported here, so that --help and a wrong flag answer at once.
    from jaxopt_notes.cli.job import run_job
    from jaxopt_notes.cli.kept_programs import keep_programs
    from jaxopt_notes.cli.notation import read_axis, read_strategy
    from jaxopt_notes.optimizers import OPTIMIZERS
    from jaxopt_notes.record import check_choice
    from jaxopt_notes.studies.digits_sweep import default_space

    check_choice("--optimizer", options.optimizer, tuple(OPTIMIZERS))
    keep_programs(not options.no_cache)  # before the first of them is compiled
    own = _own_task(options)
    space = default_space(options.optimizer)
    for entry in options.space:
        name, separator, text = (part.strip() for part in entry.partition("="))
        if not separator or (name not in space and ":" not in options.model):
            raise ValueError(
                f"--space is {entry!r}, expected NAME=NUMBER or NAME=DISTRIBUTION with a name of "
                f"{', '.join(sorted(space))}."
            )
        try:
            space[name] = read_axis(text)
        except (ValueError, TypeError) as error:
            raise ValueError(f"--space {name}: {error}") from error
    try:
        _ = read_strategy(options.strategy) if options.strategy else None
    except (ValueError, TypeError) as error:
        raise ValueError(f"--strategy: {error}") from error
    settings = {name: getattr(options, name) for name in (*SETTINGS, *(OWN if own else ()))}
    return run_job(
        space, settings, options.output, jaxopt_notes.__version__, options.quiet, options.overwrite, own
    )


def _own_task(options: argparse.Namespace) -> Any:
    """The task that --data and --target describe; `None` for digits."""
    if options.data is None:
        for name in ("target", "ignore"):
            if getattr(options, name):
                raise ValueError(f"--{name} needs --data FILE.")
        if options.model != "mlp":
            raise ValueError(f"--model is {options.model!r}, which needs --data FILE: digits have a model.")
        return None
    if options.target is None:
        raise ValueError("--data needs --target COLUMN: what is to be predicted.")
    from jaxopt_notes.cli.own_sweep import MODELS, OwnTask, own_model
    from jaxopt_notes.cli.own_table import read_table
    from jaxopt_notes.cli.table_file import read_columns

    if options.model not in MODELS:
        own_model(options.model)
    said: list[str] = []
    columns = read_columns(pathlib.Path(options.data), said)
    table = read_table(columns, options.target, options.task, tuple(options.ignore))
    table = dataclasses.replace(table, said=[*said, *table.said])
    options.data = os.path.abspath(options.data)
    return OwnTask(table, options.model)


def _optimizers(options: argparse.Namespace) -> int:
    from jaxopt_notes.optimizers import OPTIMIZERS
    from jaxopt_notes.record import check_choice

    for name in options.names:
        check_choice("optimizers", name, tuple(OPTIMIZERS))
    for name, factory in sorted(OPTIMIZERS.items()):
        if options.names and name not in options.names:
            continue
        print(f"{name}{inspect.signature(factory).replace(return_annotation=inspect.Signature.empty)}"
              .replace("jaxopt_notes.", ""))  # fmt: skip
        print(f"    {(inspect.getdoc(factory) or '').splitlines()[0]}")
        print("".join(f"        {line}\n" for line in formula(factory)))
    return 0


def formula(thing: Any) -> list[str]:
    """The formula in a docstring: its first indented block, without the indentation.

    Example:
        >>> from jaxopt_notes.optimizers import sgd
        >>> formula(sgd)
        ['θ ← θ − η·g']
    """
    lines = (inspect.getdoc(thing) or "").splitlines()
    found: list[str] = []
    for line in lines[1:]:
        if line.startswith("    "):
            found.append(line[4:])
        elif (line and found) or (line and not found and line.startswith("Arguments:")):
            break
    return found
