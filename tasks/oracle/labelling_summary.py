"""What people see of a labelling run: one line while it goes on, and tables in the Prefect UI when it has ended."""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from prefect.artifacts import create_table_artifact

from routecal.calib.policy import POLICIES
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.schemas import GRADES
from routecal.tasks.oracle.engine.labelling_job import Tally
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.label_row import ROLES

logger = logging.getLogger(__name__)

# A share of empty answers that a good model stays below.
WARN_ABOVE = 0.03

_STAGES = (*ROLES, "judge")

# The columns of `labels` that the closing tables are made of; the answers would fill the memory.
_SUMMED = (
    *(f"{role}_{what}" for role in ROLES for what in ("model", "grade", "reason")),
    *(f"{stage}_cost_usd" for stage in _STAGES),
)


def publish_summary(stored: Artifact, tally: Tally) -> None:
    """The closing tables: grades against each other; then costs, retries and what got no label."""
    labels = read_table(stored, columns=_SUMMED)
    create_table_artifact(
        grade_cells(labels),
        key="label-grades",
        description="queries by grade of the medium (rows) and the large model (columns)",
    )
    for sentence in silences(labels):
        logger.warning("%s", sentence)
    create_table_artifact(
        summary(labels, tally),
        key="label-summary",
        description="cost in USD per stage, retries, and queries without a label",
    )


def result_line(labels: Artifact, n_queries: int) -> str:
    """What labelling comes to: rows, the share of each true policy, and what the labels cost."""
    table = read_table(labels, columns=["true_policy", *(f"{stage}_cost_usd" for stage in _STAGES)])
    n, counts = table.num_rows, Counter(table["true_policy"].to_pylist())
    shares = ", ".join(f"{counts[policy.value] / max(n, 1):.0%} {policy.value}" for policy in POLICIES)
    known = [usd for stage in _STAGES for usd in table[f"{stage}_cost_usd"].to_pylist() if usd is not None]
    return f"{n} of {n_queries} queries labelled: {shares}; cost {f'{sum(known):.2f} USD' if known else 'not known'}"


def grade_cells(labels: pa.Table) -> list[dict[str, Any]]:
    """All nine cells, empty ones too."""
    pairs = Counter(zip(labels["medium_grade"].to_pylist(), labels["large_grade"].to_pylist(), strict=True))
    return [{"medium": medium} | {large: pairs[medium, large] for large in GRADES} for medium in GRADES]


def silences(labels: pa.Table) -> list[str]:
    """A sentence for each model that gave an empty answer more often than now and then."""
    said = []
    for role in ROLES:
        reasons = Counter(labels[f"{role}_reason"].to_pylist())
        empty, cut = reasons["empty"], reasons["truncated"]
        if empty + cut > WARN_ABOVE * labels.num_rows:
            model, share = labels[f"{role}_model"][0].as_py(), (empty + cut) / labels.num_rows
            said.append(
                f"{empty + cut} of {labels.num_rows} answers of the {role} model {model} are empty ({share:.0%}) and "
                f"count as NOT_ATTEMPTED: {empty} have no text, {cut} hit the limit of tokens; raise "
                f"--max-output-tokens, or turn thinking off with --{role}-thinking none"
            )
    return said


