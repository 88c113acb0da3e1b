"""Flow `audit`: the judge scored by people."""

from prefect import flow

from flows.checks import check
from flows.oracle_params import AuditParams
from tasks import runs
from tasks.audit import score_audit
from tasks.oracle.audit.score import AuditResult


@flow(name="audit")
def audit(params: AuditParams) -> AuditResult:
    """How often the judge of some labels is right, by a sheet that people filled in."""
    check(params)
    return score_audit(params.file, runs.newest("labels", params.labels))


if __name__ == "__main__":
    from flows.cli import restart

    restart("audit")
