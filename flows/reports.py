"""Commands that look at what is stored, or decide about it: each one call, none needs Prefect.

Each imports what it calls when it is called: DuckDB, SciPy and SQLAlchemy take longer to load than these commands run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from routecal.flows.param_checks import check

if TYPE_CHECKING:
    from routecal.flows.night_params import DeclineParams, HeadsParams, PromoteParams, RollbackParams
    from routecal.flows.oracle_params import AuditParams, LedgerParams
    from routecal.flows.params import ExportParams, StatsParams
    from routecal.storage.head_registry import RegistryEntry
    from routecal.tasks.oracle.audit.judge_accuracy import AuditResult
    from routecal.tasks.result_table import Table
    from routecal.tasks.stats import Exported


def stats(params: StatsParams) -> list[Table]:
    """Dataset balance and reliability of one run."""
    from routecal.tasks.stats import stats as tables_of

    return tables_of(params.method, params.run)


def export(params: ExportParams) -> Exported:
    """The examples of one run as JSONL."""
    from routecal.tasks.stats import export as write

    check(params)
    return write(params.output_file, run_id=params.run, held_out=params.held_out)


def audit(params: AuditParams) -> AuditResult:
    """How often the judge of some labels is right, by a sheet that people filled in."""
    from routecal.tasks.audit import score_audit
    from routecal.tasks.runs import newest_artifact

    check(params)
    return score_audit(params.file, newest_artifact("labels", params.labels))


def ledger(params: LedgerParams) -> Table:
    """Spend by day, model and stage."""
    from routecal.tasks.spend import spend

    return spend()


def heads(params: HeadsParams) -> Table:
    """Every decision about the serving head, newest first."""
    from routecal.tasks.night import manual_decisions

    return manual_decisions.heads()


def promote(params: PromoteParams) -> RegistryEntry:
    """Promote a candidate by hand; a night that waits for the answer goes on with it."""
    from routecal.tasks.night import manual_decisions

    return manual_decisions.promote(params.entry, force=params.force)


def decline(params: DeclineParams) -> RegistryEntry:
    """Refuse a candidate that waits by hand; a night that waits for the answer ends with it."""
    from routecal.tasks.night import manual_decisions

    return manual_decisions.decline(params.entry, note=params.note)


def rollback(params: RollbackParams) -> RegistryEntry:
    """Put an earlier head back."""
    from routecal.tasks.night import manual_decisions

    return manual_decisions.roll_back(params.entry)
