"""The formats that can be imported. To add one, write its module with `read(path, choice)` and a row below."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, cast

from routecal.storage.errors import UnknownName
from routecal.storage.eval_logs.sample import Choice, EvalLog


class Format(NamedTuple):
    """One format.

    Attributes:
        module: here, that reads it.
        title: what it is.
        choices: fields of `Choice` beside the model that it reads.
    """

    module: str
    title: str
    choices: tuple[str, ...]


# Name of --from: the format.
FORMATS = {
    "table": Format("table", "a table of one model, CSV, JSON lines or Parquet: query, score and more", ("columns",)),
    "inspect": Format("inspect_ai", "a log of inspect_ai, .eval or .json", ("scorer",)),
    "lm-eval": Format("lm_eval", "samples_….jsonl of lm-evaluation-harness", ("scorer", "query_field")),
    "lighteval": Format("lighteval", "details_….parquet of lighteval", ("scorer", "query_field")),
    "helm": Format("helm", "the folder of a run of HELM", ("scorer", "query_field")),
}


def open_log(name: str, path: str, choice: Choice | None = None) -> EvalLog:
    """A log, of which nothing is read yet but what it says of itself.

    Args:
        name: one of `FORMATS`.
        path: file or folder.
        choice: what to read of a log that holds more than one thing.

    Raises:
        UnknownName: there is no such format.
        InputMissing, LogUnreadable, LogUnfinished, ChoiceNeeded: it cannot be read.
    """
    if name not in FORMATS:
        raise UnknownName("format of logs", name, FORMATS)
    read = import_module(f"routecal.storage.eval_logs.{FORMATS[name].module}").read
    return cast(Callable[[str, Choice], EvalLog], read)(path, choice or Choice())
