"""The report on rows of the notes: its list of rows, and how it finds marks."""

import collections
import json

import pytest

from tests import rows


def test_every_row_has_one_id_and_a_name():
    lines = (rows.ROOT / "tests" / "rows.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [tuple(line.split("\t")) for line in lines]
    assert all(len(pair) == 2 and all(part.strip() == part != "" for part in pair) for pair in pairs)
    ids = [row for row, _ in pairs]
    assert [row for row, times in collections.Counter(ids).items() if times > 1] == []


def test_the_list_is_complete():
    """As many rows as the notes have, without a gap in the numbers of any seed."""
    seeds = collections.defaultdict(list)
    for row in rows.names():
        seed, number = row.split("-")
        seeds[seed].append(number)
    assert {seed: len(numbers) for seed, numbers in seeds.items()} == {
        "S0": 41, "S1": 79, "S2": 90, "S3": 55, "S4": 81, "X": 18,
    }  # fmt: skip
    for seed, numbers in seeds.items():
        plain = [number for number in numbers if number.isdigit()]
        assert plain == [f"{i:02d}" for i in range(1, len(plain) + 1)], seed
    assert "22b" in seeds["S4"]


def test_every_mark_in_the_tests_is_a_known_row():
    rows.coverage()


SOURCE = '''
import pytest
pytestmark = [pytest.mark.full, pytest.mark.notes("S0-01")]

@pytest.mark.notes("S0-02", "S4-22b")
@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.notes("X-01"))])
def test_one(x):
    """Not a mark: @pytest.mark.notes("S0-03")."""

class TestTwo:
    @pytest.mark.notes("S0-02")
    def test_two(self): ...
'''


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "tests" / "layers").mkdir(parents=True)
    (tmp_path / "tests" / "layers" / "test_one.py").write_text(SOURCE)
    return tmp_path


def test_marks_are_found_wherever_pytest_takes_them(repository):
    found = {row: places for row, places in rows.coverage(repository).items() if places}
    assert found == {
        "S0-01": ["tests/layers/test_one.py:3"],
        "S0-02": ["tests/layers/test_one.py:5", "tests/layers/test_one.py:11"],
        "S4-22b": ["tests/layers/test_one.py:5"],
        "X-01": ["tests/layers/test_one.py:6"],
    }
    assert rows.totals(rows.coverage(repository))["S0"] == (2, 41)
    assert rows.totals(rows.coverage(repository))["all"] == (4, 364)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ('"S9-99"', r"test_bad\.py, line 1: 'S9-99' is not a row"),
        ("ROWS", "ROWS is no literal"),
        ("", "without a row"),
    ],
)
def test_a_bad_mark_is_an_error_with_its_place(repository, argument, message):
    (repository / "tests" / "test_bad.py").write_text(f"pytestmark = pytest.mark.notes({argument})\n")
    with pytest.raises(rows.UnknownRow, match=message):
        rows.coverage(repository)


def test_command(monkeypatch, capsys, repository):
    monkeypatch.setattr(rows, "coverage", lambda found=rows.coverage(repository): found)
    monkeypatch.setattr(rows, "advice", dict)
    assert rows.main([]) == 1  # most rows have no test
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["S0", "2/41"]
    assert sum(line.startswith(("S0-", "S1-", "S2-", "S3-", "S4-", "X-")) for line in lines) == 360

    rows.main(["--covered"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "S0-01",
        "S0-02",
        "S4-22b",
        "X-01",
    ]

    rows.main(["--uncovered"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 360
    assert lines[0].split(maxsplit=1) == ["S0-03", "Sequence loss over batch×time"]

    rows.main(["--json"])
    table = json.loads(capsys.readouterr().out)
    assert table["totals"]["all"] == [4, 364]
    assert table["rows"]["S4-22b"] == {
        "name": "Linear cosine / noisy linear cosine",
        "tests": ["tests/layers/test_one.py:5"],
        "advice": None,
    }


def test_a_row_is_accounted_for_by_a_test_or_by_a_place_that_says_it(monkeypatch, capsys, repository):
    found = rows.coverage(repository)
    said = {row: ("README.md", "words") for row in found if row not in ("S0-01", "S0-05")}
    assert rows.unaccounted(found, said) == ["S0-05"]  # S0-01 has a test
    monkeypatch.setattr(rows, "coverage", lambda: found)
    monkeypatch.setattr(rows, "advice", lambda: said)
    assert rows.main([]) == 1
    assert "S0-05" in capsys.readouterr().out
    monkeypatch.setattr(rows, "advice", lambda: said | {"S0-05": ("README.md", "words")})
    assert rows.main([]) == 0
    assert "“words” ([`README.md`](../README.md))" in rows.page(found, said)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("S0-04\tREADME.md\tgood  advice", None),
        ("S9-04\tREADME.md\tgood advice", "'S9-04' is not a row"),
        ("S0-04\tREADME.md\tbad advice", "README.md does not say of S0-04: bad advice"),
        ("S0-04\tnothing.md\tgood advice", "nothing.md does not say"),
    ],
)
def test_the_place_of_advice_says_it(repository, line, message):
    (repository / "README.md").write_text("Some good\nadvice.")
    (repository / "tests" / "advice.tsv").write_text(line + "\n")
    if message is None:
        assert list(rows.advice(repository)) == ["S0-04"]
    else:
        with pytest.raises(rows.UnknownRow, match=message):
            rows.advice(repository)


def test_every_row_is_accounted_for():
    assert rows.unaccounted(rows.coverage(), rows.advice()) == []


def test_an_unknown_row_fails_the_command(monkeypatch, capsys, repository):
    (repository / "tests" / "test_bad.py").write_text('pytestmark = pytest.mark.notes("S9-99")\n')
    read = rows.coverage
    monkeypatch.setattr(rows, "coverage", lambda: read(repository))
    assert rows.main([]) == 1
    assert "S9-99" in capsys.readouterr().err


def test_the_page_for_readers_is_up_to_date():
    assert rows.PAGE.read_text(encoding="utf-8") == rows.page(rows.coverage(), rows.advice()), (
        "python -m tests.rows --write"
    )
