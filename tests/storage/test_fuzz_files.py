"""A thousand seeded files: what is read is what was written, and all else is refused with a sentence."""

import codecs
import csv
import io
import json
import random
import string
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage.errors import StorageError
from routecal.storage.ingest import read_outcomes, read_queries

LETTERS = string.ascii_letters + string.digits + " .,;:|\t'\"=?!-_[]{}\\/\n" + "éßИ日²ﬁ\u00ad\u200d🙂"
READ = ("query", "external_id", "ground_truth", "aliases", "topic", "context")
GRADES = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED")


def some_text(rng, n=24):
    # letters at both ends: nothing is blank, and no outer space is lost by a spreadsheet
    return rng.choice("abcxyzÀ") + "".join(rng.choices(LETTERS, k=rng.randrange(n))) + rng.choice("abcxyz?")


def some_rows(rng):
    """Rows whose texts differ, and what each must be read as."""
    rows = []
    for i in range(rng.randrange(1, 6)):
        row = {"query": f"{some_text(rng)} {i}?", "id": f"row-{i}"}
        for name in ("ground_truth", "topic", "context"):
            row[name] = some_text(rng) if rng.random() < 0.7 else None
        row["aliases"] = [some_text(rng).strip() + str(k) for k in range(2)] if rng.random() < 0.4 else None
        rows.append(row)
    return rows


def must_be(rows):
    return [
        {
            "query": row["query"],
            "external_id": row["id"],
            "ground_truth": row["ground_truth"] or (row["aliases"] or [None])[0],
            "aliases": row["aliases"],
            "topic": row["topic"],
            "context": row["context"],
        }
        for row in rows
    ]


def as_csv(rng, rows):
    names = list(rows[0])
    rng.shuffle(names)
    delimiter, end = rng.choice(",;\t"), rng.choice(["\n", "\r\n", "\r"])
    out = io.StringIO(newline="")
    if rng.random() < 0.3:
        out.write(f"sep={delimiter}{end}")
    # Python's writer leaves a line feed unquoted where rows end in CR.
    quoting = csv.QUOTE_ALL if end == "\r" else rng.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    index = rng.random() < 0.3
    writer.writerow([""] * index + [rng.choice([n, n.title(), f" {n} "]) for n in names])
    for i, row in enumerate(rows):
        writer.writerow([i] * index + [json.dumps(row[n]) if n == "aliases" and row[n] else row[n] for n in names])
        if rng.random() < 0.2:
            out.write(end)
    return rng.choice(["q.csv", "q.tsv"]), encoded(rng, out.getvalue())


def as_json(rng, rows):
    rows = [dict(rng.sample(list(row.items()), len(row))) for row in rows]
    for row in rows:
        for name in [n for n, v in row.items() if v is None]:
            missing = rng.choice(["absent", None, float("nan"), "", " \u200b"])
            if missing == "absent":
                del row[name]
            else:
                row[name] = missing
        if rng.random() < 0.3:
            row["other"] = {"query": [1, None]}
    style = {"ensure_ascii": rng.random() < 0.5}
    shape = rng.choice(["lines", "array", "pretty", "objects"])
    if shape == "lines":
        text = rng.choice(["\n", "\r\n", "\n\n"]).join(json.dumps(row, **style) for row in rows)
    elif shape == "objects":
        text = "\n".join(json.dumps(row, indent=1, **style) for row in rows)
    else:
        text = json.dumps(rows, indent=2 if shape == "pretty" else None, **style)
    return rng.choice(["q.jsonl", "q.json"]), encoded(rng, text)


def as_parquet(rng, rows):
    table = pa.Table.from_pylist(
        rows, schema=pa.schema([(n, pa.list_(pa.string()) if n == "aliases" else pa.string()) for n in rows[0]])
    )
    for place, name in enumerate(table.column_names):
        kind = rng.choice([None, pa.large_string(), pa.string_view(), "dictionary"])
        if name != "aliases" and kind is not None:
            column = table[name].dictionary_encode() if kind == "dictionary" else table[name].cast(kind)
            table = table.set_column(place, name, column)
    out = pa.BufferOutputStream()
    if rng.random() < 0.5:
        pq.write_table(
            table, out, row_group_size=rng.choice([1, 100]), compression=rng.choice(["zstd", "snappy", "none"])
        )
        return "q.parquet", out.getvalue().to_pybytes()
    with (pa.ipc.new_file if rng.random() < 0.5 else pa.ipc.new_stream)(out, table.schema) as writer:
        writer.write_table(table)
    return "q.arrow", out.getvalue().to_pybytes()


def encoded(rng, text):
    mark, encoding = rng.choice(
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (codecs.BOM_UTF32_BE, "utf-32-be"),
        ]
    )
    return mark + text.encode(encoding)


