"""Statistics by the SQL of `storage/sql`, over the artifacts of one run or of its nights."""

from datetime import UTC, datetime
from typing import Any

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.errors import UnknownName
from routecal.storage.layout import Home
from routecal.storage.manifest import Manifest, newest_first
from routecal.storage.query import Source, connect
from routecal.storage.query import run as run_query
from routecal.storage.query_files import header, line, load_sql, names
from routecal.tasks.errors import OptionMissing, RunLacks
from routecal.tasks.result_table import Table
from routecal.tasks.runs import POOLED, latest_with_any, run_named, run_with
from routecal.tasks.stats_errors import NotAnOption, OneWindow

# What a query of `storage/sql` may read to be shown unasked.
_KINDS = ("labels", "examples", "predictions")
# The option that sets each parameter of a query, and what it is without.
_OPTIONS = {"method": "--method", "split": "--split", "n_bins": "--bins", "since": "--since"}
_DEFAULTS: dict[str, Any] = {"split": "test", "n_bins": 10, "since": None}
# Views of many nights, and the name that a night's manifest has for what they hold.
_OF_NIGHTS = {"nights": "night", "night_predictions": "predictions", "night_examples": "examples"}


def stats(
    name: str | None = None,
    run: str | None = None,
    method: str | None = None,
    split: str | None = None,
    n_bins: int | None = None,
    since: datetime | None = None,
) -> list[Table]:
    """One statistic, or those that everybody looks at first, of one run; the titles say which run.

    Args:
        name: of a file in `storage/sql`; None takes those whose header says overview.
        run: its id; None takes the newest that made what is read. Of statistics of nights, the last night that counts.
        method: whose confidence; None takes the last of the run, which is the head in question.
        split: whose rows; None takes test.
        n_bins: equal-width bins; None takes 10.
        since: when the second window of `drift` begins, UTC unless it says otherwise; None takes the middle.

    Raises:
        UnknownName: there is no such statistic, or the run predicted by no such method; names those there are.
        NotAnOption: what is shown does not read an option that was given.
        OptionMissing: no run stored yet what is read.
        RunUnknown, RunLacks: the run that was named stored nothing of this.
        OneWindow: `drift` has nothing to compare.
    """
    given = {"method": method, "split": split, "n_bins": n_bins, "since": since}
    given = {param: value for param, value in given.items() if value is not None}
    if name is None:
        queries = [query for query in names() if line(query, "overview")]
        _check_options("the overview", queries, given)
        return _overview(queries, run, given)
    load_sql(name)
    _check_options(name, [name], given)
    needed, optional = header(name, "reads"), header(name, "optional")
    if set(needed) & _OF_NIGHTS.keys():
        nights = _nights(run)
        views: dict[str, Source] = {view: _by_night(nights, view) for view in needed}
        shown, newest = f"nights to {nights[-1].run_id}", views[needed[0]]
        assert isinstance(newest, dict)
        return [_table(name, views, given, shown, next(iter(newest.values())))]
    run_id, found = run_with(*needed, run_id=run)
    views = dict(found)
    manifest = run_named(run_id)
    kinds = [view for view in optional if view not in _OF_NIGHTS]
    views |= {kind: manifest.main(kind) for kind in kinds}
    views |= {view: None for view in optional if view in _OF_NIGHTS}
    if "predictions" in views and "examples" in views and POOLED in manifest.artifacts:
        # A night's predictions are of all rows that it pooled.
        views["examples"] = manifest.artifacts[POOLED]
    shown = f"run {run_id}"
    if "night_examples" in optional and _is_night(manifest) and since is None:
        nights = _nights(run_id)
        views |= {"examples": None, "night_examples": _by_night(nights, "night_examples")}
        shown = f"nights to {run_id}"
    return [_table(name, views, given, shown, views.get("predictions"))]


def _overview(queries: list[str], run: str | None, given: dict[str, Any]) -> list[Table]:
    manifest = latest_with_any(*_KINDS) if run is None else run_named(run)
    if manifest is None:
        raise OptionMissing("artifacts", "run `routecal demo`, `label` or `calibrate` first")
    found = {kind: artifact for kind in _KINDS if (artifact := manifest.main(kind)) is not None}
    if not found or (given and "predictions" not in found):
        raise RunLacks(manifest.run_id, _KINDS if not found else ("predictions",), list(manifest.artifacts))
    readable = [query for query in queries if set(header(query, "reads")) <= found.keys()]
    readable.sort(key=lambda query: [_KINDS.index(kind) for kind in header(query, "reads")])
    shown = f"run {manifest.run_id}"
    return [
        _table(query, {k: found[k] for k in header(query, "reads")}, given, shown, found.get("predictions"))
        for query in readable
    ]


