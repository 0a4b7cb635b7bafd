"""Notebooks: they run, and print what they keep; their first cells fit where the package is published."""

import contextlib
import importlib.metadata
import importlib.util
import io
import os
import pathlib
import shutil
import subprocess
import sys
import types

import pytest

import jaxopt_notes as jn
from tests import notebooks

nbformat = pytest.importorskip("nbformat")

ALL = {path.stem: path for path in notebooks.PATHS}
SHARDED = {
    "01_quick_start",
    "05_sweeps_on_all_devices",
}  # of which spreading programs over devices is the point
NEEDS = {"10_with_flax_and_equinox": ("flax", "equinox", "optax")}


def read(name):
    return nbformat.read(ALL[name], as_version=4)


@pytest.mark.full
@pytest.mark.notes("S3-54")
@pytest.mark.parametrize(
    ("name", "devices"), [*((name, 8) for name in ALL), *((name, 1) for name in ALL if name in SHARDED)]
)
def test_it_runs_and_prints_what_it_keeps(name, devices, monkeypatch):
    """What it keeps was printed on one device; eight print it again, so that one run looks at both."""
    pytest.importorskip("nbclient")
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    if devices > 1:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        monkeypatch.setenv("XLA_FLAGS", flags)
    fresh = notebooks.execute(ALL[name])
    assert notebooks.differences(read(name), fresh) == []
    kept, printed = (notebooks.text(notebooks.code(one)[0]).count("CpuDevice") for one in (read(name), fresh))
    assert (kept, printed) == (1, devices)
    assert any("image/png" in kind for cell in notebooks.code(fresh) for kind in notebooks.kinds(cell))


