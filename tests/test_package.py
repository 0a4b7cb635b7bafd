"""The package as a whole: what an import costs, who may import whom, and what every public name must have."""

import ast
import functools
import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys
import types
import typing

import pytest

import jaxopt_notes

PACKAGE = pathlib.Path(jaxopt_notes.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from layers below its own, or from its own subpackage.
IMPORT_LAYERS = (
    {"sharding", "one_core"},
    {"record", "registry", "dtypes", "numerics", "control_flow", "tracing", "draws", "serialization"},
    {"masks", "norms"},
    {
        "initializers",
        "activations",
        "schedules",
        "losses",
        "metrics",
        "projections",
        "population",
        "sparsity",
    },
    {"layers"},
    {"penalties"},
    {"optimizers", "data", "problems"},
    {"models"},
    {"training"},
    {"search", "ensembles", "transfer", "diagnostics"},
    {"studies", "plots", "interop"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
# They need packages that may be missing, so any layer may import them, inside a function.
OPTIONAL = {"plots", "interop"}
PEERS = {"optax", "flax", "torch", "equinox", "optuna", "orbax"}
# Slow to import or not installed with the package, so never needed by `import jaxopt_notes`.
HEAVY = PEERS | {
    "matplotlib", "sklearn", "tqdm", "safetensors", "pandas", "scipy.linalg", "scipy.optimize", "scipy.stats",
    "libtpu", "IPython", "pytest",
}  # fmt: skip


def part(module: str) -> str:
    """The subpackage (or top module) of a dotted name: `jaxopt_notes.optimizers.adam` → `optimizers`."""
    return [*module.split("."), "__init__"][1]


def module_name(path: pathlib.Path) -> str:
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imports(path: pathlib.Path) -> list[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so when it is itself imported."""
    found = []

    def is_module(name: str) -> bool:
        target = ROOT / name.replace(".", "/")
        return target.is_dir() or target.with_suffix(".py").is_file()

    def visit(node: ast.AST, eager: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.extend((name if is_module(name) else str(node.module), eager) for name in names)
        eager = eager and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, eager)

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def python(code: str, **environment: str) -> str:
    """The output of a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


# What an import costs


def test_import_loads_nothing_optional():
    code = "import sys, jaxopt_notes; print(*sys.modules)"
    assert HEAVY & set(python(code).split()) == set()


def test_import_initializes_no_backend():
    """Every module imports where no device could be had, so none makes an array while it is imported."""
    modules = [name for name in map(module_name, FILES) if part(name) not in {"plots", "__main__"}]
    code = f"""
import importlib, jax
for name in {modules}:
    importlib.import_module(name)
try:
    jax.devices()
except RuntimeError:
    print("no device")
"""
    assert python(code, JAX_PLATFORMS="nonsense").strip() == "no device"


# Who may import whom


def test_every_module_has_an_import_layer():
    parts = {part(module_name(path)) for path in FILES}
    assert parts <= set().union(*IMPORT_LAYERS)


@functools.cache
def all_imports() -> list[tuple[str, str, bool]]:
    """Importer, module, and whether it is imported at once."""
    return [(module_name(path), module, eager) for path in FILES for module, eager in imports(path)]


def test_imports_go_downwards():
    height = {name: i for i, names in enumerate(IMPORT_LAYERS) for name in names}
    for importer, module, eager in all_imports():
        own = part(importer)
        if module.split(".")[0] == PACKAGE.name and part(module) != own:
            optional = part(module) in OPTIONAL and not eager
            assert height[part(module)] < height[own] or optional, f"{importer} imports {module}"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of a graph, its first node once more at the end; empty if there is none."""
    finished: set[str] = set()

    def search(node: str, line: list[str]) -> list[str]:
        if node in line:
            return [*line[line.index(node) :], node]
        for other in sorted(graph.get(node, ())) if node not in finished else ():
            if found := search(other, [*line, node]):
                return found
        finished.add(node)
        return []

    return next(filter(None, (search(node, []) for node in sorted(graph))), [])


def test_modules_import_in_no_circle():
    """Also inside functions. A subpackage's `__init__` counts where something is imported from it."""
    graph: dict[str, set[str]] = {}
    for importer, module, _ in all_imports():
        if importer not in (module, PACKAGE.name):  # the top imports all of them, when they are used
            graph.setdefault(importer, set()).add(module)
    assert circle({"a": {"b", "c"}, "b": {"d"}, "d": {"c"}, "c": {"b"}}) == ["b", "d", "c", "b"]
    assert circle(graph) == []


def test_peers_are_imported_in_functions_of_interop_only():
    for importer, module, eager in all_imports():
        if module.split(".")[0] in PEERS:
            assert not eager, f"{module} is imported with {importer}"
            assert part(importer) == "interop", f"{importer} imports {module}"
        if module.split(".")[0] == "matplotlib":
            assert part(importer) == "plots", f"{importer} imports {module}"


def test_no_private_api_of_jax():
    private = "jax." + "_src"
    folders = [PACKAGE, *(ROOT / name for name in ("tests", "benchmarks", "notebooks"))]
    sources = [
        path for folder in folders for suffix in ("py", "ipynb") for path in folder.rglob(f"*.{suffix}")
    ]
    assert [str(path) for path in sources if private in path.read_text(encoding="utf-8")] == []


def test_modules_are_short_and_say_what_they_are():
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in FILES}
    assert [name for name, source in sources.items() if len(source.splitlines()) > 400] == []
    docstrings = {name: ast.get_docstring(ast.parse(source)) for name, source in sources.items() if source}
    assert [name for name, docstring in docstrings.items() if not docstring] == []


# What is at the top


def test_the_top_has_the_public_functions_of_the_flat_subpackages():
    """The rule that the package's docstring states, from the subpackages' own lists."""
    homes = {}
    for subpackage in jaxopt_notes._FLAT:
        module = importlib.import_module(f"{PACKAGE.name}.{subpackage}")
        for name in module.__all__:
            if name[0].islower() or name in {"Trainer", "SealedTestSet"}:
                homes.setdefault(name, set()).add(id(getattr(module, name)))
    shared = {name for name, things in homes.items() if len(things) > 1}
    assert shared == set(jaxopt_notes._AMBIGUOUS)
    kept = {name for name, home in jaxopt_notes._AMBIGUOUS.items() if home}
    modules = {*jaxopt_notes._FLAT, *jaxopt_notes._NAMESPACES}
    expected = set(homes) - shared | kept | modules | {"__version__", "record", "replace", "static"}
    assert set(dir(jaxopt_notes)) == expected
    assert all({id(getattr(jaxopt_notes, name))} == homes[name] for name in set(homes) - shared)


def test_every_public_subpackage_is_an_attribute():
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"cli"}
    code = f"import jaxopt_notes as jn; print(*(getattr(jn, name).__name__ for name in {sorted(there)}))"
    assert python(code).split() == [f"{PACKAGE.name}.{name}" for name in sorted(there)]


@pytest.mark.parametrize("subpackage", [*jaxopt_notes._FLAT, *jaxopt_notes._NAMESPACES])
def test_help_opens_with_what_users_call(subpackage):
    """`help(jn.search)` prints the docstring first: public functions stand on its first screen."""
    module = importlib.import_module(f"{PACKAGE.name}.{subpackage}")
    screen = " ".join((module.__doc__ or "").splitlines()[:24])
    named = {name for name in module.__all__ if name[0].islower() and re.search(rf"\b{name}\b", screen)}
    functions = [name for name in module.__all__ if name[0].islower()]
    assert len(named) >= min(2, len(functions) - (subpackage == "population")), named


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("constant", "jn.schedules.constant or jn.initializers.constant"),
        ("relu", "jn.activations.relu"),
        ("Adam", "jn.optimizers.Adam"),
    ],
)
def test_a_name_that_is_not_at_the_top_says_where_it_is(name, remedy):
    with pytest.raises(AttributeError, match=remedy):
        getattr(jaxopt_notes, name)
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = jaxopt_notes.nonsense


