"""Plants each fault in a copy of the tree and runs the quick tests of its subpackage until one fails.

    python -m tests.planted                          all faults, one after the other
    python -m tests.planted --known planted.tsv      what caught each of them in an earlier run comes first
    python -m tests.planted losses search --jobs 2   those of two subpackages, two at a time
    python -m tests.planted moments-joint-rounding   one fault
    python -m tests.planted --list                   the faults, without running anything

Tests run in an order that finds a killer soon: what caught the fault before, if a report of an earlier run is
given; the file that mirrors the module; then the other tests of the folder; then all tests that name what the
module defines, and the properties. The copies share the tree's cache of compiled programs, so that only what
a fault changes is compiled again. Every test that caught a fault is run once more without any: one that fails
there too has caught nothing, and the run goes on without it.

The exit status is 1 if fewer than 95% of the faults are caught, or fewer than 90% in a subpackage.
"""

import argparse
import ast
import collections
import concurrent.futures
import contextlib
import importlib.util
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

from tests.planted import ROOT, Fault, faults, process

Result = tuple[Fault, str, str, float]  # the fault, "killed", "survived", …, the first killer, seconds
ALL, EACH = 0.95, 0.90  # what must be caught, of all and in each subpackage
LIMIT = 1800  # seconds a stage may take; a fault that makes a loop endless is caught by it


def stages(root: pathlib.Path, fault: Fault) -> tuple[list[str], list[str], list[str]]:
    """The tests to run, in three stages."""
    module = pathlib.PurePosixPath(fault.file)
    folder = pathlib.PurePosixPath("tests", *module.parent.parts[1:])
    names = [module.stem, *_public_names((root / fault.file).read_text(encoding="utf-8"))]
    named = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")

    def tests(*folders: str) -> list[str]:
        found = [path for name in folders for path in sorted((root / name).glob("test_*.py"))]
        return [path.relative_to(root).as_posix() for path in found]

    def naming(files: list[str]) -> list[str]:
        """Those that name it, the one that does so most often first."""
        counts = {name: len(named.findall((root / name).read_text(encoding="utf-8"))) for name in files}
        return sorted(filter(counts.get, files), key=lambda name: -counts[name])

    mirrored = f"{folder}/test_{module.stem}.py"
    first = [mirrored] if (root / mirrored).exists() else []
    near = naming(tests(str(folder)))
    if folder.parts[1:]:  # at the root of the tests, only what names the module belongs to it
        near += [name for name in tests(str(folder)) if name not in near]
    everywhere = (path.relative_to(root).as_posix() for path in sorted((root / "tests").rglob("test_*.py")))
    others = ("tests/properties/", "tests/planted/")  # the former come last, the latter read the sources
    beyond = naming([name for name in everywhere if not name.startswith(others)])
    second = [name for name in near if name not in first]
    third = [name for name in dict.fromkeys(beyond) if name not in first + second]
    return first, second, third


