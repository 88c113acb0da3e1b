"""JSON lines, and the other shapes that rows have in JSON: an array of objects, objects over several lines, columns."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from routecal.storage.column_names import LaterColumns, Read, Wanted
from routecal.storage.input_errors import InputUnreadable, MissingColumn
from routecal.storage.text_lines import text_lines

_SPACE = " \t\r\n"
# A first line that is no object of its own: an array, or an object that goes on.
_DOCUMENT = re.compile(r"\s*(\[|\{(\s*|.*[^}],|.*[{\[:])\s*\Z)")


def read_json(wanted: Wanted, handle: Iterable[bytes]) -> Iterator[Read]:
    """(columns, the line where each row starts, [(line, what is wrong)] of rows that cannot be read), some at a time.

    What the first line says decides: an object of its own begins JSON lines, of which every bad one is named; anything
    else is one document, which is read as a whole (also into memory) or not at all. A value that an object lacks is
    None.

    Raises:
        InputUnreadable: a document is not JSON, or nothing that holds rows.
        MissingColumn: no object has what is required.
        LaterColumns: rows were given that were read under other columns than all of the file has.
    """
    lines = text_lines(wanted.path, handle)
    skipped = []
    for line, text in lines:
        if not text.isspace():
            rest = chain([(line, text)], lines)
            break
        skipped.append(text)
    else:
        return
    if _DOCUMENT.match(text):
        rows, faults = _document(wanted.path, "".join(chain(skipped, (text for _, text in rest))))
        yield from _columns(wanted, [(rows, faults)], dict.fromkeys(name for _, row in rows for name in row))
    else:
        present = {name: wanted.may_be(name) for name in wanted.present}
        yield from _columns(wanted, _lines(wanted, rest, present), present)


Row = tuple[int, dict[str, object]]
# Rows, and what is wrong with others, of one stretch of a file.
Part = tuple[list[Row], list[tuple[int, str]]]


def _columns(wanted: Wanted, parts: Iterable[Part], present: Collection[str]) -> Iterator[Read]:
    """The wanted columns of every part, once they are known to be those of the whole file; `present` grows with it."""
    decided: dict[str, int] | None = None
    numbered = enumerate(parts)
    for number, (rows, faults) in numbered:
        if not rows:
            yield {}, [], faults
            continue
        names = tuple(present)
        try:
            places = wanted.places(names)
        except MissingColumn:
            places = None
        if places is None or decided not in (None, places):
            for _ in numbered:
                pass
            # All names are known now: what is missing is refused, else rows are read anew under them.
            wanted.places(tuple(present))
            raise LaterColumns(tuple(present))
        decided = places
        if number == 0 and len(rows) == 1 and not faults and "query" in places:
            rows = _columnar(wanted, *rows[0]) or rows
        columns = {ours: [row.get(names[place]) for _, row in rows] for ours, place in places.items()}
        yield columns, [line for line, _ in rows], faults


def _lines(wanted: Wanted, lines: Iterable[tuple[int, str]], kept: dict[str, bool]) -> Iterator[Part]:
    """One object per line, of which only what may be wanted is kept; `kept` takes the names that any of them has."""
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    for line, text in lines:
        if len(rows) + len(faults) >= wanted.rows_at_a_time:
            yield rows, faults
            rows, faults = [], []
        if text.isspace():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            faults.append((line, f"not JSON ({error})"))
            continue
        if why := _unusable(row, text):
            faults.append((line, why))
            continue
        if not row.keys() <= kept.keys():
            kept |= {name: wanted.may_be(name) for name in row if name not in kept}
        rows.append((line, {name: value for name, value in row.items() if kept[name]}))
    yield rows, faults


def _document(path: str, text: str) -> Part:
    """The objects of an array, or objects one after the other."""
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    for line, value, written in _values(path, text):
        if why := _unusable(value, written):
            faults.append((line, why))
        else:
            rows.append((line, value))
    return rows, faults


def _values(path: str, text: str) -> Iterator[tuple[int, dict[str, object], str]]:
    """(line, value, how it is written) of every element of an array, or of every value one after the other."""
    decoder, at, line, counted = json.JSONDecoder(), _skip(text, 0), 1, 0
    is_array = text.startswith("[", at)
    if is_array:
        at = _skip(text, at + 1)
        if text.startswith("]", at):
            at = _skip(text, at + 1)
            is_array = False
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise InputUnreadable(path, f"not JSON from line {line} on ({error})") from error
        yield line, value, text[at:end]
        at = _skip(text, end)
        if not is_array:
            continue
        if text.startswith(",", at):
            at = _skip(text, at + 1)
        elif text.startswith("]", at) and _skip(text, at + 1) == len(text):
            return
        else:
            where = line + text.count("\n", counted, at)
            raise InputUnreadable(path, f"not JSON from line {where} on (a comma or the end of the array was expected)")
    if is_array:
        raise InputUnreadable(path, "its JSON array is not closed")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _unusable(row: object, written: str) -> str:
    """Why a value is no row; empty if it is one."""
    if not isinstance(row, dict):
        return f"a JSON {type(row).__name__} where an object was expected"
    # An escaped half of a surrogate pair is JSON, but no text that could be stored.
    if "\\ud" in written or "\\uD" in written:
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "half of a surrogate pair, which is not Unicode text"
    return ""


def _columnar(wanted: Wanted, line: int, row: dict[str, object]) -> list[Row]:
    """The rows of an only object whose values are columns: lists of one length."""
    lists = {name: values for name, values in row.items() if wanted.may_be(name)}
    lengths = {len(values) if isinstance(values, list) else -1 for values in lists.values()}
    if len(lengths) != 1 or lengths == {-1}:
        return []
    (n,) = lengths
    return [(line, {name: values[i] for name, values in lists.items()}) for i in range(n)]  # type: ignore[index]
