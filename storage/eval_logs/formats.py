"""The formats that can be imported. To add one, write its module with `read(path, choice)` and a row below."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from routecal.storage.errors import UnknownName
from routecal.storage.eval_logs.sample import Choice, EvalLog

# Name of --from: the module here, and what it reads.
FORMATS = {
    "table": ("table", "a table of one model, CSV, JSON lines or Parquet: query, score and more"),
    "inspect": ("inspect_ai", "a log of inspect_ai, .eval or .json"),
    "lm-eval": ("lm_eval", "samples_….jsonl of lm-evaluation-harness"),
    "lighteval": ("lighteval", "details_….parquet of lighteval"),
    "helm": ("helm", "the folder of a run of HELM"),
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
    read = import_module(f"routecal.storage.eval_logs.{FORMATS[name][0]}").read
    return cast(Callable[[str, Choice], EvalLog], read)(path, choice or Choice())