def _public_names(source: str) -> list[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    nodes = [node for node in ast.parse(source).body if isinstance(node, kinds)]
    return [node.name for node in nodes if not node.name.startswith("_")]


def run_fault(tree: pathlib.Path, fault: Fault, broken: Sequence[str] = (), known: str = "") -> Result:
    """Plant, test, and put the file back. Broken tests, which fail without any fault, are left out."""
    began, path = time.perf_counter(), tree / fault.file
    source = path.read_text(encoding="utf-8")
    of_files = stages(tree, fault)
    public = " or ".join(_public_names(source)) or path.stem
    earlier = [known] if known and known not in broken else []
    commands = [earlier, *of_files, ["tests/properties", "-k", public]]
    outcome, killer = "survived", ""
    try:
        path.write_text(fault.planted(source), encoding="utf-8")
        for command in commands:
            if command and outcome == "survived":
                outcome, killer = run_tests(tree, [*command, *(f"--deselect={name}" for name in broken)])
    finally:
        path.write_text(source, encoding="utf-8")
        # Its bytecode, which Python tells by second and size, may be the fault's, or the last one's.
        pathlib.Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    return fault, outcome, killer, time.perf_counter() - began


def run_tests(tree: pathlib.Path, arguments: Sequence[str]) -> tuple[str, str]:
    """ "killed" and the first test that failed, "survived", or "stopped" and its status."""
    one_process = ["-n0"] if importlib.util.find_spec("xdist") else []
    options = ["-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "-m", "not full", *one_process]
    status, output = process.run(tree, [*options, *arguments], LIMIT)
    if status is None:
        return "killed", f"more than {LIMIT} s"
    unknown = status == 4 and "not found: " in output
    if status in (0, 5) or unknown:  # 5: no test was selected
        return "survived", ""
    if status not in (1, 2, 3, 4):  # ended by the system, or by whoever runs this: nothing is known
        return "stopped", f"with status {status}"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    return "killed", failed[1] if failed else output.strip().splitlines()[-1]


@contextlib.contextmanager
def copies(number: int) -> Iterator[queue.Queue]:
    """Copies of the tree in a temporary folder: what git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    (ROOT / ".cache").mkdir(exist_ok=True)
    trees: queue.Queue = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        for i in range(number):
            tree = pathlib.Path(folder, str(i))
            for name in filter(None, listed.stdout.split("\0")):
                if (ROOT / name).is_file():
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, tree / name)
            (tree / ".cache").symlink_to(ROOT / ".cache")
            trees.put(tree)
        yield trees


def run_all(
    chosen: Sequence[Fault], jobs: int, report: pathlib.Path, known: Mapping[str, str]
) -> list[Result]:
    """All results, in the order of the list; each is printed and written as soon as it is known."""
    found: dict[str, Result] = {}
    broken: list[str] = []
    pending = list(chosen)
    with copies(jobs) as trees, concurrent.futures.ThreadPoolExecutor(jobs) as pool:

        def run(fault: Fault) -> Result:
            tree = trees.get()
            try:
                return run_fault(tree, fault, broken, known.get(fault.id, ""))
            finally:
                trees.put(tree)

        try:
            while pending:
                for task in concurrent.futures.as_completed([pool.submit(run, fault) for fault in pending]):
                    fault, outcome, killer, seconds = found[task.result()[0].id] = task.result()
                    print(f"{outcome:9} {seconds:6.1f} s  {fault.id}  {killer}", flush=True)
                    write([found[fault.id] for fault in chosen if fault.id in found], report)
                tree = trees.get()
                new = failing(tree, sorted({found[fault.id][2] for fault in pending}))
                trees.put(tree)
                for name in new:
                    print(f"fails without any fault: {name}", flush=True)
                broken += new
                pending = [fault for fault in pending if found[fault.id][2] in new]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            process.end_all()
            raise
    return [found[fault.id] for fault in chosen]


def failing(tree: pathlib.Path, tests: Sequence[str]) -> list[str]:
    """Which of these tests fail without any fault."""
    tests = [name for name in tests if "::" in name]
    if not tests or run_tests(tree, tests)[0] == "survived":
        return []
    return [name for name in tests if run_tests(tree, [name])[0] == "killed"]


def write(results: Sequence[Result], report: pathlib.Path) -> None:
    """The results as TSV."""
    lines = ["id\tfile\tfault\tresult\tfirst killer\tseconds"]
    for fault, outcome, killer, seconds in results:
        said = "equivalent" if fault.equivalent and outcome == "survived" else outcome
        lines.append("\t".join([fault.id, fault.file, fault.fault, said, killer, f"{seconds:.1f}"]))
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")


def killers(report: pathlib.Path) -> dict[str, str]:
    """Fault → the test that caught it first, from an earlier report."""
    rows = (line.split("\t") for line in report.read_text(encoding="utf-8").splitlines()[1:])
    return {row[0]: row[4] for row in rows if row[3] == "killed" and "::" in row[4]}


def counts(results: Sequence[Result]) -> dict[str, tuple[int, int]]:
    """Subpackage → faults that were caught, and faults that are no equivalents."""
    found: dict[str, list[bool]] = collections.defaultdict(list)
    for fault, outcome, _, _ in results:
        if not fault.equivalent:
            found[fault.subpackage].append(outcome == "killed")
    return {name: (sum(caught), len(caught)) for name, caught in found.items()}


def verdict(results: Sequence[Result]) -> bool:
    """Whether enough is caught, of all and in each subpackage."""
    rows = counts(results).values()
    caught, number = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return caught >= ALL * number and all(caught >= EACH * number for caught, number in rows)


def table(results: Sequence[Result]) -> str:
    """Caught and planted, by subpackage."""
    rows = counts(results)
    whole = (sum(row[0] for row in rows.values()), sum(row[1] for row in rows.values()))
    return "\n".join(
        f"{name:25} {caught:4} of {number:4}  {caught / max(number, 1):5.0%}"
        for name, (caught, number) in {**rows, "all": whole}.items()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m tests.planted", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wanted", nargs="*", metavar="ID|SUBPACKAGE|FILE", help="which faults (default all)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="faults at a time (default 1)")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("planted.tsv"), metavar="FILE")
    parser.add_argument(
        "--known", type=pathlib.Path, metavar="FILE", help="an earlier run's output, whose killers come first"
    )
    parser.add_argument("--list", action="store_true", help="print the faults and run nothing")
    options = parser.parse_args(arguments)
    planted = faults()

    def is_wanted(fault: Fault, name: str) -> bool:
        return name in (fault.id, fault.file, fault.subpackage, fault.subpackage.split("/")[0])

    for name in options.wanted:
        if not any(is_wanted(fault, name) for fault in planted):
            parser.error(f"{name!r} is no id, file or subpackage of a planted fault.")
    chosen = [f for f in planted if not options.wanted or any(is_wanted(f, name) for name in options.wanted)]
    if options.list:
        print("\n".join(f"{fault.id:32} {fault.file}: {fault.fault}" for fault in chosen))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    earlier = killers(options.known) if options.known else {}
    results = run_all(chosen, options.jobs, options.output, earlier)
    print(f"\n{table(results)}\n\nwritten to {options.output}")
    for fault, outcome, killer, _ in results:
        if outcome != "killed" and not fault.equivalent:
            print(f"{outcome}: {fault.id}, {fault.file}: {fault.fault} {killer}")
    return 0 if verdict(results) else 1


if __name__ == "__main__":
    sys.exit(main())
