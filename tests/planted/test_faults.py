"""The list of planted faults fits the sources, so that it cannot grow stale."""

import ast

from tests.planted import PACKAGE, ROOT, Fault, faults
from tests.planted import __main__ as planting
from tests.planted.__main__ import killers, run_fault, stages, verdict, write

FAULTS = faults()


def test_each_can_be_planted_once_and_changes_the_program():
    wrong = {}
    for fault in FAULTS:
        try:
            ast.parse(fault.planted((ROOT / fault.file).read_text(encoding="utf-8")))
        except (OSError, ValueError, SyntaxError) as error:
            wrong[fault.id] = str(error)
        if fault.find.split() == fault.plant.split() or not fault.fault:
            wrong[fault.id] = "changes nothing"
    assert not wrong


def test_the_list_covers_every_subpackage():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 130
    folders = {path.parent for path in (ROOT / PACKAGE).rglob("*.py") if path.name != "__init__.py"}
    found = {str(folder.relative_to(ROOT / PACKAGE)) for folder in folders} - {"."}
    assert not found - {fault.subpackage for fault in FAULTS}


def test_the_mirrored_test_file_comes_first():
    fault = next(fault for fault in FAULTS if fault.file == "jaxopt_notes/layers/dropout.py")
    first, second, third = stages(ROOT, fault)
    assert first == ["tests/layers/test_dropout.py"]
    assert "tests/layers/test_layers.py" in second
    assert "tests/interop/test_layers_interop.py" in third
    assert not any("planted" in name for name in first + second + third)


def test_what_caught_a_fault_in_an_earlier_run_comes_before_all_else(tmp_path, monkeypatch):
    fault, report = Fault("id", "module.py", "two for one", "1", "2"), tmp_path / "earlier.tsv"
    (tmp_path / "module.py").write_text("x = 1")
    others = [Fault(name, *fault[1:]) for name in ("survived", "slow")]
    outcomes = [("survived", ""), ("killed", "more than 1800 s")]
    rows = [(other, *outcome, 1.0) for other, outcome in zip(others, outcomes, strict=True)]
    write([(fault, "killed", "tests/test_x.py::test_y", 1.0), *rows], report)
    known = killers(report)
    assert known == {"id": "tests/test_x.py::test_y"}
    runs = []
    monkeypatch.setattr(planting, "run_tests", lambda tree, run: runs.append(run) or ("survived", ""))
    run_fault(tmp_path, fault, known=known["id"])
    run_fault(tmp_path, fault, broken=[known["id"]], known=known["id"])
    assert runs[0] == ["tests/test_x.py::test_y"]
    assert [known["id"] in run for run in runs] == [True, *[False] * (len(runs) - 1)]
    assert len(runs) == 3  # and each time the properties, which no file beside it goes before
    assert (tmp_path / "module.py").read_text() == "x = 1"


def test_a_subpackage_may_lose_a_tenth_and_all_a_twentieth():
    def results(killed, survived, folder):
        made = Fault(f"{folder}", f"{PACKAGE}/{folder}/x.py", "", "", "")
        return [(made, "killed", "", 0.0)] * killed + [(made, "survived", "", 0.0)] * survived

    assert verdict(results(9, 1, "a") + results(10, 0, "b"))
    assert not verdict(results(8, 1, "a") + results(20, 0, "b"))
    assert not verdict(results(9, 1, "a") + results(8, 0, "b"))
