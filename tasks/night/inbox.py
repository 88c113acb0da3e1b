"""The inbox: a folder into which queries are dropped, or the log of a service; and what of it has no label yet."""

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import numpy as np
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, Field

from routecal.storage.artifact import Artifact, write_table
from routecal.storage.atomic import local_path
from routecal.storage.column_names import mapping_of
from routecal.storage.errors import StorageError
from routecal.storage.ingest import read_queries
from routecal.storage.input_errors import InputChanged
from routecal.storage.layout import Home
from routecal.storage.query_identity import rough_half, share_of
from routecal.storage.remote import is_file, is_folder, names_in, resolve, store_errors
from routecal.storage.row_files import FORMATS
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.errors import InboxMissing
from routecal.tasks.night.served_log import ServedDigest, decision_log, digest_of, served_queries

logger = logging.getLogger(__name__)

# In the metadata of a night's queries: the probability with which each was drawn from the new ones.
PROPENSITY = "propensity"


class Gathered(BaseModel, frozen=True):
    """What an inbox held."""

    queries: Artifact = Field(description="tonight's: at most as many as may be labelled")
    n_new: int = Field(description="queries without a label, these and those left for other nights")
    n_files: int
    unreadable: tuple[str, ...] = Field(default=(), description="a sentence for each file that was passed over")
    served: ServedDigest | None = Field(default=None, description="where the inbox is the log of a service")


@task(name="gather", task_run_name="gather {inbox}", cache_policy=NO_CACHE)
def gather(
    inbox: str,
    labelled: AbstractSet[str],
    at_most: int,
    *,
    seen: AbstractSet[str] = frozenset(),
    columns: str | None = None,
) -> Gathered:
    """The queries of all files of a folder, one for each text and context, without those that have a label.

    A file that cannot be read (half copied, perhaps), or changes meanwhile, is passed over with a warning and tried
    again another night.
    Where there are more than `at_most`, a hash of the text draws them: a fair sample, whichever file came first.

    A folder that is the decision log of `routecal serve-router` is read as one: the queries whose texts it kept, and
    what was served.

    Args:
        inbox: the folder.
        labelled: ids of queries with a label.
        at_most: how many to return.
        seen: rough ids of queries that are left out, such as those that trained the router.
        columns: what the files call our columns, as `query=question`.

    Raises:
        InboxMissing: there is no such folder.
    """
    mapping = mapping_of(columns)
    tables, unreadable = [SCHEMAS["queries"].empty_table()], []
    log = decision_log(inbox)
    paths = files(inbox)
    if log is not None:
        tables.append(served_queries(log))
    for path in paths:
        try:
            tables.append(_read(path, mapping).replace_schema_metadata(None))
        except StorageError as error:
            logger.warning("passed over: %s", error)
            unreadable.append(str(error))
    table = pa.concat_tables(tables)
    ids = np.array(table["query_id"].to_pylist(), np.str_)
    _, first = np.unique(ids, return_index=True)
    new = np.array([i for i in np.sort(first) if ids[i] not in labelled and rough_half(ids[i]) not in seen], np.int64)
    drawn = new
    if len(new) > at_most:
        share = np.array([share_of(table["query"][i].as_py(), "night") for i in new.tolist()])
        drawn = np.sort(new[np.argsort(share, kind="stable")[:at_most]])
    # Everyone's, as the hash knows nothing of them: what is measured on these holds for all of them.
    chance = {PROPENSITY: repr(len(drawn) / len(new))} if len(new) else {}
    queries = write_table(table.take(pa.array(drawn)), "queries", home=Home.from_env(), metadata=chance)
    return Gathered(
        queries=queries,
        n_new=len(new),
        n_files=len(paths),
        unreadable=tuple(unreadable),
        served=None if log is None else digest_of(log),
    )


def _read(path: str, mapping: Mapping[str, str]) -> pa.Table:
    """The queries of a file that stays as it is while it is read: the half of a text would be labelled as a query.

    Raises:
        InputChanged: it does not.
        StorageError: see `read_queries`.
    """
    before = _stamp(path)
    table = read_queries(path, mapping)
    if _stamp(path) != before:
        raise InputChanged(path)
    return table


def _stamp(path: str) -> str | None:
    """Size, time and whatever else its file system knows of a file; None if it is gone."""
    fs, place = resolve(path)
    fs.invalidate_cache()
    try:
        with store_errors(path):
            return str(fs.ukey(place))
    except FileNotFoundError:
        return None


def files(inbox: str) -> list[str]:
    """The files of a folder that queries are read from, by name; hidden ones are not finished. A file is itself.

    Raises:
        InboxMissing: there is no such folder.
    """
    if is_file(inbox):
        return [inbox]
    if not is_folder(inbox):
        raise InboxMissing(inbox)
    is_local, (fs, _) = local_path(inbox) is not None, resolve(inbox)
    names = {path.rpartition("/")[2]: path for path in names_in(inbox)}
    return [
        path if is_local else fs.unstrip_protocol(path)
        for name, path in sorted(names.items())
        if not name.startswith(".") and name.lower().removesuffix(".gz").endswith(FORMATS)
    ]
