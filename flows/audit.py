"""Flow `audit`: the judge scored by people."""

from prefect import flow

from routecal.flows.oracle_params import AuditParams
from routecal.flows.param_checks import check
from routecal.tasks import runs
from routecal.tasks.audit import score_audit
from routecal.tasks.oracle.audit.judge_accuracy import AuditResult


@flow(name="audit")
def audit(params: AuditParams) -> AuditResult:
    """How often the judge of some labels is right, by a sheet that people filled in."""
    check(params)
    return score_audit(params.file, runs.newest("labels", params.labels))


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("audit")
