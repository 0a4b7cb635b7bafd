"""One's own tables: what is read, what is decided and said, what is learned from the training part alone."""

import decimal

import numpy as np
import pytest

from jaxopt_notes.cli.own_sweep import OwnTask, own_model
from jaxopt_notes.cli.own_table import fit_encoder, read_table
from jaxopt_notes.cli.table_file import read_columns


def line(i):
    age, city, y = 20 + i if i % 5 else "", "Bern" if i % 3 else "Rom", "yes" if i % 2 else "no"
    return f"{age};{city};2020-01-{i + 1:02d};n{i};NA;3;{y}\n"


TEXT = "age;city;born;name;empty;one;y\n" + "".join(map(line, range(30)))


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_is_read_and_described(tmp_path):
    columns = read_columns(write(tmp_path / "a.csv", "\ufeff" + TEXT))
    assert list(columns) == ["age", "city", "born", "name", "empty", "one", "y"]
    np.testing.assert_array_equal(columns["age"][:3], [np.nan, 21, 22])
    assert np.isnan(columns["empty"]).all()
    table = read_table(columns, "y")
    assert table.classes == ["no", "yes"]
    np.testing.assert_array_equal(table.target[:4], [0, 1, 0, 1])
    assert list(table.inputs) == ["age", "city", "born"]
    np.testing.assert_array_equal(np.diff(table.inputs["born"]), np.ones(29))
    said = " ".join(table.said)
    for part in (
        "'y' is a class, one of 2 (no, yes): classification, because it is text.",
        "'age' lacks 6 of 30 values.",
        "'born' is a date, taken in days.", "'name' has 30 different texts, as 'n0', and is left out",
        "'empty' has no values and is left out.", "'one' is constant and is left out.",
        "30 rows, 2 numbers and 1 categories as inputs.",
    ):  # fmt: skip
        assert part in said
    assert list(read_table(columns, "y", ignored=("city", "born")).inputs) == ["age"]


def test_numbers_are_classes_where_they_are_few_and_whole():
    x = np.arange(100.0)
    for y, task, classes in (
        (x % 3, "auto", ["0", "1", "2"]), (x % 3 + 0.5, "auto", []), (x, "auto", []),
        (x % 3, "regression", []), (x % 3 + 0.5, "classification", ["0.5", "1.5", "2.5"]),
    ):  # fmt: skip
        assert read_table({"x": x, "y": y}, "y", task).classes == classes
    table = read_table({"x": x, "y": np.where(x < 10, np.nan, x)}, "y")
    np.testing.assert_array_equal(table.target, x[10:])
    assert table.said[0] == "10 rows without 'y' are left out."


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b\n1,2\n\n1,2,3\n", r"line 4: 3 fields, expected 2, as the header has"),
        ("a.csv", "a,b\n1\n", r"line 2: 1 fields, expected 2"),
        ("a.csv", "", r"is empty"),
        ("a.csv", "a,b\n", r"has no rows"),
        ("a.csv", "1,2\n3,4\n", r"begins with numbers, 1, 2…, expected a line with the names"),
        ("a.csv", "a,a\n1,2\n", r"several columns called 'a'"),
        ("a.csv", "a,\n1,2\n", r"column 2 of the header has no name"),
        ("a.xls", "x", r"expected a file ending in \.csv"),
        ("a.npz", "nonsense", r"NumPy cannot load"),
        ("gone/a.csv", None, r"cannot be read \(No such file or directory\)"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        write(path, text)
    with pytest.raises(ValueError, match=message):
        read_columns(path)


def test_a_table_written_in_european_notation_is_the_same_table(tmp_path):
    """Semicolons, decimal commas, dots between thousands, days first, Windows-1252."""
    rows = [(i / 8 - 1, 1000.5 * i, i + 1, "é" if i % 3 else "a", i * 0.5) for i in range(28)]
    comma = lambda value, digits: f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))  # noqa: E731
    plain = "".join(f"{a},{b},2024-02-{c:02d},{d},{e}\n" for a, b, c, d, e in rows)
    there = "".join(
        f"{comma(a, 4)};{comma(b, 2)} €;{c:02d}.02.2024;{d};{comma(e, 3)}\n" for a, b, c, d, e in rows
    )
    write(tmp_path / "plain.csv", "a,b,c,d,e\n" + plain)
    (tmp_path / "there.csv").write_bytes(("a;b;c;d;e\n" + there).encode("cp1252"))
    said = []
    ours = read_table(read_columns(tmp_path / "there.csv", said), "e")
    theirs = read_table(read_columns(tmp_path / "plain.csv"), "e")
    assert said == ["The file is no text in UTF-8 and was read as Windows-1252."]
    assert "'b' has numbers written as '10.005,00 €', read as 10005." in ours.said
    assert not ours.classes
    np.testing.assert_array_equal(ours.target, theirs.target)
    assert list(ours.inputs) == ["a", "b", "c", "d"]
    for name, column in theirs.inputs.items():
        np.testing.assert_array_equal(ours.inputs[name], column)


