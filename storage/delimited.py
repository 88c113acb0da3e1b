"""CSV as spreadsheets and pandas write it: separated by commas, semicolons or tabs, with or without a `sep=` line."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from routecal.storage.column_names import Read, Wanted
from routecal.storage.errors import StorageError
from routecal.storage.input_errors import InputUnreadable, MissingColumn
from routecal.storage.text_lines import text_lines

_DELIMITERS = (",", ";", "\t")
_LONGEST_CELL = 2**31 - 1
# Excel's own way to say the separator, before the header.
_SEP = re.compile(r'"?sep=([^\r\n"])"?', re.IGNORECASE)


def read_csv(wanted: Wanted, handle: Iterable[bytes]) -> Iterator[Read]:
    """(columns, the line where each row starts, [(line, what is wrong)] of rows that cannot be read), some at a time.

    Blank lines, and rows of empty cells alone, are no rows. An empty cell is None.

    Raises:
        InputUnreadable: it is not CSV from some line on.
        MissingColumn: under no separator the header has what is wanted.
    """
    parts = _read(wanted, (text for _, text in text_lines(wanted.path, handle)))
    while True:
        # The limit belongs to the process; a context can be longer than its default of 128 KiB.
        limit = csv.field_size_limit(_LONGEST_CELL)
        try:
            part = next(parts, None)
        finally:
            csv.field_size_limit(limit)
        if part is None:
            return
        yield part


def _read(wanted: Wanted, lines: Iterator[str]) -> Iterator[Read]:
    before, first = 0, next(lines, "")
    delimiters: tuple[str, ...] = _DELIMITERS
    if said := _SEP.fullmatch(first.rstrip("\r\n")):
        before, delimiters, first = 1, (said[1],), next(lines, "")
    while first and first.isspace():
        before, first = before + 1, next(lines, "")
    if not first:
        return
    header, delimiter, places = _header(wanted, first, delimiters)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    faults: list[tuple[int, str]] = []
    width = len(header)
    start = 1
    try:
        for cells in reader:
            line, start = before + start, reader.line_num + 1
            if line == before + 1 or not any(cells):
                continue
            if len(cells) < width or any(cells[width:]):
                faults.append((line, f"{len(cells)} cells where the header has {width}"))
                continue
            rows.append((line, cells))
            if len(rows) + len(faults) >= wanted.rows_at_a_time:
                yield _part(places, rows, faults)
                rows, faults = [], []
    except csv.Error as error:
        line = before + reader.line_num
        remedy = "put texts that hold separators, quotes or line ends in double quotes, and double the quotes in them"
        raise InputUnreadable(wanted.path, f"line {line} is not CSV ({error})", remedy) from error
    yield _part(places, rows, faults)


def _part(places: Mapping[str, int], rows: list[tuple[int, list[str]]], faults: list[tuple[int, str]]) -> Read:
    columns: dict[str, list[object]] = {
        name: [cells[place] or None for _, cells in rows] for name, place in places.items()
    }
    return columns, [line for line, _ in rows], faults


def _header(wanted: Wanted, line: str, delimiters: Iterable[str]) -> tuple[list[str], str, dict[str, int]]:
    """(names, separator, places) by the separator under which the header names what is wanted, in most columns."""
    found = []
    refusals: list[tuple[int, StorageError]] = []
    for delimiter in delimiters:
        names: list[str] = []
        try:
            names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
            found.append((names, delimiter, wanted.places(names)))
        except csv.Error as error:
            refusals.append((0, InputUnreadable(wanted.path, f"its header is not CSV ({error})")))
        except MissingColumn as refusal:
            refusals.append((len(names), refusal))
    if not found:
        raise max(refusals, key=lambda refusal: refusal[0])[1]
    return max(found, key=lambda candidate: len(candidate[0]))