@pytest.mark.parametrize("name", ALL)
def test_it_is_kept_with_the_outputs_of_its_cells(name):
    """`python -m tests.notebooks --write` brings a stale one up to date."""
    notebook = read(name)
    assert notebook.metadata[notebooks.KEY] == notebooks.stamp(notebook, jn.__version__)
    code = notebooks.code(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert sum(bool(cell.outputs) for cell in code) >= len(code) // 2
    assert not any(out.get("name") == "stderr" for cell in code for out in cell.outputs)  # no warnings


@pytest.mark.parametrize("name", ALL)
def test_its_first_cells_are_those_of_the_address(name):
    notebook = read(name)
    before = [cell.source for cell in notebook.cells]
    notebooks.with_first_cells(notebook, notebooks.address(), name)
    assert [cell.source for cell in notebook.cells] == before
    assert before[0].startswith("# ")


def test_a_changed_cell_another_version_and_other_numbers_are_noticed():
    cell = nbformat.v4.new_code_cell
    first, second = cell("1"), cell("print(2)")
    stored = nbformat.v4.new_notebook(cells=[first, second])
    mark = notebooks.stamp(stored, "1.0")
    assert notebooks.stamp(stored, "1.1") != mark
    assert notebooks.stamp(nbformat.v4.new_notebook(cells=[cell("other"), second]), "1.0") == mark
    assert notebooks.stamp(nbformat.v4.new_notebook(cells=[first, cell("print(3)")]), "1.0") != mark

    def printing(text, *tags, kind="stream"):
        made = cell("print(2)", metadata={"tags": list(tags)})
        made.outputs = [nbformat.v4.new_output(kind, text=text)]
        return nbformat.v4.new_notebook(cells=[made])

    for old, new, found in (
        ("loss 1.00, 1.5e-04", "loss  1.04, 1.45e-04", 0),
        ("loss 1.00, 1.5e-04", "loss 1.08, 1.5e-04", 1),
        ("0.19, 2.1e-03", "0.20, 2.2e-03", 0),  # one in the last digit
        ("0.19 of 1", "0.21 of 2", 2),  # a count has no last digit
        ("loss 1.00", "gain 1.00", 1),
        ("loss 1.00", "loss 1.00 0.1", 1),
        ("x2 is 3", "x3 is 3", 1),  # a name is no number
        ("nan", "nan", 0),
        ("nan", "inf", 1),
        ("1e-9", "-3e-8", 0),
    ):
        assert len(notebooks.differences(printing(old), printing(new))) == found, (old, new)
    assert notebooks.differences(printing("1 s", "machine"), printing("9 s", "machine")) == []
    silent = printing("1 s", "machine")
    silent.cells[0].outputs = []
    assert len(notebooks.differences(printing("1 s", "machine"), silent)) == 1


def test_badge_and_address_come_from_one_place():
    """Without an address no badge; with one, the notebook's own page, once."""
    source = "# Title\n\nText.\n\nMore."
    published = notebooks.heading(source, "https://github.com/someone/somewhere", "03_optimizers")
    assert published.count("colab-badge.svg") == 1
    assert "/github/someone/somewhere/blob/main/notebooks/03_optimizers.ipynb" in published
    assert notebooks.heading(published, "https://github.com/other/place", "03_optimizers").count("](") == 2
    assert notebooks.heading(published, "", "03_optimizers") == source
    assert notebooks.badge("https://example.org/someone/somewhere", "x") == ""  # Colab opens GitHub's only
    cell = notebooks.installing("https://github.com/someone/somewhere", True)
    assert 'ADDRESS = "https://github.com/someone/somewhere"' in cell
    assert "WANTS_TPU = True" in cell


# The cell that installs


class Runtime:
    """A pretended Colab: installed versions, files, environment; every call of pip is written down."""

    def __init__(self, monkeypatch, *, jax="0.10.2", tpu=False, gpu=False, platform="cpu", missing=()):
        self.calls, self.here = (
            [],
            {"jax": jax, "chex": "1", "scikit-learn": "1", "matplotlib": "1", "tqdm": "1"},
        )
        for name in missing:
            del self.here[name]
        fake = types.SimpleNamespace(devices=lambda: ["device"], default_backend=lambda: platform)
        for name in ("COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE", "TPU_NAME"):
            monkeypatch.delenv(name, raising=False)
        if tpu:
            monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
        monkeypatch.setattr(os.path, "exists", lambda path: False)
        monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if gpu else None)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(importlib.metadata, "version", self.version)
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setitem(sys.modules, "jax", fake)
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))

    def version(self, name):
        if name not in self.here:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.here[name]

    def run(self, command, check):
        assert check
        arguments = command[command.index("install") + 2 :]
        self.calls.append(arguments)
        if any(argument.startswith("jax") and ">=" in argument for argument in arguments):
            self.here["jax"] = "0.11.0"

    def cell(self, url="", wants_tpu=False):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(notebooks.installing(url, wants_tpu), "first cell", "exec"), {})
        return out.getvalue()


