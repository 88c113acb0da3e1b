"""Logs of HELM: the folder of a run, with its instances, what the model was asked and wrote, and the scores of each."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from routecal.storage.eval_logs.errors import ChoiceNeeded, LogUnfinished, LogUnreadable, SampleUnusable
from routecal.storage.eval_logs.question import question_in, with_choices
from routecal.storage.eval_logs.sample import Choice, EvalLog, Sample
from routecal.storage.input_errors import InputMissing

TOOL = "HELM"
_SPEC, _STATE, _STATS = "run_spec.json", "scenario_state.json", "per_instance_stats.json"
# What HELM counts of every answer beside its scores.
_NO_SCORES = frozenset(
    (
        "num_references",
        "num_train_trials",
        "num_prompt_tokens",
        "num_completion_tokens",
        "num_output_tokens",
        "num_completions",
        "num_bytes",
        "num_train_instances",
        "prompt_truncated",
        "max_prob",
        "logprob",
        "logprob_per_byte",
        "bits_per_byte",
        "perplexity",
        "batch_size",
        "predicted_index",
    )
)
_NO_SCORES_STARTS = ("finish_reason_", "inference_", "training_", "log_", "num_perplexity_")
_CHOOSING, _SEPARATE = "multiple_choice", "multiple_choice_separate"
_Key = tuple[str, int]


def read(path: str, choice: Choice) -> EvalLog:
    """One run's folder; errors as `open_log`.

    The question is the instance's input, without the examples and the instructions of the prompt; references stand
    below it as choices where the run is one of multiple choice. Instances that HELM perturbed are left out. A trial
    with other examples in the prompt is one more answer to the same question.
    HELM leaves out scores that are no number: such an answer is not scored.
    """
    folder = Path(path)
    if not folder.exists():
        raise InputMissing(path)
    if not folder.is_dir():
        raise LogUnreadable(path, TOOL, "it is no folder", f"name the folder of the run, with {_SPEC} in it")
    spec = _whole(path, _SPEC)
    adapter = spec.get("adapter_spec") if isinstance(spec, dict) else None
    if not isinstance(adapter, dict) or not isinstance(adapter.get("model"), str):
        raise LogUnreadable(path, TOOL, f"{_SPEC} does not say which model was asked")
    model = adapter["model"]
    if not (folder / _STATS).exists():
        raise LogUnfinished(path, f"it has no {_STATS} yet")
    stats = _stats(path, _whole(path, _STATS))
    scorer = _scorer(path, stats, choice.scorer)
    return EvalLog(
        path=path,
        tool=TOOL,
        model=choice.model_of(path, [model]),
        task=_task(spec),
        scorer=scorer,
        samples=_samples(path, choice.query_field, str(adapter.get("method")), stats, scorer),
    )


def _whole(path: str, name: str) -> Any:
    try:
        return json.loads((Path(path) / name).read_bytes())
    except FileNotFoundError as error:
        raise LogUnreadable(path, TOOL, f"it has no {name}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise LogUnreadable(path, TOOL, f"{name}: {error}") from error


def _task(spec: Mapping[str, Any]) -> str | None:
    """The run's name without the model in it: `mmlu:subject=anatomy,model=openai_gpt-4` is of the task
    `mmlu:subject=anatomy`."""
    name, _, said = str(spec.get("name") or "").partition(":")
    kept = [one for one in said.split(",") if one and one.partition("=")[0] not in ("model", "model_deployment")]
    return (f"{name}:{','.join(kept)}" if kept else name) or None


def _stats(path: str, listed: Any) -> dict[_Key, dict[str, object]]:
    """The scores and counts of each answer. HELM lists an answer once for every group of metrics."""
    found: dict[_Key, dict[str, object]] = {}
    try:
        for one in listed:
            if one.get("perturbation") is None:
                values = found.setdefault((str(one["instance_id"]), int(one["train_trial_index"])), {})
                values |= {stat["name"]["name"]: stat.get("mean") for stat in one["stats"]}
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise LogUnreadable(path, TOOL, f"{_STATS} is no list of scores of instances") from error
    return found


def _scorer(path: str, stats: Mapping[_Key, Mapping[str, object]], named: str | None) -> str | None:
    every = dict.fromkeys(name for values in stats.values() for name in values)
    names = [name for name in every if name not in _NO_SCORES and not name.startswith(_NO_SCORES_STARTS)]
    if named is None and len(names) == 1:
        return names[0]
    if named not in every:
        raise ChoiceNeeded(path, "scores", names, "--scorer", named)
    return named


def _samples(
    path: str, field: str | None, method: str, stats: Mapping[_Key, Mapping[str, object]], scorer: str | None
) -> Iterator[Sample]:
    state = _whole(path, _STATE)
    requests = state.get("request_states") if isinstance(state, dict) else None
    if not isinstance(requests, list):
        raise LogUnreadable(path, TOOL, f"{_STATE} holds no requests")
    read_already: set[_Key] = set()
    for number, request in enumerate(requests, 1):
        place = f"{_STATE}, request {number}"
        instance = request.get("instance") if isinstance(request, dict) else None
        if not isinstance(instance, dict) or instance.get("id") is None:
            raise SampleUnusable(path, place, "it has no instance")
        key = (str(instance["id"]), int(request.get("train_trial_index") or 0))
        # Of an instance with a request for every reference, the first stands for all: the score is the instance's.
        if instance.get("perturbation") is None and key not in read_already:
            read_already.add(key)
            query = _query(path, place, instance, field, method)
            yield _sample(place, request, query, stats.get(key) or {}, scorer, method)


def _query(path: str, place: str, instance: Mapping[str, Any], field: str | None, method: str) -> str:
    asked = instance.get("input") or {}
    fields = (instance.get("extra_data") or {}) | asked
    query = question_in(fields, field or "text", path, place)
    return with_choices(query, _references(instance)) if method.startswith(_CHOOSING) else query


def _references(instance: Mapping[str, Any]) -> list[str]:
    return [str((one.get("output") or {}).get("text")) for one in instance.get("references") or ()]


def _sample(
    place: str, request: Mapping[str, Any], query: str, values: Mapping[str, object], scorer: str | None, method: str
) -> Sample:
    instance, result = request["instance"], request.get("result") or {}
    completion: Mapping[str, Any] = next(iter(result.get("completions") or ()), {})
    is_correct = ["correct" in (one.get("tags") or ()) for one in instance.get("references") or ()]
    right = is_correct.index(True) if True in is_correct else None
    target = None if right is None else _references(instance)[right]
    if right is not None and method.startswith(_CHOOSING):
        target = chr(ord("A") + right)
    failed = result.get("success") is False
    return Sample(
        place=place,
        id=str(instance["id"]),
        query=query,
        score=values.get(scorer or ""),
        error=str(result.get("error") or "the request failed") if failed else None,
        repeat=int(request.get("train_trial_index") or 0),
        target=target or None,
        topic=instance.get("sub_split"),
        # A reference at a time is no answer of the model.
        answer=None if method.startswith(_SEPARATE) else str(completion.get("text") or "").strip() or None,
        tokens_in=_count(values.get("num_prompt_tokens")),
        tokens_out=_count(values.get("num_output_tokens")) or _count(values.get("num_completion_tokens")),
    )


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
