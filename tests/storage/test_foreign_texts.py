"""CSV and JSON as spreadsheets, pandas, jq and Hugging Face datasets write them."""

import codecs
import gzip
import json

import pytest

from routecal.storage.ingest import read_outcomes, read_queries
from routecal.storage.input_errors import BadRows, InputEmpty, InputUnreadable, MissingColumn
from tests.storage.written_files import TWO, pairs, put


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_separators_line_ends_and_encodings(tmp_path, mark, encoding, delimiter, end):
    lines = [delimiter.join(row) for row in [("query", "ground_truth"), *TWO]]
    for name in ("q.csv", "q.tsv"):
        content = mark + (end.join(lines) + end).encode(encoding)
        assert pairs(put(tmp_path, name, content)) == TWO
        assert pairs(put(tmp_path, f"{name}.gz", gzip.compress(content))) == TWO


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("sep=;\r\nquery;ground_truth\r\nWho?;a\r\n", [("Who?", "a")]),
        ("sep=|\nquery|ground_truth\nWho?|a,b;c\n", [("Who?", "a,b;c")]),
        ('"sep=,"\nquery,ground_truth\nWho?,a\n', [("Who?", "a")]),
        ("sep=\t\nquery\tground_truth\nWho?\ta\n", [("Who?", "a")]),
        ("\n\r\nquery,ground_truth\nWho?,a\n", [("Who?", "a")]),
        # commas in texts do not make it comma separated
        ("query;ground_truth\nWho, where?;a, b\n", [("Who, where?", "a, b")]),
        ("query;note, long;ground_truth\nWho?;;a\n", [("Who?", "a")]),
        ("query,ground_truth;note\nWho?,a\n", [("Who?", None)]),
        # line ends in quotes are the text's own
        ('query,ground_truth\n"a\r\nb\rc\nd","x ""y"""\n', [("a\r\nb\rc\nd", 'x "y"')]),
        # a column of row numbers, an empty last column, rows that a spreadsheet thinks are there
        (",query,ground_truth,\n0,Who?,a,\n,,,\n,,,\n", [("Who?", "a")]),
        ("query,ground_truth\nWho?,a,,\n", [("Who?", "a")]),
        # names twice matter only where they are read
        ("x,query,x\n1,Who?,2\n", [("Who?", None)]),
        # pandas leaves a missing value empty; what people wrote is a text
        ("query,ground_truth\nWho?,\nWhat?,NA\nWhy?,nan\n", [("Who?", None), ("What?", "NA"), ("Why?", "nan")]),
        ('query,ground_truth\nWho?,"[""a"", ""b""]"\n', [("Who?", '["a", "b"]')]),
        ("query\nWho?\n", [("Who?", None)]),
        ('"query","ground_truth"\n5,7\n', [("5", "7")]),
        ('\ufeff"query",ground_truth\nWho?,a\n', [("Who?", "a")]),
    ],
)
def test_csv_of_others(tmp_path, content, found):
    assert pairs(put(tmp_path, "q.csv", content)) == found


def test_a_list_in_a_cell_is_read_as_aliases(tmp_path):
    path = put(tmp_path, "q.csv", 'query,aliases\nWho?,"[""a"", ""b""]"\n')
    assert read_queries(path).select(["ground_truth", "aliases"]).to_pylist() == [
        {"ground_truth": "a", "aliases": ["a", "b"]}
    ]


def test_rows_that_are_too_short_or_too_long_are_all_named(tmp_path):
    path = put(tmp_path, "q.csv", 'query,ground_truth\nWho?\n"a\nb",x\nWhat?,b,c\n\nWhy?,d\n')
    with pytest.raises(BadRows) as caught:
        read_queries(path)
    assert caught.value.faults == ((2, "1 cells where the header has 2"), (5, "3 cells where the header has 2"))
    assert caught.value.n_rows == 4


def test_a_comma_in_the_only_column_is_not_guessed_away(tmp_path):
    with pytest.raises(BadRows, match="line 2: 2 cells where the header has 1"):
        read_queries(put(tmp_path, "q.csv", "query\nWho, where?\n"))


def test_outcomes_of_a_spreadsheet(tmp_path):
    path = put(tmp_path, "o.csv", "sep=;\nQuery;Medium Label;Large Label;medium_cost_usd\nWho?;TRUE;0.0;0.25\n")
    [row] = read_outcomes(path).to_pylist()
    assert (row["medium_label"], row["large_label"], row["medium_cost_usd"]) == ("CORRECT", "INCORRECT", 0.25)


