"""The list of planted faults fits the sources, so that it cannot grow stale."""

import ast

from tests.planted import PACKAGE, ROOT, Fault, faults
from tests.planted.__main__ import stages, verdict

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
    assert first == ["tests/layers/test_dropout.py", fault.file]
    assert "tests/layers/test_layers.py" in second
    assert "tests/interop/test_layers_interop.py" in third
    assert not any("planted" in name for name in first + second + third)


def test_a_subpackage_may_lose_a_tenth_and_all_a_twentieth():
    def results(killed, survived, folder):
        made = Fault(f"{folder}", f"{PACKAGE}/{folder}/x.py", "", "", "")
        return [(made, "killed", "", 0.0)] * killed + [(made, "survived", "", 0.0)] * survived

    assert verdict(results(9, 1, "a") + results(10, 0, "b"))
    assert not verdict(results(8, 1, "a") + results(20, 0, "b"))
    assert not verdict(results(9, 1, "a") + results(8, 0, "b"))
