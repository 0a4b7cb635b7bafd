"""`jaxopt-notes study`: one experiment of the notes, its table on the screen, its figure in a folder.

Studies come from `STUDIES`, and what may be set from the signature of each: a study that is added needs
nothing here.
"""

import argparse
import inspect
import pathlib
from collections.abc import Callable
from typing import Any

NO_CACHE = "compile everything anew, keep nothing (programs are kept in XDG_CACHE_HOME or JAX's own folder)"


def add_study(commands: Any) -> None:
    """Put the command into a parser's subcommands."""
    parser = commands.add_parser(
        "study",
        help="run an experiment of the notes: its table on the screen, its figure in a folder",
        description="Run one experiment of the study notes. NAME=VALUE changes one of its arguments, such as "
        "seeds=4 or epochs=100; --list names the studies and what each of them takes.",
    )
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help="see --list")
    add("settings", nargs="*", metavar="ARGUMENT=VALUE", help="as seeds=4")
    add("--list", action="store_true", help="every study, with its arguments and what it shows")
    add("--seed", type=int, default=0, metavar="N", help="the study is a function of it (default 0)")
    add("--output", type=pathlib.Path, default=pathlib.Path("runs/studies"), metavar="FOLDER",
        help="where NAME.png and NAME.csv go (default runs/studies)")  # fmt: skip
    add("--no-cache", action="store_true", help=NO_CACHE)
    add("--debug", action="store_true", help="a traceback instead of one line")
    parser.set_defaults(run=run_study)


def run_study(options: argparse.Namespace) -> int:
    """Run what was asked for.

    Returns:
        The exit code 0.

    Raises:
        ValueError: no such study, or a setting that it does not take.
    """
    if not 0 <= options.seed < 2**32:
        raise ValueError(f"--seed is {options.seed}, expected a whole number in [0, 2**32).")
    # Imported here, so that --help answers at once.
    from jaxopt_notes.record import check_choice
    from jaxopt_notes.studies import STUDIES

    if options.list or options.name is None:
        for name, study in sorted(STUDIES.items()):
            print(f"{name}  {describe(study)}".rstrip())
            print(f"    {(inspect.getdoc(study) or '').splitlines()[0]}")
        return 0
    check_choice("study", options.name, tuple(sorted(STUDIES)))
    study = STUDIES[options.name]
    settings = read_settings(study, options.settings)

    import jax

    from jaxopt_notes.cli.kept_programs import keep_programs
    from jaxopt_notes.plots.figure import figure
    from jaxopt_notes.search.export import write_csv

    figure(1, 1)  # a missing matplotlib is said now, not after the run
    keep_programs(not options.no_cache)
    options.output.mkdir(parents=True, exist_ok=True)
    keys = (jax.random.key(options.seed),) if "key" in inspect.signature(study).parameters else ()
    found: Any = study(*keys, **settings)
    print(found.table())
    stem = options.output / options.name
    write_csv(found.rows(), stem.with_suffix(".csv"))
    found.plot().savefig(stem.with_suffix(".png"), dpi=120)
    print(f"\n{stem}.png\n{stem}.csv")
    return 0


def settable(study: Callable[..., Any]) -> dict[str, int | float]:
    """The arguments of a study that are numbers, with their defaults.

    Example:
        >>> def of(key, *, seeds: int = 3, rate: float = 0.1, folder=None): ...
        >>> settable(of)
        {'seeds': 3, 'rate': 0.1}
    """
    arguments = inspect.signature(study).parameters.values()
    return {p.name: p.default for p in arguments if type(p.default) in (int, float)}


def describe(study: Callable[..., Any]) -> str:
    """Arguments and defaults in a line."""
    return " ".join(f"{name}={value}" for name, value in settable(study).items())


def read_settings(study: Callable[..., Any], settings: list[str]) -> dict[str, int | float]:
    """`seeds=4` and the like as arguments of a study.

    Raises:
        ValueError: no argument of that name, or no number of its kind.
    """
    known, found = settable(study), {}
    for entry in settings:
        name, separator, text = entry.partition("=")
        if name not in known or not separator:
            raise ValueError(
                f"study is given {entry!r}, expected ARGUMENT=VALUE with an argument of "
                f"{', '.join(known) or 'none: this study has none'}."
            )
        kind = type(known[name])
        try:
            found[name] = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"study is given {entry!r}, expected {what} for {name}.") from None
    return found
