"""The command line's own errors: one line each, which survives pickling."""

import pickle

import pytest

from routecal.flows import errors
from routecal.tasks.errors import TaskError

FACTS = {
    "CommandUnknown": ("lable", "label", ("demo", "label")),
    "OptionUnknown": ("--limt", "label", "--limit"),
    "WordUnexpected": ("x", "label"),
    "FlagMisplaced": ("--refresh", "label"),
    "OptionRepeated": ("--limit",),
    "WrongValues": ((("--limit", "0\n", "a whole number"), ("--queries", None, "a file")),),
    "OptionsConflict": ("--vertex is read with", "leave it out"),
    "DemoIsACommand": ("file", "demo"),
    "OtherRouterServes": ("artifacts", 3),
    "PlaceUnusable": ("the file of", "x\n.jsonl", "Permission denied", "name another"),
    "NotAFile": ("--queries", "folder"),
    "FolderMissing": ("--data", "nowhere", True),
    "ServerUnreachable": ("http://127.0.0.1:1/api", "Connection refused", "start it"),
    "ServerNotStarted": ("it ended with code 1", "prefect/temporary-server.log"),
    "PrefectSettings": ("level is 'LOUD'",),
    "ClusterUnusable": ("ray", "ray://head:10001", "nothing answers there", "start one"),
    "WorkersLost": ("dask", "KilledWorker: x"),
}


def test_every_error_is_listed() -> None:
    tree = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, TaskError)}
    assert tree - {"TaskError"} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_one_line_that_survives_pickling(name: str) -> None:
    error = getattr(errors, name)(*FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert "\n" not in str(error)
    assert "None" not in str(error)


def test_without_a_hint_there_is_a_list() -> None:
    assert str(errors.CommandUnknown("x", None, ["demo", "label"])) == (
        "'x' is not a command; choose one of demo, label"
    )
    assert "`routecal label --help` lists those it has" in str(errors.OptionUnknown("--x", "label", None))
