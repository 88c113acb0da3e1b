"""A plan in lines for the terminal, with no more digits than it knows."""

from math import floor, log10

from routecal.tasks.oracle.planning.forecast import Duration, LabellingPlan, Range

_HEAD = ("stage", "model", "calls", "input", "output", "thinking", "USD", "at most")


def plan_lines(plan: LabellingPlan) -> list[str]:
    """The plan as people read it: a table of stages, then money, time, spend tier and what was taken for granted."""
    a = plan.assumptions
    lines = [f"{plan.queries:,} queries" + _left_out(plan)]
    rows = [
        (
            stage.stage,
            stage.model,
            f"{round(stage.calls.likely):,}",
            *(_count(n.likely) for n in (stage.input_tokens, stage.output_tokens, stage.thinking_tokens)),
            _usd_range(stage.usd),
            _usd(stage.worst_usd),
        )
        for stage in plan.stages
    ]
    widths = [max(len(row[i]) for row in (_HEAD, *rows)) for i in range(len(_HEAD))]
    for row in (_HEAD, *rows):
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    lines += [
        f"Cost ({plan.tier}): likely {_usd(plan.usd.likely)}, from {_usd(plan.usd.low)} to {_usd(plan.usd.high)}; at "
        f"most {_usd(plan.worst_usd)}, if every call wrote all it may (calls asked twice come on top; --max-usd caps)",
        f"Time under the given limits: {_time(plan.time)}",
    ]
    if plan.spend_tier is not None and plan.spend_tier_time is not None:
        t = plan.spend_tier
        month = f"${t.usd_per_10min:,.0f} in 10 minutes, ${t.usd_per_month:,.0f} a month; needs {t.needs}"
        more = "" if plan.spend_tier_covers else ", and Google's word that this account may spend more in a month"
        lines.append(f"Spend tier: {t.name} ({month}){more}; there it takes {_time(plan.spend_tier_time)}")
    lines += [f"Note: {note}" for note in plan.notes]
    lines.append(
        f"Taken for granted: {a.bytes_per_token:g} bytes a token, answers of {a.visible_tokens:g} tokens after "
        f"{a.thinking_tokens['low']:g} of thinking at level low, {a.exact_share:.0%} of the answers settled without a "
        f"judge; output up to {a.spread:g} times shorter or longer"
    )
    return lines


def _left_out(plan: LabellingPlan) -> str:
    parts = []
    if plan.skipped:
        parts.append(f"{plan.skipped:,} without ground truth are skipped")
    if plan.repeated:
        parts.append(f"{plan.repeated:,} are there more than once and asked once")
    return f" ({', '.join(parts)})" if parts else ""


def _usd_range(usd: Range) -> str:
    low, high = _usd(usd.low), _usd(usd.high)
    return low if low == high else f"{low} – {high}"


def _usd(usd: float) -> str:
    """Two digits, as more are not known.

    >>> _usd(1425), _usd(0.0123), _usd(9.96), _usd(0)
    ('$1,400', '$0.012', '$10', '$0')
    """
    rounded = _round2(usd)
    return f"${rounded:,.0f}" if rounded >= 10 or not rounded else f"${rounded:,.{1 - floor(log10(rounded))}f}"


def _count(n: float) -> str:
    """
    >>> _count(0), _count(360), _count(1_234_567), _count(25_400_000_000)
    ('0', '360', '1.2M', '25,000M')
    """
    if n < 1000:
        return f"{n:,.0f}"
    if n < 999_500:
        return f"{_round2(n) / 1e3:,.3g}k"
    return f"{_round2(n) / 1e6:,.{1 if n < 9_950_000 else 0}f}M"


def _time(time: Duration) -> str:
    low, high = _span(time.seconds.low), _span(time.seconds.high)
    if time.binding == "nothing":
        return "nothing to do, or nothing that limits it"
    took = f"up to {high}" if time.binding == "batch" else low if low == high else f"{low} to {high}"
    return f"{took}; what binds is {'the batch deadline' if time.binding == 'batch' else time.binding}"


def _span(seconds: float) -> str:
    """
    >>> _span(42), _span(600), _span(9000), _span(400_000)
    ('42 s', '10 min', '2.5 h', '4.6 days')
    """
    for unit, size, until in (("s", 1, 100), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < until:
            return f"{_round2(seconds / size):g} {unit}"
    return f"{_round2(seconds / 86_400):,g} days"


def _round2(x: float) -> float:
    """To two significant digits."""
    return round(x, 1 - floor(log10(x))) if x > 0 else 0.0