ROWS = [{"query": "Who?", "ground_truth": "a"}, {"query": "Was heißt «è»?", "ground_truth": "b"}]


@pytest.mark.parametrize("name", ["q.json", "q.jsonl", "q.ndjson"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        "\n \n" + json.dumps(ROWS, indent=2) + "\n\n",
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        "\n".join(map(json.dumps, ROWS)),
        "\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n",
        "\r".join(map(json.dumps, ROWS)),
        "\ufeff" + "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
        json.dumps({"query": [r["query"] for r in ROWS], "ground_truth": [r["ground_truth"] for r in ROWS], "n": 2}),
        json.dumps({"query": [r["query"] for r in ROWS], "ground_truth": [r["ground_truth"] for r in ROWS]}, indent=1),
    ],
)
def test_shapes_of_json(tmp_path, name, content):
    assert pairs(put(tmp_path, name, content)) == TWO


def test_json_in_utf_16(tmp_path):
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode("utf-16")
    assert pairs(put(tmp_path, "q.jsonl", content)) == TWO


def test_lines_are_numbered_in_documents_too(tmp_path):
    content = '[\n {"query": "a"},\n\n {"query": " "}, 7,\n {"query":\n "\\udc00"}]'
    with pytest.raises(BadRows) as caught:
        read_queries(put(tmp_path, "q.json", content))
    assert [line for line, _ in caught.value.faults] == [4, 4, 5] or caught.value.faults == (
        (4, "a JSON int where an object was expected and the query is blank"),
        (5, "half of a surrogate pair, which is not Unicode text"),
    )


def test_references_as_data_sets_hold_them(tmp_path):
    rows = [
        {"query": "1?", "ground_truth": {"text": ["a", "b", "a"], "answer_start": [1, 2, 3]}},
        {"query": "2?", "ground_truth": {"value": "a", "aliases": ["A", "a"]}},
        {"query": "3?", "ground_truth": ["a"], "aliases": ["c"]},
        {"query": "4?", "ground_truth": "a", "aliases": ["c"]},
        {"query": "5?", "ground_truth": [], "aliases": [None, "c"]},
        {"query": "6?", "ground_truth": [None]},
    ]
    table = read_queries(put(tmp_path, "q.jsonl", "\n".join(map(json.dumps, rows))))
    assert list(zip(table["ground_truth"].to_pylist(), table["aliases"].to_pylist(), strict=True)) == [
        ("a", ["a", "b"]),
        ("a", ["a", "A"]),
        ("a", ["a", "c"]),
        ("a", ["c"]),
        ("c", ["c"]),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ("[]", InputEmpty, "holds no rows"),
        ("[", InputUnreadable, "is not closed"),
        ('[{"query": "a"}', InputUnreadable, "a comma or the end of the array was expected"),
        ('[{"query": "a"},]', InputUnreadable, "not JSON from line 1 on"),
        ('[{"query": "a"}]\n[{"query": "b"}]', InputUnreadable, "not JSON from line 1 on"),
        ('[\n{"query": "a"},\n{"query": b}]', InputUnreadable, "not JSON from line 3 on"),
        ('{"query": {"0": "a", "1": "b"}}', BadRows, "the query is {'0': 'a', '1': 'b'}, a text was expected"),
        ('{"data": [{"query": "a"}]}', MissingColumn, "it has data"),
        ('"query"', BadRows, "a JSON str where an object was expected"),
        ('{"query": "a"}{"query": "b"}', BadRows, "line 1: not JSON (Extra data"),
        ('{"query": ["a", "b"], "ground_truth": ["x"]}', BadRows, "a text was expected"),
        ('{"query": "a", "ground_truth": 1e400}', BadRows, "a finite number or a text was expected"),
        ('{"query": "a", "ground_truth": -Infinity}', BadRows, "a finite number or a text was expected"),
        ('{"query": "a", "ground_truth": ' + "9" * 5000 + "}", BadRows, "line 1: not JSON"),
    ],
)
def test_json_that_is_refused(tmp_path, content, error, says):
    with pytest.raises(error) as caught:
        read_queries(put(tmp_path, "q.jsonl", content))
    assert says in str(caught.value)