def test_words_among_numbers_are_said():
    x, y = np.arange(30.0), np.arange(30.0)
    text = np.array([f"{value}" for value in x], object)

    def table(*words):
        column = text.copy()
        column[: len(words)] = words
        return read_table({"x": column, "y": y}, "y")

    assert "'x' has '-' among its numbers, which is taken for a missing one." in table("-", "-").said
    np.testing.assert_array_equal(table("-", "-").inputs["x"], [np.nan, np.nan, *x[2:]])
    with pytest.raises(ValueError, match=r"'x' has numbers in 28 rows, and in 2 'a', 'b': mend .*--ignore x"):
        table("a", "b")
    few = np.array(["1", "2", "other"] * 10, object)  # a category, some of whose levels are numbers
    assert read_table({"x": few, "y": y}, "y").inputs["x"].tolist() == few.tolist()


X = np.arange(9.0)


@pytest.mark.parametrize(
    ("columns", "target", "task", "message"),
    [
        ({"x": np.arange(9.0)}, "z", "auto", r"--target is 'z', expected a column of the file: x\."),
        ({"x": X, "y": np.full(9, np.nan)}, "y", "auto", r"--target 'y' has no values"),
        ({"x": X, "y": np.ones(9)}, "y", "auto", r"is 1\.0 in all rows: there is nothing to learn"),
        ({"x": X, "y": np.array([*"abcdefghi"], object)}, "y", "auto", r"too many for classes"),
        ({"x": X, "y": np.array([*"ab" * 4, "a"], object)}, "y", "regression", r"has text, as 'a'"),
        ({"x": np.ones(9), "y": X}, "y", "auto", r"no column to predict 'y' .*'x' is constant"),
        ({"x": np.array([np.inf, *range(8)]), "y": X}, "y", "auto", r"'x' has infinite .*--ignore x"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said(columns, target, task, message):
    with pytest.raises(ValueError, match=message):
        read_table(columns, target, task)


def test_parquet_and_numpy_files_are_the_same_table(tmp_path):
    x, text = np.array([1.5, np.nan, 3.0]), ["a", "b", None]
    np.savez(tmp_path / "a.npz", x=x, image=np.ones((3, 4, 4), np.uint8), text=["a", "b", ""])
    np.save(tmp_path / "a.npy", np.array([(1.5, "a"), (2.0, "NA")], [("x", float), ("text", "U2")]))
    np.save(tmp_path / "plain.npy", np.arange(6).reshape(3, 2))
    found = read_columns(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["x"], x)
    assert found["image"].shape == (3, 4, 4)
    assert found["text"].tolist() == text
    assert read_columns(tmp_path / "a.npy")["text"].tolist() == ["a", None]
    np.testing.assert_array_equal(read_columns(tmp_path / "plain.npy")["1"], [1, 3, 5])
    np.savez(tmp_path / "b.npz", a=np.ones(2), b=np.ones(3))
    with pytest.raises(ValueError, match=r"lengths \{'a': 2, 'b': 3\}"):
        read_columns(tmp_path / "b.npz")

    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"x": [1.5, None, 3.0], "n": [1, 2, 3], "flag": [True, None, False], "text": text})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = read_columns(tmp_path / "a.parquet")
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["n"], [1, 2, 3])
    assert found["flag"].tolist() == ["True", None, "False"]
    assert found["text"].tolist() == text
    write(tmp_path / "b.parquet", "no such thing")
    with pytest.raises(ValueError, match="no Parquet file"):
        read_columns(tmp_path / "b.parquet")


