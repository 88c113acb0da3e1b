"""What a labelling run looks like while it goes on: one line."""

import time

from tasks.oracle.desk import Desk


def line(desk: Desk) -> str:
    """Rate, time left, what limits it, refusals, concurrency and money: "9.8 rows/s · 3:10 left · rpm of … · $0.81"."""
    job, tally = desk.job, desk.job.tally
    elapsed = max(time.monotonic() - job.started, 1e-3)
    per_s = tally.done / elapsed
    left = tally.rows - tally.done
    parts = [f"{per_s:.1f} rows/s", f"{clock(left / per_s)} left" if per_s else "starting"]
    gates = {model: gate for model, gate in desk.engine.gates.items() if model}
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
    if tally.reused:
        parts.append(f"{tally.reused} calls from the ledger")
    parts.append(money(desk))
    return " · ".join(parts)


def money(desk: Desk) -> str:
    """Spent, projected and cap in USD; what may have been billed without an answer counts as spent."""
    budget, tally = desk.job.budget, desk.job.tally
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
