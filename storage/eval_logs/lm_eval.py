"""Logs of lm-evaluation-harness: `samples_TASK_DATE.jsonl`, a line for every question and filter."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from routecal.storage.eval_logs.errors import ChoiceNeeded, LogUnfinished, LogUnreadable, SampleUnusable
from routecal.storage.eval_logs.log_file import log_file
from routecal.storage.eval_logs.question import choices_in, question_in, with_choices
from routecal.storage.eval_logs.sample import Choice, EvalLog, Sample

TOOL = "lm-evaluation-harness"
_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
# The filter of a task that has none.
_UNFILTERED = "none"
# Fields of a line that are no scores, for versions that did not list those.
_NO_SCORES = frozenset(("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"))


def read(path: str, choice: Choice) -> EvalLog:
    """One task's samples; errors as `open_log`.

    The question is in the row of the data set, `doc`, as it was before the task put its prompt around it; the choices
    stand below it where the row has some. A score is named as the tool does, `exact_match,strict-match`: the metric,
    and the filter that took the answer out of the text. Where a question was asked several times, its line has one
    score of all answers. Model and version are in the `results_DATE.json` beside the file; without it, the model has
    the name that the user gives it. The tool counts no tokens.
    """
    file = log_file(path, TOOL, wanted="samples_….jsonl")
    first = next(_lines(path), None)
    if first is None:
        raise LogUnreadable(path, TOOL, "it is empty")
    name = _NAME.fullmatch(file.name)
    results = _results(file.with_name(f"results_{name['date']}.json")) if name else {}
    model = results.get("model_name") or results.get("model_source")
    version = results.get("lm_eval_version")
    metric, filtered = _scorer(path, first[1], choice)
    return EvalLog(
        path=path,
        tool=f"{TOOL} {version}" if version else TOOL,
        model=choice.model_of(path, [str(model)] if model else []),
        task=name["task"] if name else None,
        scorer=f"{metric},{filtered}",
        samples=_samples(path, choice, metric, filtered),
    )


def _lines(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, line) of each; one is in memory at a time."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                one = json.loads(line)
            except (ValueError, RecursionError) as error:
                if not line.endswith(b"\n") and line.startswith(b"{"):
                    raise LogUnfinished(path, f"line {number}, its last, is cut") from error
                raise LogUnreadable(path, TOOL, f"line {number} is no JSON") from error
            if not isinstance(one, dict) or not isinstance(one.get("doc"), dict) or "doc_id" not in one:
                raise LogUnreadable(path, TOOL, f"line {number} has no doc and doc_id")
            yield f"line {number}", one


def _results(file: Path) -> dict[str, Any]:
    try:
        results = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise LogUnreadable(str(file), TOOL, str(error)) from error
    return results if isinstance(results, dict) else {}


def _metrics(one: Mapping[str, Any]) -> list[str]:
    listed = one.get("metrics")
    if isinstance(listed, list):
        return [str(metric) for metric in listed]
    return [name for name, value in one.items() if name not in _NO_SCORES and isinstance(value, bool | int | float)]


def _filter(one: Mapping[str, Any]) -> str:
    return str(one.get("filter") or _UNFILTERED)


def _scorer(path: str, first: Mapping[str, Any], choice: Choice) -> tuple[str, str]:
    """(metric, filter) to read. What was named without a filter is of the only one, which `_samples` makes sure of."""
    metrics = _metrics(first)
    if choice.scorer is None and len(metrics) == 1:
        return metrics[0], _filter(first)
    if choice.scorer in metrics:
        return str(choice.scorer), _filter(first)
    metric, _, filtered = choice.scorer_of(path, _names(path)).rpartition(",")
    return metric, filtered


def _names(path: str) -> list[str]:
    """Of all scores. Lines of one filter follow those of another, so that only all of them tell."""
    return list(dict.fromkeys(f"{metric},{_filter(one)}" for _, one in _lines(path) for metric in _metrics(one)))


def _samples(path: str, choice: Choice, metric: str, filtered: str) -> Iterator[Sample]:
    is_whole_name = choice.scorer == f"{metric},{filtered}"
    for place, one in _lines(path):
        if _filter(one) == filtered:
            yield _sample(path, place, one, choice.query_field, metric)
        elif not is_whole_name:
            raise ChoiceNeeded(path, "scores", _names(path), "--scorer", None)


def _sample(path: str, place: str, one: Mapping[str, Any], field: str | None, metric: str) -> Sample:
    if metric not in one:
        raise SampleUnusable(path, place, f"it has no score {metric!r}")
    doc = one["doc"]
    choices = choices_in(doc)
    field = field if field in doc else field and field.removeprefix("doc.")
    return Sample(
        place=place,
        id=str(one["doc_id"]),
        query=with_choices(question_in(doc, field, path, place), choices),
        score=one[metric],
        target=_target(one, choices),
        answer=_answer(one),
    )


def _is_ranked(one: Mapping[str, Any]) -> bool:
    """Whether the model was not asked for a text, but for how likely each choice is."""
    arguments = one.get("arguments")
    resps = one.get("resps")
    n_asked = len(arguments) if isinstance(arguments, dict | list) else len(resps) if isinstance(resps, list) else 0
    return n_asked > 1


def _target(one: Mapping[str, Any], choices: list[str]) -> str | None:
    target = one.get("target")
    if target is None or target == "":
        return None
    if _is_ranked(one) and str(target).isdecimal() and int(target) < len(choices):
        return chr(ord("A") + int(target))
    return str(target)


def _answer(one: Mapping[str, Any]) -> str | None:
    """What the model wrote, first of several times, before a filter took a part of it."""
    if _is_ranked(one):
        return None
    answer = one.get("resps")
    while isinstance(answer, list) and answer:
        answer = answer[0]
    return answer if isinstance(answer, str) and answer else None
