"""Whether the model that answered is the one that was asked.

A provider may answer a retired name with another model and HTTP 200. Labels from it would say nothing about the model
they are filed under, so the first such answer stops the run.
"""

import re
from collections.abc import Collection

from routecal.tasks.errors import TaskError

# What may follow a family's name in the name of one of its versions: `-001`, `-2026-09-02`, `-09-2026`, `-preview`,
# `-preview-05-20`, `-exp-0827`. No letters besides: `-lite`, `-8b`, `-preview-tts` and `-image` are other models.
_VERSION = re.compile(r"-(?:(?:preview|exp)(?:-\d+)*|\d+(?:-\d+)*)")

_LATEST = "-latest"


class ModelDrift(TaskError):
    """Another model answered than the one that was asked."""

    model: str
    answered: str
    sentence = (
        "{model} was asked and {answered} answered, so its answers would be filed under a model that the router does "
        "not send queries to; name {answered} as the model to ask, or, if it is a version of the same model, pass "
        "--allow-versions {answered}"
    )


def bare_name(model: str) -> str:
    """A model's name without the path that Vertex and the Developer API put before it.

    >>> bare_name("publishers/google/models/gemini-3.8-flash"), bare_name("models/gemini-3.8-flash")
    ('gemini-3.8-flash', 'gemini-3.8-flash')
    """
    return re.sub(r"^(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/)?models/", "", model.strip())


def check_version(call_model: str, answered: str | None, allowed: Collection[str]) -> None:
    """Accept the model that was asked, a version of it, and what the user allows.

    A version is the family's name with digits, dates, `preview…` or `exp…` behind it, or `@version` as on Vertex. When
    a version was asked for, another one is a drift too, but the bare name of the family is not: it does not say.

    Args:
        call_model: the model as it was asked; `…-latest` stands for any version of what comes before.
        answered: the model that answered, as it says itself; None or blank when it does not say, which passes.
        allowed: further names, as the provider says them, that pass.

    Raises:
        ModelDrift: it is none of these.
    """
    if answered is None or not answered.strip():
        return
    requested, named = bare_name(call_model), bare_name(answered)
    if named == requested or named in {bare_name(name) for name in allowed}:
        return
    requested_family, _, requested_version = requested.removesuffix(_LATEST).partition("@")
    named_family, _, named_version = named.partition("@")
    suffix = named_family.removeprefix(requested_family)
    if named_family.startswith(requested_family) and (not suffix or _VERSION.fullmatch(suffix)):
        version = named_version or suffix.removeprefix("-")
        if not requested_version or not version or version == requested_version:
            return
    raise ModelDrift(call_model, answered)
