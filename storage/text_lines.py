"""The lines of a text file, whatever encoding and line ends it says it has; one that does not say is UTF-8."""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from routecal.storage.input_errors import InputUnreadable

# The longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
GZIP = b"\x1f\x8b"
# What is no text, by its first bytes, and what to do about it.
_OTHERS = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the data", "run git lfs pull"),
    (b"PAR1", "it is a Parquet file", "give it the ending .parquet"),
    (b"ARROW1", "it is an Arrow file", "give it the ending .arrow"),
    (GZIP, "it is packed with gzip", "give it the ending .gz"),
    (b"PK\x03\x04", "it is a zip archive or an Excel workbook", "unpack it, or save it as CSV UTF-8 in Excel"),
    (b"\xd0\xcf\x11\xe0", "it is a workbook of an old Excel", "save it as CSV UTF-8 in Excel"),
    (b"\x28\xb5\x2f\xfd", "it is packed with zstd", "unpack it first"),
    (b"BZh", "it is packed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "it is packed with xz", "unpack it first"),
)
# A CR that no LF follows ends a line too: those of old Macs, and of Excel's "CSV (Macintosh)".
_ENDS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_SAVE_AS = (
    "save the file as UTF-8 (in Excel: CSV UTF-8), or convert it from the encoding it has, often Windows-1252 or "
    "ISO-8859-1: iconv -f WINDOWS-1252 -t UTF-8"
)


def refuse_other_formats(path: str, head: bytes, *, but: bytes = b"\0") -> None:
    """Refuse what the first bytes of a file say it is, unless they begin with `but`.

    Raises:
        InputUnreadable: says what the file is, and what to do.
    """
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic) and magic != but:
            raise InputUnreadable(path, what, remedy)


def text_lines(path: str, handle: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """(line number from 1, text with its line end) of every line; lines end in LF, CR LF or CR.

    Raises:
        InputUnreadable: it is no text, or in no encoding that it names.
    """
    raw = iter(handle)
    first = next(raw, b"")
    refuse_other_formats(path, first)
    mark, encoding = next(((m, e) for m, e in _MARKS if first.startswith(m)), (b"", "utf-8"))
    whole: Iterable[bytes] = chain([first.removeprefix(mark)], raw)
    if encoding != "utf-8":
        # Their line feeds are several bytes, at which the lines above were not cut.
        whole = [b"".join(whole)]
    elif b"\0" in first:
        raise InputUnreadable(path, "it holds NUL bytes: UTF-16 without a byte-order mark, or no text", _SAVE_AS)
    number = 0
    for part in whole:
        try:
            text = part.decode(encoding)
        except UnicodeDecodeError as error:
            found = f"byte 0x{part[error.start]:02x}" if error.start < len(part) else "its end"
            where = f"line {number + 1} is not {encoding.upper()} ({found}, place {error.start + 1} of the line)"
            raise InputUnreadable(path, where, _SAVE_AS) from error
        # A line of UTF-8 that holds no lone CR is one already.
        pieces = (text,) if encoding == "utf-8" and "\r" not in text else _ENDS.split(text)
        for line in filter(None, pieces):
            number += 1
            yield number, line