def test_a_wheel_beside_the_notebook_is_installed_without_dependencies(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runtime = Runtime(monkeypatch)
    with pytest.raises(FileNotFoundError, match=r"python -m build.*upload"):
        runtime.cell()
    assert runtime.calls == []
    for version in ("0.1.0", "0.2.0"):
        pathlib.Path(f"jaxopt_notes-{version}-py3-none-any.whl").touch()
    assert runtime.cell() == "['device']\n"
    assert runtime.calls == [["--no-deps", "jaxopt_notes-0.2.0-py3-none-any.whl"]]


@pytest.mark.parametrize(
    ("runtime", "wanted"),
    [({"tpu": True}, "jax[tpu]>=0.10"), ({"gpu": True}, "jax[cuda12]>=0.10"), ({}, "jax>=0.10")],
)
def test_an_old_jax_is_replaced_by_the_one_that_fits(runtime, wanted, monkeypatch):
    runtime = Runtime(monkeypatch, jax="0.7.2", missing=("chex",), **runtime)
    said = runtime.cell("https://github.com/someone/somewhere")
    source = "jaxopt-notes @ git+https://github.com/someone/somewhere"
    assert runtime.calls == [["--no-deps", source], ["--upgrade", wanted], ["chex", "jax==0.11.0"]]
    assert "Restart" in said
    assert "device" not in said  # jax must not be imported before the restart


def test_what_is_missing_is_installed_and_jax_held(monkeypatch):
    runtime = Runtime(monkeypatch, jax="0.10.0", missing=("chex", "tqdm"))
    runtime.cell("https://github.com/someone/somewhere")
    assert runtime.calls[1:] == [["chex", "tqdm", "jax==0.10.0"]]


def test_a_tpu_that_is_not_there_is_named(monkeypatch):
    url = "https://github.com/someone/somewhere"
    assert "does not see" in Runtime(monkeypatch, tpu=True).cell(url)
    assert Runtime(monkeypatch, tpu=True, platform="tpu").cell(url, wants_tpu=True) == "['device']\n"
    assert "No TPU here" in Runtime(monkeypatch, gpu=True, platform="gpu").cell(url, wants_tpu=True)
    assert Runtime(monkeypatch, platform="cpu").cell(url) == "['device']\n"


def test_where_the_package_is_there_nothing_is_installed(monkeypatch):
    runtime = Runtime(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delitem(sys.modules, "google.colab")
    assert runtime.cell(wants_tpu=True) == "['device']\n"  # not on Colab, so nobody chose a runtime
    assert runtime.calls == []


# Their programs on TPUs

MESHES = {"01_quick_start": ("v5e:2x2", "v6e:2x4"), "05_sweeps_on_all_devices": ("v5e:2x4", "v6e:2x2")}


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="compiling for TPU needs libtpu")
@pytest.mark.parametrize("name", MESHES)
def test_its_population_is_compiled_for_meshes_of_tpus_without_collectives(name):
    """Its cells run up to the first population, whose program is compiled ahead of time, in a process.

    A text that the compiler's own library cannot read back (jaxlib 0.10.2 with libtpu 0.0.52 on v6e) is not
    looked at; the program before compilation always is.
    """
    cells = "\n".join(cell.source for cell in notebooks.code(read(name))[1:])
    code = """
import os, re, sys
import jax
from benchmarks.counts import tpu_devices
from jaxopt_notes.population import chunk_program

collectives = re.compile(
    "stablehlo.(all_|reduce_scatter|collective_)|(all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)"
)
compile, lowered = jax.stages.Lowered.compile, []
own = chunk_program.Program.__init__

def kept(self, *arguments, **options):
    lowered.append(self)
    return compile(self, *arguments, **options)

class Compiled(Exception):
    pass

def for_tpus(self, member, layout):
    jax.stages.Lowered.compile = kept
    for mesh in sys.argv[1:]:
        devices = tuple(tpu_devices(mesh))
        own(self, member, layout._replace(devices=devices, share=4, batch=4, workers=1))
        texts = [lowered[-1].as_text()]
        assert "num_partitions = %d" % len(devices) in texts[0], mesh
        try:
            texts.append(self.compiled.as_text())
        except jax.errors.JaxRuntimeError as error:
            assert "async-update" in str(error), error
        found = [match for text in texts for match in collectives.finditer(text)]
        assert not found, (mesh, [match.string[match.start() - 80 : match.end() + 80] for match in found[:3]])
        print("compiled for", len(devices), mesh, len(texts))
    raise Compiled

chunk_program.Program.__init__ = for_tpus
try:
    exec(os.environ["CELLS"], {})
except Compiled:
    print("done")
"""
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu", "CELLS": cells}
    run = subprocess.run(
        [sys.executable, "-c", code, *MESHES[name]],
        capture_output=True, text=True, env=environment, cwd=notebooks.ROOT,
    )  # fmt: skip
    assert "done" in run.stdout, run.stderr[-2000:]
    for mesh in MESHES[name]:
        assert f"compiled for {4 if mesh.endswith('2x2') else 8} {mesh}" in run.stdout
    assert f"{MESHES[name][0]} 2" in run.stdout  # both texts