def test_preparation_is_learned_from_the_training_part():
    """By hand: median 3, so the numbers are 1, 3, 5, 3 with mean 3 and deviation √2."""
    train = {"x": np.array([1.0, np.nan, 5.0, 3.0]), "c": np.array(["a", "b", "a", None], object)}
    encoder = fit_encoder(train)
    other = {"x": np.array([7.0, np.nan]), "c": np.array(["b", "new"], object)}
    expected = [[4 / np.sqrt(2), 0, 0, 0, 1], [0, 1, 0, 0, 0]]  # x, missing, then the levels "", a, b
    np.testing.assert_allclose(encoder.apply(other), expected, rtol=1e-6)
    assert encoder.as_dict()["categories"] == {"c": ["", "a", "b"]}
    assert encoder.as_dict()["numbers"]["x"]["median"] == 3.0


def test_preparation_does_not_see_other_rows():
    y = np.arange(40.0)
    task = OwnTask(read_table({"x": np.r_[np.zeros(20), 1.0, np.full(19, 1e6)], "y": y}, "y"), "mlp")
    x, z = task._prepare(np.arange(21)).of(np.arange(21))
    np.testing.assert_allclose([x.mean(), x.std(), z.mean(), z.std()], [0, 1, 0, 1], atol=1e-6)


def test_a_model_must_fit_the_table():
    y, image = np.arange(30.0), np.ones((30, 4, 4))
    columns = {"x": np.arange(30.0), "image": image, "y": y}
    for inputs, model, message in (
        (("x", "y"), "cnn", r"--model is cnn, which needs images"),
        (("x", "image", "y"), "mlp", r"the array 'image' and 'x' as inputs"),
        (("x", "y"), "nowhere:net", r"'nowhere' cannot be imported"),
        (("x", "y"), "math:nothing", r"the module has no 'nothing'"),
        (("x", "y"), "textwrap:dedent", r"expected a function of \(h, outputs\)"),
        (("x", "y"), "tree", r"--model is 'tree', expected mlp, cnn or module:function"),
    ):
        task = OwnTask(read_table({name: columns[name] for name in inputs}, "y"), model)
        with pytest.raises(ValueError, match=message):
            task.check("adam", {})
    with pytest.raises(ValueError, match="9 rows with a target, expected 20 at least"):
        OwnTask(read_table({"x": y[:9], "y": y[:9]}, "y"), "mlp").check("adam", {})
    assert own_model("fractions:Fraction")(1, 2) == 0.5


def test_the_index_of_a_data_frame_is_no_input(tmp_path):
    """As pandas writes it: without a name in CSV, under a name of its own in Parquet."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")  # by which pandas writes Parquet
    frame = pandas.DataFrame(
        {"x": np.arange(9.0) ** 2, "y": np.arange(9.0)}, index=[3, 1, 4, 15, 9, 2, 6, 5, 35]
    )
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        table = read_table(read_columns(tmp_path / name), "y")
        assert list(table.inputs) == ["x"]
        assert "The index of a data frame stands beside its columns and is left out." in table.said


def test_decimals_are_numbers(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    prices = [decimal.Decimal("1.50"), None, decimal.Decimal("2.25")]
    pandas.DataFrame({"price": prices}).to_parquet(tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_columns(tmp_path / "a.parquet")["price"], [1.5, np.nan, 2.25])
