"""Dataset balance and reliability, by the SQL of `storage/sql` over the artifacts of one run."""

from typing import NamedTuple

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.errors import UnknownName
from routecal.storage.example_join import export_jsonl
from routecal.storage.query import connect, header, names, title
from routecal.storage.query import run as run_query
from routecal.tasks.errors import OptionMissing, RunLacks
from routecal.tasks.result_table import Table
from routecal.tasks.runs import latest_with_any, run_named, run_with

# What a query of `storage/sql` may read to be printed, and the values of its parameters, where it has them.
_KINDS = ("labels", "examples", "predictions")
_VALUES = {"split": "test", "n_bins": 10}


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes:
        run_id: whose examples.
        path: where they are.
        n: rows written.
        n_held_out: test rows that were left out.
    """

    run_id: str
    path: str
    n: int
    n_held_out: int


def stats(run: str | None = None, method: str | None = None) -> list[Table]:
    """Every table that one run made artifacts for; the titles say which run.

    Args:
        run: its id; None takes the newest that made any.
        method: whose reliability; None takes the last of the run, which is the head in question.

    Raises:
        OptionMissing: no run stored anything yet.
        RunUnknown, RunLacks: the run that was named stored nothing of this.
        UnknownName: it predicted by no such method; names those it did.
    """
    manifest = latest_with_any(*_KINDS) if run is None else run_named(run)
    if manifest is None:
        raise OptionMissing("artifacts", "run `routecal demo`, `label` or `calibrate` first")
    found = {kind: artifact for kind in _KINDS if (artifact := manifest.main(kind)) is not None}
    if not found or (method is not None and "predictions" not in found):
        raise RunLacks(manifest.run_id, _KINDS if not found else ("predictions",), list(manifest.artifacts))
    shown = _method(found["predictions"], method) if "predictions" in found else ""
    results = []
    values = {**_VALUES, "method": shown}
    with connect(**found) as con:
        readable = [query for query in names() if set(header(query, "reads")) <= found.keys()]
        for query in sorted(readable, key=lambda query: [_KINDS.index(kind) for kind in header(query, "reads")]):
            if unknown := set(header(query, "params")) - values.keys():
                raise UnknownName(f"parameter of storage/sql/{query}.sql", min(unknown), values)
            table = run_query(con, query, **{name: values[name] for name in header(query, "params")})
            heading = f"{title(query).format(method=shown)} (run {manifest.run_id})"
            results.append(Table(heading, table.column_names, table.to_pylist()))
    return results


def export(output_file: str, run: str | None = None, *, held_out: bool = False) -> Exported:
    """Write the examples of one run as the method's JSONL, by default without the held-out ones.

    Args:
        output_file: where to.
        run: its id; None takes the newest that made examples.
        held_out: write test rows too, and the split of every row.

    Raises:
        OptionMissing, RunUnknown, RunLacks: there are none.
    """
    run_id, found = run_with("examples", run_id=run)
    n, n_held_out = export_jsonl(found["examples"], output_file, held_out=held_out)
    return Exported(run_id, output_file, n, n_held_out)


def _method(predictions: Artifact, wanted: str | None) -> str:
    methods = list(dict.fromkeys(read_table(predictions, columns=["method"])["method"].to_pylist()))
    if wanted is not None and wanted not in methods:
        raise UnknownName("method of this run", wanted, methods)
    return wanted or methods[-1]
