"""Numbers and dates in text: each notation against numbers and days known by hand."""

import datetime

import numpy as np
import pytest

from jaxopt_notes.cli.written import has_decimal_commas, read_dates, read_numbers


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2.5", "1e3", "+.5"], [1, -2.5, 1000, 0.5]),
        (["1,5", "-1.234.567,25", "7", "2,5e-3"], [1.5, -1234567.25, 7, 0.0025]),
        (["1,234.5", "-1,234,567", "7.25"], [1234.5, -1234567, 7.25]),
        (["1 234,5", "12\u202f345", "1\u00a0000,0"], [1234.5, 12345, 1000]),
        (["1'234.5", "7.5"], [1234.5, 7.5]),
        (["12.5 %", "$3", "-€1,000.50", "£2"], [12.5, 3, -1000.5, 2]),
        (["1_000", "a1", "1.2.3", "1,2,3", "--1", ""], [np.nan] * 6),
    ],
)
def test_numbers_are_read_in_the_notation_that_reads_most(texts, values):
    np.testing.assert_array_equal(read_numbers(texts).values, values)


def test_a_comma_before_three_digits_is_what_the_table_says():
    texts = ["1,234", "12"]
    np.testing.assert_array_equal(read_numbers(texts).values, [1234, 12])
    np.testing.assert_array_equal(read_numbers(texts, decimal_comma=True).values, [1.234, 12])
    assert not has_decimal_commas(texts)
    assert has_decimal_commas(["0,5", "1,234"])
    assert read_numbers(["1", "2"]).plain
    assert not read_numbers(texts).plain


def test_dates_are_read_where_day_and_month_can_be_told_apart():
    day = (datetime.date(2024, 1, 31) - datetime.date(1970, 1, 1)).days
    for text, hours in (
        ("2024-01-31", 0), ("31.01.2024", 0), ("31/01/2024", 0), ("01/31/2024", 0), ("31.1.2024 06:00", 6),
        ("2024-01-31T12:00:00", 12), ("2024-01-31T12:00:00+02:00", 10),
    ):  # fmt: skip
        (found,) = read_dates([text])
        np.testing.assert_allclose(found, [day + hours / 24])
    assert len(read_dates(["02/01/2024", "03/01/2024"])) == 2
    assert len(read_dates(["02/02/2024"])) == 1
    assert read_dates(["31.01.2024", "2024-01-31"]) == []
