"""Programs kept between runs of a command: where, how many, and that the second run compiles none."""

import json
import os
import subprocess
import sys
import types

import pytest

from jaxopt_notes.cli import kept_programs
from jaxopt_notes.cli.kept_programs import keep_programs, own_folder, prune

COUNTED = """
import collections, json, sys
import jax
from jaxopt_notes.cli import main
events = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name.rsplit("/")[-1]]))
code = main(sys.argv[1:])
print(json.dumps([code, events["cache_hits"], events["cache_misses"]]))
"""


@pytest.fixture
def config(monkeypatch):
    """JAX's configuration as it is in a new process."""
    settings = {"jax_compilation_cache_dir": None}

    class Config:
        update = staticmethod(settings.__setitem__)

        def __getattr__(self, name):
            return settings[name]

    monkeypatch.setattr(kept_programs, "jax", types.SimpleNamespace(config=Config()))
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    return settings


def test_programs_are_kept_in_the_user_s_cache_folder(config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_programs()
    folder = own_folder(os.environ)
    assert config["jax_compilation_cache_dir"] == str(folder)
    assert config["jax_persistent_cache_min_compile_time_secs"] == 0
    assert folder.parent == tmp_path / "jaxopt-notes" / "programs"
    assert list(folder.iterdir()) == []
    assert own_folder({"HOME": "x"}).is_absolute()


def test_a_folder_that_jax_was_given_stays(config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "5")
    config["jax_compilation_cache_dir"] = "own"
    keep_programs()
    assert config == {"jax_compilation_cache_dir": "own"}
    assert list(tmp_path.iterdir()) == []
    keep_programs(wanted=False)
    assert config["jax_enable_compilation_cache"] is False


def test_a_folder_that_cannot_be_written_is_a_sentence(config, monkeypatch, tmp_path, capsys):
    (tmp_path / "jaxopt-notes").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_programs()
    assert config["jax_compilation_cache_dir"] is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("compiled programs are not kept: ")
    assert "--no-cache" in said


def test_the_oldest_programs_go_first(tmp_path):
    for age, name in enumerate(["new", "old", "older"]):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    prune(tmp_path, 30)
    assert len(list(tmp_path.iterdir())) == 3
    prune(tmp_path, 15)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.full
def test_the_second_run_of_a_command_compiles_nothing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    small = ["sweep", "--configs=2", "--seeds=1", "--epochs=1", "--optimizer=sgd", "--quiet", "--overwrite"]

    def run(*more: str) -> list:
        command = [sys.executable, "-c", COUNTED, *small, f"--output={tmp_path / 'out'}", *more]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    code, hits, misses = run()
    assert code == 0
    assert 5 <= hits + misses <= 40  # 153 programs were compiled when every operation was one
    assert run() == [0, hits + misses, 0]