def _table(query: str, views: dict[str, Source], given: dict[str, Any], shown: str, predicted: Source) -> Table:
    """The rows of one query.

    Args:
        query: its name.
        views: what it reads.
        given: parameters by name, where they were given.
        shown: whose rows these are.
        predicted: predictions, whose last method is the one in question.
    """
    wanted = header(query, "params")
    values = _DEFAULTS | given
    if "method" in wanted:
        values["method"] = _method(predicted, given.get("method")) if isinstance(predicted, Artifact) else ""
    if (moment := values["since"]) is not None and moment.tzinfo is None:
        values["since"] = moment.replace(tzinfo=UTC)
    if unknown := set(wanted) - values.keys():
        raise UnknownName(f"parameter of storage/sql/{query}.sql", min(unknown), values)
    with connect(**views) as con:
        table = run_query(con, query, **{param: values[param] for param in wanted})
    if query == "drift":
        values["windows"] = _windows(table.to_pylist(), views, values["since"])
    heading = f"{line(query, 'title').format(**values)} ({shown})"
    return Table(heading, table.column_names, table.to_pylist(), line(query, "empty"))


def _windows(rows: list[dict[str, Any]], views: dict[str, Source], since: datetime | None) -> str:
    """What `drift` compares, in words.

    Raises:
        OneWindow: one of the windows has no row.
    """
    whole = next((row for row in rows if row["part"] == "all"), {"n_before": 0, "n_now": 0})
    of_nights = bool(views["night_examples"])
    if of_nights and not whole["n_before"]:
        raise OneWindow("is one night that labelled something", "run `routecal recalibrate` another night")
    if not whole["n_before"] and not whole["n_now"]:
        raise OneWindow("is no example with a received_at", "give that column to your queries, or look at nights")
    if not whole["n_before"] or not whole["n_now"]:
        remedy = "name a time between the first and the last" if since else "give queries of another time"
        raise OneWindow(f"is one only, with all {whole['n_before'] + whole['n_now']} queries", remedy)
    if of_nights:
        return "newest night against those before"
    return "later half of the time against the earlier" if since is None else f"since {since:%Y-%m-%d %H:%M} UTC"


def _check_options(what: str, queries: list[str], given: dict[str, Any]) -> None:
    taken = {param for query in queries for param in header(query, "params")}
    if unread := given.keys() - taken:
        raise NotAnOption(what, _OPTIONS[min(unread)], [_OPTIONS[param] for param in _OPTIONS if param in taken])


def _is_night(manifest: Manifest) -> bool:
    return manifest.artifacts.get(_OF_NIGHTS["nights"]) is not None


def _nights(run: str | None) -> list[Manifest]:
    """The nights up to one, the newest if none is named, of the same router and models; oldest first.

    Raises:
        RunUnknown, RunLacks: the run that was named is none, or no night.
        OptionMissing: there is no night yet.
    """
    # SciPy comes with it.
    from routecal.tasks.night.night_result import KEY

    named = None if run is None else run_named(run)
    if named is not None and not _is_night(named):
        raise RunLacks(named.run_id, ("night",), list(named.artifacts))
    every = [m for m in newest_first(Home.from_env()) if _is_night(m)]
    if not every:
        raise OptionMissing("nights", "run `routecal recalibrate` first")
    last = every[0] if named is None else named
    same = [m for m in every if m.facts.get(KEY) == last.facts.get(KEY) and m.written_at <= last.written_at]
    return same[::-1]


def _by_night(nights: list[Manifest], view: str) -> dict[str, Artifact]:
    """What each of the nights recorded under the view's name, newest first.

    Raises:
        OptionMissing: none did.
    """
    kind = _OF_NIGHTS[view]
    found = {m.run_id: m.artifacts[kind] for m in reversed(nights) if kind in m.artifacts}
    if not found:
        raise OptionMissing(f"{kind} of nights", "a night makes some once it labels enough to train a head")
    return found


def _method(predictions: Artifact, wanted: str | None) -> str:
    methods = read_table(predictions, columns=["method"])["method"].unique().to_pylist()
    if wanted is not None and wanted not in methods:
        raise UnknownName("method of this run", wanted, methods)
    return wanted or methods[-1]