WRITERS = (as_csv, as_json, as_parquet)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def read(path, reader=read_queries):
    """The rows read, or None where the file was refused; anything but a sentence of ours is a fault."""
    try:
        return reader(path).to_pylist()
    except StorageError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        assert len(said) < 3000
        return None


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_written_is_read(writer, folder):
    for seed in range(120):
        rng = random.Random(f"{writer.__name__} {seed}")
        rows = some_rows(rng)
        name, content = writer(rng, rows)
        (folder / name).write_bytes(content)
        found = read_queries(folder / name).select(list(READ)).to_pylist()
        assert found == must_be(rows), (seed, content[:300])


def broken(rng, content):
    """The bytes with some of them lost, changed, doubled, or put elsewhere."""
    for _ in range(rng.choice([1, 1, 1, 3])):
        at, n = rng.randrange(len(content) + 1), rng.choice([1, 1, 2, 8, 40])
        middle = content[at : at + n]
        match rng.randrange(6):
            case 0:
                middle = b""
            case 1:
                middle = rng.randbytes(len(middle))
            case 2:
                middle = middle * 2
            case 3:
                return content[:at]
            case 4:
                middle = (
                    rng.choice([b"\0", b'"', b"\n", b"\r", b",", b";", b"\xff", b"{", b"]", b"NaN", b"\xef\xbb\xbf"])
                    + middle
                )
            case 5:
                middle = middle[::-1]
        content = content[:at] + middle + content[at + n :]
    return content


@pytest.mark.parametrize("writer", WRITERS)
def test_broken_files_are_refused_or_read_as_rows(writer, folder):
    """What no one can tell from a file of other words may be read, but only as texts that the file holds."""
    refused = 0
    for seed in range(120):
        rng = random.Random(f"broken {writer.__name__} {seed}")
        name, content = writer(rng, some_rows(rng))
        (folder / name).write_bytes(broken(rng, content))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read(folder / name)
        refused += found is None
        for row in found or ():
            assert row["query"].strip()
            assert row["ground_truth"] is None or row["ground_truth"].strip()
    assert 20 < refused < 120


STRANGE = (
    [],
    {},
    [[]],
    {"text": 1},
    float("inf"),
    10**400,
    True,
    -1,
    1e-9,
    "\u3164",
    "$5",
    "1e5",
    "nan",
    ["a", {}],
    "CORRECTLY",
    float("nan"),
    None,
    "x" * 5000,
    "\x00",
    "\u202eevil",
)


def test_strange_values_are_refused_or_read_as_what_they_are(folder):
    """Of rows in which some values are replaced, the others are read as ever."""
    refused = 0
    for seed in range(200):
        rng = random.Random(f"strange {seed}")
        rows = [
            {
                "query": f"Question {i}?",
                "medium_label": rng.choice(GRADES),
                "large_label": "CORRECT",
                "large_cost_usd": 0.5,
            }
            for i in range(3)
        ]
        spoiled = [dict(row) for row in rows]
        name, value = rng.choice([*rows[0], "ground_truth", "context", "medium_tokens_in"]), rng.choice(STRANGE)
        row = rng.randrange(3)
        spoiled[row][name] = value
        (folder / "o.jsonl").write_text("\n".join(map(json.dumps, spoiled)), encoding="utf-8")
        found = read(folder / "o.jsonl", read_outcomes)
        refused += found is None
        if found is not None:
            assert len(found) == 3
            same = [i for i in range(3) if i != row]
            assert [found[i]["query"] for i in same] == [rows[i]["query"] for i in same]
            assert all(outcome["medium_label"] in GRADES and outcome["large_label"] in GRADES for outcome in found)
            assert all((outcome["large_cost_usd"] or 0) >= 0 for outcome in found)
            if name == "ground_truth" and not isinstance(value, list | dict):
                nothing = value is None or value != value or value in ("\u3164", "\x00")
                assert (found[row]["ground_truth"] is None) == nothing
    assert 60 < refused < 180


def test_strange_columns_are_refused_or_read(folder):
    """Names that are lost, doubled or spelled otherwise."""
    for seed in range(80):
        rng = random.Random(f"columns {seed}")
        names = ["query", "ground_truth", "id", "topic"]
        place, change = rng.randrange(4), rng.randrange(5)
        old = names[place]
        names[place] = [old.upper(), f" {old}\t", "", rng.choice(names), old + "s"][change]
        cells = [["Who?", "a", "1", "t"], ["What?", "b", "2", ""]]
        text = "\n".join(";".join(row) for row in [names, *cells])
        (folder / "q.csv").write_text(text, encoding="utf-8")
        found = read(folder / "q.csv")
        expected = dict(zip(("query", "ground_truth", "external_id", "topic"), zip(*cells, strict=True), strict=True))
        if found is not None:
            assert [row["query"] for row in found] in ([*expected["query"]], [*expected.get(old, ())]) or change == 3
        if change in (0, 1):
            assert [row["ground_truth"] for row in found] == ["a", "b"]
            assert [row["topic"] for row in found] == ["t", None]
        if old == "query" and change in (2, 4):
            assert found is None
