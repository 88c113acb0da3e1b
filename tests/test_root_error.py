"""An error is its facts and one sentence about them."""

import ast
import importlib
import pickle
from dataclasses import fields
from pathlib import Path
from string import Formatter

import pytest

from routecal.root_error import RoutecalError
from routecal.storage.errors import StorageError
from tests.test_layering import ROOT

ROOMS = ("calib", "deployments", "flows", "storage", "tasks")


class Sample(StorageError, FileNotFoundError):
    """Two facts, one with a default."""

    path: str
    n: int = 2
    sentence = "{path} holds {n} rows, {path!r}; give more"


def _defines_an_error(file: Path) -> bool:
    classes = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]
    return any(ast.unparse(base).endswith("Error") for node in classes for base in node.bases)


def _below(error: type[RoutecalError]) -> set[type[RoutecalError]]:
    return {e for child in error.__subclasses__() for e in (child, *_below(child))}


def _errors() -> list[type[RoutecalError]]:
    for room in ROOMS:
        for file in filter(_defines_an_error, (ROOT / room).rglob("*.py")):
            importlib.import_module(".".join(("routecal", *file.relative_to(ROOT).with_suffix("").parts)))
    return sorted((e for e in _below(RoutecalError) if e.__module__.startswith("routecal.")), key=str)


def test_the_facts_are_the_arguments_and_survive_pickling() -> None:
    error = Sample("queries.csv")
    assert error.args == ("queries.csv", 2)
    assert isinstance(error, (FileNotFoundError, StorageError))
    again = pickle.loads(pickle.dumps(Sample(n=7, path="queries.csv")))
    assert (again.args, again.path, again.n, str(again)) == (
        ("queries.csv", 7),
        "queries.csv",
        7,
        "queries.csv holds 7 rows, 'queries.csv'; give more",
    )


def test_a_text_among_the_facts_cannot_break_the_line_or_colour_the_terminal() -> None:
    assert str(Sample("a\x1b[31m\nb")) == (
        r"a\x1b[31m\nb holds 2 rows, 'a\x1b[31m\nb'; give more"
    )  # fmt: skip
    assert len(str(Sample("x" * 9000))) < 4100


def test_a_fact_too_many_or_too_few_is_refused() -> None:
    with pytest.raises(TypeError, match="path"):
        Sample()
    with pytest.raises(TypeError, match="positional"):
        Sample("queries.csv", 2, 3)


def test_every_sentence_uses_facts_that_its_error_has() -> None:
    errors = _errors()
    assert len(errors) > 100
    for error in errors:
        named = {name.partition(".")[0] for _, name, _, _ in Formatter().parse(error.sentence) if name}
        assert named <= {field.name for field in fields(error)}, error


def test_every_error_but_the_roots_of_trees_has_a_sentence() -> None:
    silent = {e.__name__ for e in _errors() if not e.sentence and e.__str__ is RoutecalError.__str__}
    assert silent == {"CalibError", "LedgerError", "ModalError", "StorageError", "TaskError"}
