"""From a flow's parameters to an oracle, to judges, and to the pace at which those behind an API are asked."""

import hashlib

from prefect import runtime

from routecal.flows.oracle_params import OracleParams, ProviderParams, RejudgeParams
from routecal.storage.artifact import Artifact
from routecal.tasks.old_tables import digest_for_job
from routecal.tasks.oracle import ORACLES, ApiJudges, ApiOracle, OracleSpec, Pace, judge_of, prompt_versions
from routecal.tasks.oracle.api_oracle import MEDIUM


def oracle_of(params: OracleParams, queries: str) -> OracleSpec:
    """The oracle that the parameters describe, its inputs found and read.

    Args:
        params: as `flows.param_checks` lets them pass.
        queries: where replay finds outcomes unless a file of them is named.
    """
    return ORACLES[params.oracle].resolve(params, queries)


def judges_of(params: RejudgeParams) -> ApiJudges:
    """The judges that the parameters describe, wherever the answers came from."""
    judge, api = judge_of(params, MEDIUM), ORACLES[params.oracle].api
    assert api is not None
    versions = tuple(prompt_versions(judge))
    return ApiJudges(kind=params.oracle, provider=api.provider(params), judge=judge, prompt_versions=versions)


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
