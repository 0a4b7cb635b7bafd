"""Numbers and dates in text, as people and spreadsheets write them: 1.234,5 or 1,234.5, 12 %, $3, 31.01.2024.

How a column is written is decided from all its values: what reads the most of them is meant. A comma before
three digits may be either; then the other columns of the table say which.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?(e[+-]?\d+)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)
UNITS = "$€£¥%"
# What may stand between thousands in any notation: spaces (also those that do not break), apostrophes.
GAPS = re.compile(r"(?<=\d)[ \u00a0\u202f'’](?=\d{3}(\D|$))")


class Numbers(NamedTuple):
    """A column of text read as numbers.

    Arguments:
        values: float64 [n], NaN where there is none.
        read: which values were read, [n] bool.
        plain: whether all that was read is written as Python writes it.
    """

    values: np.ndarray
    read: np.ndarray
    plain: bool


def as_number(text: str) -> float | None:
    """A number as Python and most programs write it; `None` for anything else.

    Example:
        >>> as_number("1e3"), as_number("1,5"), as_number("1_000")
        (1000.0, None, None)
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _of_decimal_comma(text: str) -> float | None:
    bare = _bare(text)
    return float(bare.replace(".", "").replace(",", ".")) if DECIMAL_COMMA.fullmatch(bare) else None


def _of_thousands(text: str) -> float | None:
    bare = _bare(text)
    return float(bare.replace(",", "")) if THOUSANDS.fullmatch(bare) else as_number(bare)


def _bare(text: str) -> str:
    """Without a unit, and without gaps between thousands."""
    sign, text = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    return sign + GAPS.sub("", text.strip(UNITS + " \u00a0\u202f"))


def read_numbers(texts: Sequence[str], decimal_comma: bool = False) -> Numbers:
    """Texts as numbers, in the notation that reads the most of them.

    Arguments:
        texts: what is written.
        decimal_comma: what a comma is where the texts leave that open.

    Example:
        >>> read_numbers(["1.234,5", "7", "-"]).values, read_numbers(["1,234.5", "$7"]).values
        (array([1234.5,    7. ,    nan]), array([1234.5,    7. ]))
    """
    readers: list[Callable] = [as_number, _of_thousands, _of_decimal_comma]
    if decimal_comma:
        readers[1:] = readers[:0:-1]
    found = [[read(text) for text in texts] for read in readers]
    counts = [sum(number is not None for number in numbers) for numbers in found]
    best = int(np.argmax(counts))  # the first of equals
    values = np.array([np.nan if number is None else number for number in found[best]], float)
    return Numbers(values, np.array([number is not None for number in found[best]], bool), best == 0)


def has_decimal_commas(texts: Sequence[str]) -> bool:
    """Whether these are numbers that a decimal comma explains and a comma between thousands does not."""
    with_comma = sum(_of_decimal_comma(text) is not None for text in texts)
    return with_comma > len(texts) / 2 and with_comma > sum(_of_thousands(text) is not None for text in texts)


def read_dates(texts: Sequence[str]) -> list[np.ndarray]:
    """Days since 1970 if all texts are dates in one notation: 2024-01-31, 31.01.2024, 31/01/2024, 01/31/2024.

    Returns:
        Nothing if they are no dates; both readings if a day and a month cannot be told apart.

    Example:
        >>> read_dates(["1970-01-02T12:00", "1970-01-01"]), read_dates(["31.01.1970"])
        ([array([1.5, 0. ])], [array([30.])])
        >>> read_dates(["31/01/1970"]), read_dates(["02/01/1970"]), read_dates(["word"])
        ([array([30.])], [array([1.]), array([31.])], [])
    """
    for notations in (("",), ("%d.%m.%Y",), ("%d/%m/%Y", "%m/%d/%Y")):
        found = [days for notation in notations if (days := _days(texts, notation)) is not None]
        if found:
            return found[:1] if all((days == found[0]).all() for days in found) else found
    return []


def _days(texts: Sequence[str], notation: str) -> np.ndarray | None:
    times = ("",) if not notation else ("", " %H:%M", " %H:%M:%S")
    for time in times:
        try:
            moments = [
                datetime.datetime.strptime(text, notation + time)
                if notation
                else datetime.datetime.fromisoformat(text)
                for text in texts
            ]
        except ValueError:
            continue
        utc = datetime.UTC
        epoch = datetime.datetime(1970, 1, 1, tzinfo=utc)
        moments = [m.replace(tzinfo=utc) if m.tzinfo is None else m for m in moments]
        return np.array([(m - epoch).total_seconds() / 86400 for m in moments])
    return None
