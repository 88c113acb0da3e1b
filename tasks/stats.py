"""Dataset balance and reliability, by the SQL of `storage/sql` over the newest artifacts."""

from typing import Any

from storage.export import export_jsonl
from storage.query import connect, run
from tasks.errors import OptionMissing
from tasks.evaluate import FINAL
from tasks.listing import Table
from tasks.runs import newest

# Title, query, the artifacts it reads, its parameters.
_TABLES: tuple[tuple[str, str, tuple[str, ...], dict[str, Any]], ...] = (
    ("Grades, medium x large", "grades", ("labels",), {}),
    ("True policies by topic and split", "policy_balance", ("examples",), {}),
    ("Router accuracy", "router_accuracy", ("examples",), {}),
    ("Cost of the labels", "cost", ("labels",), {}),
    (f"Reliability of «{FINAL}», test split", "reliability", ("predictions",), {"split": "test", "n_bins": 10}),
)


def stats(method: str = FINAL) -> list[Table]:
    """Every table there are artifacts for.

    Args:
        method: whose reliability.

    Raises:
        OptionMissing: no run stored anything yet.
    """
    found = {}
    for kind in ("labels", "examples", "predictions"):
        try:
            found[kind] = newest(kind)
        except OptionMissing:
            continue
    if not found:
        raise OptionMissing("artifacts", "run `routecal demo`, `label` or `calibrate` first")
    results = []
    with connect(**found) as con:
        for title, query, needs, params in _TABLES:
            if all(kind in found for kind in needs):
                own = {"method": method} if query == "reliability" else {}
                table = run(con, query, **params, **own)
                results.append(Table(title.replace(FINAL, method), table.column_names, table.to_pylist()))
    return results


def export(path: str) -> int:
    """Write the newest examples as the method's JSONL; returns the rows written."""
    return export_jsonl(newest("examples"), path)
