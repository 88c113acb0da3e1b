"""The audit as a CSV file that people open in a spreadsheet."""

import csv
from collections.abc import Sequence
from pathlib import Path

from routecal.storage.atomic import disk_errors
from routecal.tasks.oracle.audit.audit_errors import AuditExists, AuditUnreadable
from routecal.tasks.oracle.audit.audit_sample import AuditRow

# Spreadsheets take a cell that begins with one of these for a formula, and cut cells of more than 32,767 characters.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MAX_CELL = 30_000


def write_sheet(path: str, rows: Sequence[AuditRow]) -> None:
    """Write the rows as CSV in UTF-8.

    A cell that a spreadsheet would run as a formula gets an apostrophe in front. Texts of more than `MAX_CELL`
    characters are cut, and say so.

    Raises:
        AuditExists: there is such a file, and people's work may be in it.
        DiskFull, HomeNotWritable: it cannot be stored.
    """
    file = Path(path).expanduser()
    with disk_errors(str(file.parent)):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            # With its mark at the beginning, or Excel reads it as Latin-1.
            handle = file.open("x", encoding="utf-8-sig", newline="")
        except FileExistsError as error:
            raise AuditExists(path) from error
        with handle:
            writer = csv.writer(handle)
            writer.writerow(AuditRow._fields)
            writer.writerows([_to_cell(value) for value in row] for row in rows)


def read_sheet(path: str) -> list[AuditRow]:
    """The rows of a sheet, as a spreadsheet may have saved it: columns in any order, further ones, `;` or tab between.

    Raises:
        AuditUnreadable: it is missing, is not UTF-8, lacks `audit_id` or `human_grade`, or is not CSV.
    """
    try:
        with Path(path).expanduser().open(encoding="utf-8-sig", newline="") as handle:
            header = handle.readline()
            handle.seek(0)
            reader = csv.DictReader(handle, delimiter=max(",;\t", key=header.count), strict=True)
            if missing := {"audit_id", "human_grade"} - set(reader.fieldnames or ()):
                raise AuditUnreadable(path, f"it has no column {' and none '.join(sorted(missing))}")
            # a line of a spreadsheet that holds nothing is no row
            lines = [line for line in reader if any(value for value in line.values())]
    except UnicodeDecodeError as error:
        raise AuditUnreadable(path, "it is not UTF-8") from error
    except csv.Error as error:
        raise AuditUnreadable(path, f"it is not CSV ({error})") from error
    except OSError as error:
        raise AuditUnreadable(path, error.strerror or "it cannot be opened") from error
    return [AuditRow(*(_from_cell(line.get(name) or "") for name in AuditRow._fields)) for line in lines]


def _to_cell(text: str) -> str:
    if len(text) > MAX_CELL:
        text = f"{text[:MAX_CELL]} […{len(text) - MAX_CELL:,} characters left out]"
    # An apostrophe of the text's own is doubled, so that reading takes away the right one.
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _from_cell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith((*_FORMULA, "'")) else text
