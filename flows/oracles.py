"""From a flow's parameters to an oracle, and to the pace at which one behind an API is asked."""

import hashlib

from prefect import runtime

from flows.oracle_params import JudgeParams, OracleParams, ProviderParams, RejudgeParams
from storage.artifact import Artifact
from tasks.errors import OptionMissing
from tasks.oracle.engine.pace import Pace
from tasks.oracle.grading.cascade import prompt_versions
from tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from tasks.oracle.prompts import prompts_sha256
from tasks.oracle.providers.address import address_of
from tasks.oracle.rejudging import ApiJudges
from tasks.oracle.spec import ApiOracle, LocalOracle, OracleSpec
from tasks.queries import import_outcomes

MEDIUM, LARGE, DECISION = "gemini-3.8-flash", "gemini-4-argon", "gemini-decision-1"

# How sure a lone judge must be where there is a second one to ask.
UNSURE_BELOW = 0.7


def oracle_of(params: OracleParams, queries: str) -> OracleSpec:
    """The oracle that the parameters describe, its inputs found and read.

    Raises:
        OptionMissing: an option that this oracle needs is not given.
    """
    if params.oracle == "replay":
        return import_outcomes(params.outcomes or queries)
    if params.oracle == "local":
        if params.local_model is None:
            raise OptionMissing("model for the local oracle", "name a causal-LM checkpoint folder with --local-model")
        # Torch comes with it, which the other oracles do without.
        from tasks.router import refer_checkpoint

        checkpoint = refer_checkpoint(params.local_model, kind="models")
        return LocalOracle(name=params.local_model_name, checkpoint=checkpoint, prompts_sha256=prompts_sha256())
    medium, large = params.medium_model, params.large_model
    if params.oracle == "gemini":
        medium, large = medium or MEDIUM, large or LARGE
    if medium is None or large is None:
        raise OptionMissing("models for the openai oracle", "name them with --medium-model and --large-model")
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
    if params.second_judge is None and (params.third_judge or params.always_second or params.judge_below is not None):
        raise OptionMissing("second judge", "name one with --second-judge, or leave out what asks for it")
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
    if params.oracle == "openai" and params.judge_model is None:
        raise OptionMissing("judge at the openai endpoint", "name one with --judge-model")
    judge = judge_of(params, MEDIUM, params.max_output_tokens)
    return ApiJudges(
        kind=params.oracle,
        provider=provider_of(params, params.oracle),
        judge=judge,
        prompt_versions=tuple(prompt_versions(judge)),
    )


def provider_of(params: ProviderParams, kind: str) -> str:
    """The name of the provider, which is part of every call's key, and so without user and password.

    Raises:
        OptionMissing: where to ask is not said, or what is asked for does not exist there.
    """
    if kind == "openai":
        if params.base_url is None:
            raise OptionMissing(
                "endpoint for the openai oracle", "name it with --base-url, as http://127.0.0.1:8000/v1"
            )
        if params.backend == "batch":
            raise OptionMissing("batch backend for the openai oracle", "leave out --backend batch")
        if isinstance(params, JudgeParams) and params.judge == "decision":
            raise OptionMissing("decisions at the openai endpoint", "let a model judge: leave out --judge decision")
        return f"openai:{address_of(params.base_url).url}"
    if params.vertex and params.vertex_project is None:
        raise OptionMissing("project for Vertex", "name it with --vertex-project")
    return "vertex" if params.vertex else "gemini"


def pace_of(
    params: ProviderParams, rows: Artifact, oracle: ApiOracle | ApiJudges, *, finished_only: bool = False
) -> Pace:
    """How to ask. The job is named by what is labelled by whom, so that every attempt at it has the same budget."""
    job = hashlib.sha256(f"{rows.sha256}\0{oracle.model_dump_json()}".encode()).hexdigest()[:16]
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


def _level(level: str) -> str | None:
    return None if level == "none" else level
