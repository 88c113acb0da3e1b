"""What a labelling run looks like while it goes on: one line."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from routecal.tasks.oracle.job_runner import JobRunner


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