def summary(labels: pa.Table, tally: Tally) -> list[dict[str, Any]]:
    """(what, n, usd): one line for each thing worth knowing, USD where it is about money.

    Costs are those of the labels, whoever paid for them when; calls, retries and the rest are this run's.
    """
    rows: list[dict[str, Any]] = []
    for stage in _STAGES:
        usd = labels[f"{stage}_cost_usd"]
        unknown = f", {usd.null_count} of unknown cost" if usd.null_count else ""
        cost = sum(value for value in usd.to_pylist() if value is not None)
        rows.append({"what": f"cost of {stage}{unknown}", "n": labels.num_rows, "usd": round(cost, 6)})
    rows.append({"what": "calls answered in this run", "n": tally.calls, "usd": round(tally.usd, 6)})
    rows.append(
        {"what": "calls answered from the ledger, free", "n": max(tally.reused - tally.prefetched, 0), "usd": 0.0}
    )
    rows.append({"what": "calls in flight when a process ended: sent again, paid at most twice", "n": tally.taken_over})
    rows += [{"what": f"retries: {kind}", "n": n} for kind, n in sorted(tally.retries.items())]
    if tally.uncounted:
        rows.append({"what": "calls of unknown cost, counted at their maximum", "n": tally.uncounted})
    if tally.renewed:
        rows.append({"what": "unusable responses of earlier runs, requested again", "n": tally.renewed})
    reasons = [r for who in ROLES for r in labels[f"{who}_reason"].to_pylist() if r]
    rows += [{"what": f"answers: {reason}", "n": n} for reason, n in sorted(Counter(reasons).items())]
    rows += [{"what": f"no label: {reason}", "n": n} for reason, n in sorted(tally.unlabelled.items())]
    return rows


def progress_line(runner: JobRunner) -> str:
    """Rate, time left, what limits it, refusals, concurrency and money: "9.8 rows/s · 3:10 left · rpm of … · $0.81"."""

    # A gate belongs to the engine's loop: even a look from another thread could upset its counts.
    async def look() -> str:
        return _line(runner)

    return runner.run(look())


def _line(runner: JobRunner) -> str:
    job, tally = runner.job, runner.job.tally
    elapsed = max(time.monotonic() - job.started, 1e-3)
    per_s = tally.done / elapsed
    left = tally.rows - tally.done
    parts = [f"{per_s:.1f} rows/s", f"{clock(left / per_s)} left" if per_s else "starting"]
    gates = {model: gate for model, gate in runner.engine.sender.gates.items() if model}
    binding = {model: gate.binding for model, gate in gates.items() if gate.binding}
    # The model with the longest line is the one everybody waits for.
    if binding:
        model = max(binding, key=lambda name: gates[name].waiting)
        parts.append(f"limit: {binding[model]} of {model}")
    sent = sum(gate.admitted for gate in gates.values())
    refused = sum(gate.throttled for gate in gates.values())
    parts.append(f"429 {refused / sent if sent else 0:.1%}")
    in_flight, width = (sum(getattr(g, what) for g in gates.values()) for what in ("in_flight", "concurrency"))
    parts.append(f"{in_flight} of {width} in flight")
    if (reused := tally.reused - tally.prefetched) > 0:
        parts.append(f"{reused} calls from the ledger")
    if job.batches:
        parts.append(batch_progress(job.batches, datetime.now(UTC)))
    parts.append(money(runner))
    return " · ".join(parts)


def batch_progress(open_: Mapping[str, tuple[str, datetime]], now: datetime) -> str:
    """What is known of the open batch jobs: state and beginning of each, by name.

    >>> at = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    >>> batch_progress({"a": ("PENDING", at), "b": ("RUNNING", at)}, at.replace(minute=12))
    'batch: 2 jobs, 1 running, 12:00 since the first was made'
    """
    running = sum(state == "RUNNING" for state, _ in open_.values())
    age_s = (now - min(since for _, since in open_.values())).total_seconds()
    jobs = "1 job" if len(open_) == 1 else f"{len(open_)} jobs"
    return f"batch: {jobs}, {running} running, {clock(age_s)} since the first was made"


def money(runner: JobRunner) -> str:
    """Spent, projected and cap in USD; what may have been billed without an answer counts as spent."""
    budget, tally = runner.job.budget, runner.job.tally
    said = f"${budget.spent_usd:.2f}"
    if tally.done and tally.rows > tally.done:
        said += f", about ${budget.spent_usd + tally.usd * (tally.rows / tally.done - 1):.2f} in all"
    return said if budget.cap_usd is None else f"{said}, cap ${budget.cap_usd:.2f}"


def clock(seconds: float) -> str:
    """
    >>> clock(59), clock(3700)
    ('0:59', '1:01:40')
    """
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
