"""Single values: what is missing, how numbers are written, and what no answer can be."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from routecal.storage import value_parsing

NAN = float("nan")
MISSING = [
    None,
    NAN,
    -NAN,
    Decimal("NaN"),
    "",
    " ",
    "\t\r\n",
    "\u00a0\u3000",
    "\u200b",
    "\ufeff\u2060",
    "\u3164",
    "\u00ad",
]
MISSING += ["\x00", "\u2800", "\ufe0f", "\U000e0041"]


@pytest.mark.parametrize("value", MISSING)
def test_missing_is_missing_everywhere(value):
    assert value_parsing.is_missing(value)
    for convert in (
        value_parsing.text,
        value_parsing.references,
        value_parsing.spellings,
        value_parsing.number,
        value_parsing.amount,
        value_parsing.whole_number,
    ):
        assert convert(value) is None
    assert value_parsing.instant(value) is None
    assert value_parsing.texts([value, "a", value]) == ["a"]
    with pytest.raises(ValueError, match="CORRECT, INCORRECT"):
        value_parsing.grade(value)


@pytest.mark.parametrize("value", ["nan", "NaN", "None", "NA", "null", "n/a", "-", "0", ".", "🙂", "\u0301", " a "])
def test_what_people_write_is_a_text(value):
    assert value_parsing.text(value) == value_parsing.references(value) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (5, "5"),
        (5.0, "5"),
        (-0.0, "0"),
        (1e3, "1000"),
        (1e22, "10000000000000000000000"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (2.50, "2.5"),
        (1e300, "1e+300"),
        (10**30, "1" + "0" * 30),
        (-(2**63), "-9223372036854775808"),
        (Decimal("5.00"), "5"),
        (Decimal("-1234567890.12345678901234567890"), "-1234567890.1234567890123456789"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_numbers_are_written_in_plain_digits(value, written):
    assert value_parsing.text(value) == written
    if not isinstance(value, bool):
        assert Decimal(written) == (Decimal(repr(value)) if isinstance(value, float) else value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, Decimal("Infinity"), 1e400])
def test_infinity_is_no_text_and_no_number(value):
    for convert in (value_parsing.text, value_parsing.references, value_parsing.amount):
        with pytest.raises(ValueError, match="a finite number"):
            convert(value)


@pytest.mark.parametrize("value", [{}, b"a", date(2026, 1, 1), datetime(2026, 1, 1), object()])
def test_what_is_no_text(value):
    with pytest.raises(ValueError, match="text"):
        value_parsing.text(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["a", "b", "a"], ["a", "b"]),
        ([None, NAN, "", 5.0], ["5"]),
        ([], None),
        ([None], None),
        ({"text": ["a", "b"], "answer_start": [1, 2]}, ["a", "b"]),
        ({"text": []}, None),
        ({"value": "a", "aliases": ["b", "a"], "normalized_value": "a"}, ["a", "b"]),
        ({"value": "a", "aliases": None}, ["a"]),
        ("[1, 2]", "[1, 2]"),
        ('["a"]', '["a"]'),
    ],
)
def test_references(value, found):
    assert value_parsing.references(value) == found


@pytest.mark.parametrize(
    "value", [["a", ["b"]], [{}], {"text": "a"}, {"a": ["b"]}, {"text": ["a"], "value": "b"}, [b"a"]]
)
def test_what_holds_no_references(value):
    with pytest.raises(ValueError, match="was expected"):
        value_parsing.references(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [("a|b | c", ["a", "b", "c"]), ('["a|b", null, 2]', ["a|b", "2"]), ("|", None), (" [ ] ", None), ("a", ["a"])],
)
def test_spellings_of_a_cell(value, found):
    assert value_parsing.spellings(value) == found


@pytest.mark.parametrize("value", ["['a', 'b']", "['a' 'b']", "[a", '["a"] and more', "[" * 100_000])
def test_a_list_of_another_language_is_not_guessed(value):
    with pytest.raises(ValueError, match=r'a JSON list as \["a", "b"\], or texts separated by | were expected'):
        value_parsing.spellings(value)


RIGHT = [True, 1, 1.0, Decimal(1), "1", "1.0", "true", " TRUE ", "CORRECT", "Correct", "correct\n"]
WRONG = [False, 0, 0.0, -0.0, "0", "0.0", "False", "INCORRECT", "incorrect"]


@pytest.mark.parametrize(
    ("values", "found"),
    [(RIGHT, "CORRECT"), (WRONG, "INCORRECT"), (["not_attempted", "Not Attempted", "NOT-ATTEMPTED"], "NOT_ATTEMPTED")],
)
def test_grades(values, found):
    assert {value_parsing.grade(value) for value in values} == {found}


@pytest.mark.parametrize("value", [2, -1, 0.5, "2", "yes", "right", "wrong", "C", "pass", "n/a", [], {}, math.inf])
def test_what_is_no_grade(value):
    with pytest.raises(ValueError, match="CORRECT, INCORRECT, NOT_ATTEMPTED, or true or 1 and false or 0"):
        value_parsing.grade(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [(0, 0), ("0", 0), (-0.0, 0), (" 1.5e-3 ", 0.0015), (Decimal("0.25"), 0.25), (".5", 0.5), (7, 7)],
)
def test_amounts(value, found):
    assert value_parsing.amount(value) == found
    assert math.copysign(1, value_parsing.amount(value)) == 1


@pytest.mark.parametrize(
    "value", ["$1", "1 USD", "€0.5", "1,5", "1,000", "1_000", "0x1", "١", "1e", "nan", "-inf", "∞", True, []]
)
def test_what_is_no_amount(value):
    with pytest.raises(ValueError, match="a number was expected"):
        value_parsing.amount(value)


def test_moments():
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    for value in ("2026-03-01", "2026-03-01T01:00+01:00", date(2026, 3, 1), datetime(2026, 3, 1), " 20260301 "):
        assert value_parsing.instant(value) == midnight
    for value in ("soon", "01.03.2026", 1_700_000_000, "0001-01-01T00:00+14:00", "NaT", True):
        with pytest.raises(ValueError, match="a time like 2026-11-22T16:00:00Z was expected"):
            value_parsing.instant(value)
