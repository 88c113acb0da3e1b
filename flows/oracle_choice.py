"""From a flow's parameters to an oracle, and to the pace at which one behind an API is asked."""

import hashlib
from typing import Literal

from prefect import runtime

from routecal.flows.oracle_params import (
    DECISION,
    LARGE,
    MEDIUM,
    JudgeParams,
    OracleParams,
    ProviderParams,
    RejudgeParams,
    Thinking,
)
from routecal.storage.artifact import Artifact
from routecal.tasks.old_tables import digest_for_job
from routecal.tasks.oracle import (
    ApiJudges,
    ApiOracle,
    JudgeSpec,
    LocalOracle,
    ModelSpec,
    OracleSpec,
    Pace,
    address_of,
    prompt_versions,
    prompts_sha256,
)
from routecal.tasks.queries import import_outcomes

# How sure a lone judge must be where there is a second one to ask.
UNSURE_BELOW = 0.7


def oracle_of(params: OracleParams, queries: str) -> OracleSpec:
    """The oracle that the parameters describe, its inputs found and read.

    Args:
        params: as `flows.param_checks` lets them pass.
        queries: where replay finds outcomes unless a file of them is named.
    """
    if params.oracle == "replay":
        return import_outcomes(params.outcomes or queries, columns=params.columns)
    if params.oracle == "local":
        assert params.local_model is not None
        # Torch comes with it, which the other oracles do without.
        from routecal.tasks.make_router import refer_checkpoint

        checkpoint = refer_checkpoint(params.local_model, kind="models")
        return LocalOracle(name=params.local_model_name, checkpoint=checkpoint, prompts_sha256=prompts_sha256())
    medium, large = params.medium_model, params.large_model
    if params.oracle == "gemini":
        medium, large = medium or MEDIUM, large or LARGE
    assert medium is not None
    assert large is not None
    cap = params.max_output_tokens
    return ApiOracle(
        kind=params.oracle,
        provider=provider_of(params, params.oracle),
        medium=ModelSpec(model=medium, thinking_level=_level(params.medium_thinking), max_output_tokens=cap),
        large=ModelSpec(model=large, thinking_level=_level(params.large_thinking), max_output_tokens=cap),
        judge=judge_of(params, medium, cap),
    )


def judge_of(params: JudgeParams, medium: str, max_output_tokens: int) -> JudgeSpec:
    """The judges that the parameters describe; without a name the medium model judges."""
    level = _level(params.judge_thinking)

    def seat(model: str | None) -> ModelSpec | None:
        return (model and ModelSpec(model=model, thinking_level=level, max_output_tokens=max_output_tokens)) or None

    first = params.judge_model or (DECISION if params.judge == "decision" else medium)
    below = params.judge_below
    if below is None and params.second_judge is not None:
        below = UNSURE_BELOW
    return JudgeSpec(
        kind=params.judge,
        first=ModelSpec(model=first, thinking_level=level, max_output_tokens=max_output_tokens),
        second=seat(params.second_judge),
        third=seat(params.third_judge),
        below=below,
        always_second=params.always_second,
        form=params.judge_json,
    )


def judges_of(params: RejudgeParams) -> ApiJudges:
    """The judges that the parameters describe, wherever the answers came from."""
    judge = judge_of(params, MEDIUM, params.max_output_tokens)
    return ApiJudges(
        kind=params.oracle,
        provider=provider_of(params, params.oracle),
        judge=judge,
        prompt_versions=tuple(prompt_versions(judge)),
    )


def provider_of(params: ProviderParams, kind: str) -> str:
    """The name of the provider, which is part of every call's key, and so without user and password."""
    if kind == "openai":
        assert params.base_url is not None
        return f"openai:{address_of(params.base_url).url}"
    return "vertex" if params.vertex else "gemini"


def pace_of(
    params: ProviderParams, rows: Artifact, oracle: ApiOracle | ApiJudges, *, finished_only: bool = False
) -> Pace:
    """How to ask. The job is named by what is labelled by whom, so that every attempt at it has the same budget."""
    job = hashlib.sha256(f"{digest_for_job(rows)}\0{oracle.model_dump_json()}".encode()).hexdigest()[:16]
    same = set(ProviderParams.model_fields) & set(Pace.model_fields)
    given = {name: getattr(params, name) for name in same}
    given["allow_versions"] = tuple(params.allow_versions)
    return Pace(
        **given,
        job=job,
        run=str(runtime.flow_run.id or ""),
        secret=params.secret_block,
        finished_only=finished_only,
    )


def _level(level: Thinking) -> Literal["minimal", "low", "medium", "high"] | None:
    return None if level == "none" else level
