"""The command line: `jaxopt-notes sweep` (the main job, also without a word) and `jaxopt-notes optimizers`.

Whatever a user can get wrong ends in one clear line and exit code 2. Ctrl-C ends with exit code 130,
and what was finished is on disk.
"""

import argparse
import ast
import inspect
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jaxopt_notes

EXAMPLES = """examples:
  jaxopt-notes                                         the main job: 64 configurations x 4 seeds on digits
  jaxopt-notes sweep --configs 256 --seeds 8           a larger one
  jaxopt-notes sweep --optimizer nesterov --epochs 50  another optimizer, searched over its own coefficients
  jaxopt-notes sweep --space "learning_rate=log_uniform(1e-3, 1e-2)" --space "dropout=0.2"
  jaxopt-notes optimizers                              every optimizer, with its defaults and its formula
"""


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
        return options.run(options)
    except SystemExit as stop:  # argparse, for --help and for unknown flags
        return int(stop.code or 0)
    except (ValueError, TypeError, ImportError, OSError) as error:
        if "--debug" in arguments:
            raise
        print(f"jaxopt-notes: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "jaxopt-notes", description=__doc__.splitlines()[0], epilog=EXAMPLES, formatter_class=formatter
    )
    parser.add_argument("--version", action="version", version=jaxopt_notes.__version__)
    commands = parser.add_subparsers(title="commands", metavar="{sweep,optimizers}", required=True)

    sweep = commands.add_parser(
        "sweep",
        help="random search on scikit-learn's digits (the main job)",
        description="Train configurations x seeds in one compiled program on every core, rank them, retrain "
        "the winner on training and validation set, and score it once on the sealed test set.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    add = sweep.add_argument
    add("--configs", type=int, default=64, metavar="N", help="configurations drawn at random (default 64)")
    add("--seeds", type=int, default=4, metavar="N", help="members per configuration (default 4)")
    add("--epochs", type=int, default=30, metavar="N", help="epochs per member (default 30)")
    add("--batch-size", type=int, default=32, metavar="N", help="examples per step (default 32)")
    add("--optimizer", default="adamw", metavar="NAME", help="see `jaxopt-notes optimizers` (default adamw)")
    add("--space", action="append", default=[], metavar="NAME=DISTRIBUTION",
        help="replace a dimension: uniform(low, high), log_uniform(low, high), normal(mean, stddev), "
             "integers(low, high), choice([...]), or a number to fix it; repeatable")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="the whole job is a function of it (default 0)")
    add("--output", type=pathlib.Path, default=pathlib.Path("runs/sweep"), metavar="FOLDER",
        help="where the results go (default runs/sweep)")  # fmt: skip
    add("--quiet", action="store_true", help="no progress bar, no table")
    add("--debug", action="store_true", help="a traceback instead of one line")
    sweep.set_defaults(run=_sweep)

    optimizers = commands.add_parser("optimizers", help="list every optimizer with defaults and formula")
    optimizers.set_defaults(run=_optimizers)
    return parser


def _sweep(options: argparse.Namespace) -> int:
    for name in ("configs", "seeds", "epochs", "batch_size"):
        if getattr(options, name) < 1:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"{flag} is {getattr(options, name)}, expected a whole number of at least 1.")
    # Imported here, so that --help and a wrong flag answer at once.
    from jaxopt_notes.studies.digits_sweep import default_space
    from jaxopt_notes.studies.job import run_job

    space = default_space(options.optimizer)
    for entry in options.space:
        name, value = parse_dimension(entry)
        if name not in space:
            raise ValueError(f"--space names {name!r}, expected one of {', '.join(sorted(space))}.")
        space[name] = value
    return run_job(space, options, jaxopt_notes.__version__)


def parse_dimension(entry: str) -> tuple[str, Any]:
    """A dimension of a search space from text; nothing is evaluated but literals.

    Arguments:
        entry: `name=distribution(…)` or `name=number`.

    Raises:
        ValueError: the text is neither, or the distribution refuses its arguments.

    Example:
        >>> parse_dimension("dropout=uniform(0, 0.5)")
        ('dropout', Uniform(low=0, high=0.5))
    """
    from jaxopt_notes import search

    known = ("uniform", "log_uniform", "normal", "integers", "choice")
    name, _, text = entry.partition("=")
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call):
            return name.strip(), float(ast.literal_eval(node))
        if not (isinstance(node.func, ast.Name) and node.func.id in known):
            raise SyntaxError
        positional = [ast.literal_eval(argument) for argument in node.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    except (SyntaxError, ValueError, TypeError):
        raise ValueError(
            f"--space is {entry!r}, expected NAME=NUMBER or NAME=DISTRIBUTION, one of {', '.join(known)}: "
            'as in "learning_rate=log_uniform(1e-4, 1e-1)".'
        ) from None
    return name.strip(), getattr(search, node.func.id)(*positional, **named)


def _optimizers(options: argparse.Namespace) -> int:
    from jaxopt_notes.optimizers import OPTIMIZERS

    for name, factory in sorted(OPTIMIZERS.items()):
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