# What every public name must have

PUBLIC = {name: getattr(jaxopt_notes, name) for name in getattr(jaxopt_notes, "__all__", ())}

# A public function belongs to the family of its part if the record it makes has this method, or if its
# first arguments are these. A family stands in registries, which are dicts in upper case.
METHODS = {
    "initializers": "__call__",
    "schedules": "__call__",
    "layers": "apply",
    "models": "apply",
    "optimizers": "update",
    "search": "ask",
    "training": "update",
}
ARGUMENTS = {
    "activations": ["x"],
    "losses": ["outputs", "targets"],
    "metrics": ["outputs", "targets"],
}
# Made of members of the family, and tested with them.
COMBINATORS = {"chain", "partition", "shard_state"}


def is_record_of(thing: typing.Any) -> str | None:
    """The name of the factory that documents a record: `adam` for `Adam`, whose docstring says so."""
    doc = inspect.getdoc(thing) or ""
    return doc.split("`")[1] if inspect.isclass(thing) and doc.startswith("See `") else None


def test_every_public_name_is_explained_with_an_example():
    for name, thing in PUBLIC.items():
        if isinstance(thing, types.ModuleType):
            assert thing.__doc__, f"{name} has no docstring"
        elif factory := is_record_of(thing):
            assert factory in PUBLIC, f"{name} says: see {factory}, which is not public"
        elif callable(thing):
            doc = inspect.getdoc(thing) or ""
            assert doc, f"{name} has no docstring"
            assert ">>>" in doc, f"{name} has no example"


def is_of_the_family(thing: typing.Any, home: str) -> bool:
    if not callable(thing) or inspect.isclass(thing):
        return False
    if home in ARGUMENTS:
        return list(inspect.signature(thing).parameters)[: len(ARGUMENTS[home])] == ARGUMENTS[home]
    made = typing.get_type_hints(thing).get("return") if home in METHODS else None
    bases = inspect.getmro(made) if inspect.isclass(made) else ()
    return any(METHODS[home] in vars(base) for base in bases)  # every class has the attribute __call__


def test_every_public_factory_is_registered():
    for name, thing in PUBLIC.items():
        home = part(getattr(thing, "__module__", None) or PACKAGE.name)
        if is_of_the_family(thing, home) and name not in COMBINATORS:
            names = vars(importlib.import_module(f"{PACKAGE.name}.{home}"))
            registries = [value for key, value in names.items() if key.isupper() and isinstance(value, dict)]
            found = any(thing in registry.values() for registry in registries)
            assert found, f"{name} is in no registry of {home}"
