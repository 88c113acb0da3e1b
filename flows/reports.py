"""Commands that look at what is stored, or decide about it: each one call, none needs Prefect."""

from routecal.flows.night_params import DeclineParams, HeadsParams, PromoteParams, RollbackParams
from routecal.flows.oracle_params import AuditParams, LedgerParams
from routecal.flows.param_checks import check
from routecal.flows.params import ExportParams, StatsParams
from routecal.storage.head_registry import Entry
from routecal.tasks import runs
from routecal.tasks import stats as tables
from routecal.tasks.audit import score_audit
from routecal.tasks.night import manual_decisions
from routecal.tasks.oracle.audit.judge_accuracy import AuditResult
from routecal.tasks.result_table import Table
from routecal.tasks.spend import spend


def stats(params: StatsParams) -> list[Table]:
    """Dataset balance and reliability of one run."""
    return tables.stats(params.method, params.run)


def export(params: ExportParams) -> tables.Exported:
    """The examples of one run as JSONL."""
    check(params)
    return tables.export(params.output_file, run_id=params.run, held_out=params.held_out)


def audit(params: AuditParams) -> AuditResult:
    """How often the judge of some labels is right, by a sheet that people filled in."""
    check(params)
    return score_audit(params.file, runs.newest("labels", params.labels))


def ledger(params: LedgerParams) -> Table:
    """Spend by day, model and stage."""
    return spend()


def heads(params: HeadsParams) -> Table:
    """Every decision about the serving head, newest first."""
    return manual_decisions.heads()


def promote(params: PromoteParams) -> Entry:
    """Promote a candidate by hand; a night that waits for the answer goes on with it."""
    return manual_decisions.promote(params.entry, force=params.force)


def decline(params: DeclineParams) -> Entry:
    """Refuse a candidate that waits by hand; a night that waits for the answer ends with it."""
    return manual_decisions.decline(params.entry, note=params.note)


def rollback(params: RollbackParams) -> Entry:
    """Put an earlier head back."""
    return manual_decisions.roll_back(params.entry)
