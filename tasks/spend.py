"""Spend by the ledger, for people: by day, model and stage. A ledger that is not there is not made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from routecal.storage.ledger import Ledger
from routecal.storage.ledger.url import locate, url_for_display
from routecal.tasks.errors import OptionMissing
from routecal.tasks.result_table import Table

_COLUMNS = ["day", "model", "stage", "calls", "failed", "tokens_in", "tokens_out", "USD", "unknown"]


def ledger_exists() -> bool:
    """Whether there is a ledger to read; a database server is taken to have one."""
    url = locate()
    return url.drivername != "sqlite" or Path(str(url.database)).is_file()


def spend() -> Table:
    """What was paid by day (UTC), model and stage, newest first, and in all.

    `tokens_out` includes thinking. `unknown` counts calls whose price is not known: their provider did not count.

    Raises:
        OptionMissing: there is no ledger, or it is empty.
        StorageError: it cannot be read.
    """
    place = url_for_display(locate())
    if not ledger_exists():
        raise OptionMissing(f"ledger at {place}", "it is made by the first labels from an API (label --oracle gemini)")
    with Ledger.open() as ledger:
        found = ledger.spend()
    if not found:
        raise OptionMissing(f"calls in the ledger {place}", "it fills with labels from an API (label --oracle gemini)")
    rows = [_row(row) for row in found]
    maybe_usd = sum(row["maybe_usd"] or 0.0 for row in found)
    more = f"; failed and unknown calls may have cost up to ${maybe_usd:.4f} more" if maybe_usd else ""
    return Table(f"Ledger {place}{more}", _COLUMNS, [*rows, _total(rows)])


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    out = [found[name] for name in ("tokens_output", "tokens_thinking") if found[name] is not None]
    return {
        **{name: found[name] for name in ("day", "model", "stage", "calls")},
        "failed": found["attempts"],
        "tokens_in": found["tokens_prompt"],
        "tokens_out": sum(out) if out else None,
        "USD": found["usd"],
        "unknown": found["n_unknown"],
    }


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of what is known; a sum of nothing known is not known."""
    counted = _COLUMNS[3:]
    known = {name: [row[name] for row in rows if row[name] is not None] for name in counted}
    return {"day": "in all", "model": "", "stage": ""} | {n: sum(v) if v else None for n, v in known.items()}
