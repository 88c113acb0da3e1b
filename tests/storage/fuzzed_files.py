"""Seeded files of random rows, as several programs write them, and broken ones."""

import codecs
import csv
import io
import json
import string

import pyarrow as pa
import pyarrow.parquet as pq

LETTERS = string.ascii_letters + string.digits + " .,;:|\t'\"=?!-_[]{}\\/\n" + "éßИ日²ﬁ\u00ad\u200d🙂"


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
