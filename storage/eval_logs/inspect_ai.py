"""Logs of inspect_ai: `.eval`, a zip file with a member for every sample, and `.json`, which is read whole."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from routecal.storage.eval_logs.errors import LogUnfinished, LogUnreadable, SampleUnusable
from routecal.storage.eval_logs.log_file import log_file
from routecal.storage.eval_logs.question import with_choices
from routecal.storage.eval_logs.sample import Choice, EvalLog, Sample
from routecal.storage.eval_logs.zip_members import Members
from routecal.storage.value_parsing import text

TOOL = "inspect_ai"
_DAMAGED = (OSError, ValueError, RecursionError, NotImplementedError, zipfile.BadZipFile, zlib.error)
# What a value of another type than inspect_ai writes leads to.
_MISSHAPEN = (AttributeError, TypeError, KeyError, IndexError)
_ATTACHMENT = "attachment://"


def read(path: str, choice: Choice) -> EvalLog:
    """One log; errors as `open_log`.

    The question is the sample's input: a text, or the last message of the user, with its choices below it where it has
    some. Tokens and cost are of the model that was evaluated alone, not of those that graded it.
    """
    file = log_file(path, TOOL, wanted="log")
    is_zip = file.suffix == ".eval"
    head = _zip_head(path) if is_zip else _whole(path)
    said = head.get("eval")
    if not isinstance(said, dict) or not isinstance(head.get("status"), str):
        raise LogUnreadable(path, TOOL, "it does not say of which evaluation it is")
    if head["status"] != "success":
        raise LogUnfinished(path, f"its status is {head['status']!r}")
    try:
        scorers = [str(one["name"]) for one in said.get("scorers") or ()]
        version = (said.get("packages") or {}).get("inspect_ai")
        samples = [] if is_zip else [*(head.get("samples") or ())]
        model, task = text(said.get("model")), text(said.get("task"))
    except (ValueError, *_MISSHAPEN) as error:
        raise LogUnreadable(path, TOOL, f"its header has another layout ({type(error).__name__}: {error})") from error
    if model is None:
        raise LogUnreadable(path, TOOL, "it does not say which model was evaluated")
    found = _zip_samples(path) if is_zip else ((f"sample {i}", one) for i, one in enumerate(samples, 1))
    return EvalLog(
        path=path,
        tool=f"{TOOL} {version}" if version else TOOL,
        model=choice.model_of(path, [model]),
        task=task,
        scorer=choice.scorer or (scorers[0] if len(scorers) == 1 else None),
        samples=(_usable(path, place, one, choice.scorer, model) for place, one in found),
    )


def _zip_head(path: str) -> dict[str, Any]:
    try:
        with Members(Path(path)) as members:
            if "header.json" not in members:
                raise LogUnfinished(path, "it has no header yet")
            head = json.loads(members.read("header.json"))
    except LogUnfinished:
        raise
    except _DAMAGED as error:
        raise LogUnreadable(path, TOOL, str(error)) from error
    return head if isinstance(head, dict) else {}


def _whole(path: str) -> dict[str, Any]:
    try:
        head = json.loads(Path(path).read_bytes())
    except _DAMAGED as error:
        raise LogUnreadable(path, TOOL, str(error)) from error
    return head if isinstance(head, dict) else {}


def _zip_samples(path: str) -> Iterator[tuple[str, Any]]:
    with Members(Path(path)) as members:
        for name in members.names("samples"):
            try:
                yield name, json.loads(members.read(name))
            except _DAMAGED as error:
                raise LogUnreadable(path, TOOL, f"{name}: {error}") from error


def _usable(path: str, place: str, one: Any, scorer: str | None, model: str | None) -> Sample:
    try:
        return _sample(path, place, one, scorer, model)
    except _MISSHAPEN as error:
        reason = f"it has another layout than samples of {TOOL} ({type(error).__name__}: {error})"
        raise SampleUnusable(path, place, reason) from error


def _sample(path: str, place: str, one: Any, scorer: str | None, model: str | None) -> Sample:
    if not isinstance(one, dict) or "input" not in one:
        raise SampleUnusable(path, place, "it has no input")
    usage = (one.get("model_usage") or {}).get(model) or {}
    output = one.get("output") or {}
    tokens_in = [
        usage[n] for n in ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write") if usage.get(n)
    ]
    error = one.get("error")
    return Sample(
        place=place,
        id=None if one.get("id") is None else str(one["id"]),
        query=_question(one),
        score=None if error else _score(path, place, one, scorer),
        error=str(error.get("message") if isinstance(error, dict) else error) if error else None,
        repeat=(one.get("epoch") or 1) - 1,
        target=_target(one.get("target")),
        answer=_full(output.get("completion"), one) or None,
        tokens_in=sum(tokens_in) if tokens_in else None,
        tokens_out=usage.get("output_tokens"),
        cost_usd=usage.get("total_cost"),
    )


def _question(one: Mapping[str, Any]) -> str:
    asked = one["input"]
    if isinstance(asked, list):
        asked = next((m.get("content") for m in reversed(asked) if m.get("role") == "user"), "")
    if isinstance(asked, list):
        asked = "\n".join(str(part.get("text", "")) for part in asked if part.get("type") == "text")
    return with_choices(str(_full(asked, one)), (_full(text, one) for text in one.get("choices") or ()))


def _full(text: Any, one: Mapping[str, Any]) -> Any:
    """A text that inspect_ai keeps among the attachments, because it is long."""
    if isinstance(text, str) and text.startswith(_ATTACHMENT):
        return (one.get("attachments") or {}).get(text.removeprefix(_ATTACHMENT), text)
    return text


def _target(target: Any) -> str | None:
    first = target[0] if isinstance(target, list) and target else target
    return first if isinstance(first, str) and first else None


def _score(path: str, place: str, one: Mapping[str, Any], scorer: str | None) -> object:
    scores = one.get("scores")
    if not isinstance(scores, dict):
        scores = {"score": one["score"]} if one.get("score") else {}
    values: dict[str, object] = {}
    for name, score in scores.items():
        value = score.get("value") if isinstance(score, dict) else score
        values |= {f"{name}.{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
    if not values:
        return None
    return values[Choice(scorer=scorer).scorer_of(f"{path}, {place}", list(values))]
