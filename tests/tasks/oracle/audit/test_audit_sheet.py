"""The audit's file: as written, as read again, as spreadsheets leave it."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.audit.audit_errors import AuditExists, AuditUnreadable
from routecal.tasks.oracle.audit.audit_sample import AuditRow
from routecal.tasks.oracle.audit.audit_sheet import MAX_CELL, _from_cell, _to_cell, read_sheet, write_sheet

ROWS = [
    AuditRow("a1", "=1+1?", "@home", '+1 "x", y'),
    AuditRow("a2", "-2\n\nlines\r\n", "'quoted'", "'=cmd|' /C calc'!A0"),
    AuditRow("a3", "日本の首都は？", "São Tomé", "\t=tab \u202e", "C"),
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "deep" / "audit.csv")


def test_what_is_written_is_read(path: str) -> None:
    write_sheet(path, ROWS)
    assert read_sheet(path) == ROWS


def test_no_cell_is_a_formula(path: str) -> None:
    write_sheet(path, ROWS)
    with open(path, encoding="utf-8-sig", newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    assert len(cells) == 4 * 5
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@given(text=st.text(st.characters(), max_size=20) | st.text("'=+-@\t\rx", max_size=6))
def test_the_apostrophe_in_front_is_taken_away_again(text: str) -> None:
    assert _from_cell(_to_cell(text)) == text
    assert not _to_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_long_texts_are_cut_and_say_so(path: str) -> None:
    write_sheet(path, [AuditRow("a1", "q", "r", "x" * 400_000)])
    (row,) = read_sheet(path)
    assert row.answer == "x" * MAX_CELL + " […370,000 characters left out]"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_as_spreadsheets_save_it(path: str, delimiter: str) -> None:
    names = ["human_grade", "note", "answer", "audit_id", "query", "reference"]
    lines = [
        names,
        ["c", "hm", "Lima, Peru", "a1", "q; q", "r"],
        ["", "", "", "", "", ""],
        ["", "", "x", "a2", "q", "r"],
    ]
    Path(path).parent.mkdir()
    with open(path, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, delimiter=delimiter).writerows(lines)
    assert read_sheet(path) == [AuditRow("a1", "q; q", "r", "Lima, Peru", "c"), AuditRow("a2", "q", "r", "x")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no column audit_id and none human_grade"),
        (b"audit_id,answer\na1,x\n", "no column human_grade"),
        ("audit_id,human_grade,query\na1,C,São\n".encode("latin-1"), "not UTF-8"),
        (b'audit_id,human_grade\na1,"C"x\n', "not CSV"),
        (b"audit_id,human_grade\na1," + b"x" * 200_000 + b"\n", "not CSV"),
        (b"PK\x03\x04\x14\x00audit", "no column"),
    ],
)
def test_what_is_no_sheet(path: str, content: bytes, problem: str) -> None:
    Path(path).parent.mkdir()
    Path(path).write_bytes(content)
    with pytest.raises(AuditUnreadable, match=problem):
        read_sheet(path)


def test_no_such_file_and_one_too_many(path: str) -> None:
    with pytest.raises(AuditUnreadable, match="No such file"):
        read_sheet(path)
    write_sheet(path, ROWS)
    with pytest.raises(AuditExists, match="may hold people's grades"):
        write_sheet(path, ROWS[:1])
    assert len(read_sheet(path)) == 3
