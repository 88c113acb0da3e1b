"""Labelling through an API: several shards at once, seen as it goes, stopped at any moment, resumed after any end."""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from prefect.futures import PrefectFuture

from calib.policy import OracleMatrix
from flows.oracle_params import OracleParams
from flows.oracles import pace_of
from storage.artifact import Artifact, read_table
from tasks.label import label_finished, label_shard, no_labels
from tasks.oracle.breaker import DayQuotaReached
from tasks.oracle.bulletin import ProgressArtifact, publish_summary
from tasks.oracle.desk import Desk, desk_for
from tasks.oracle.later import schedule_again
from tasks.oracle.meter import line
from tasks.oracle.pace import Pace
from tasks.oracle.providers import providers_for
from tasks.oracle.quota import quota_size, slots_for
from tasks.oracle.signals import stopping_on_signal
from tasks.oracle.spec import ApiOracle
from tasks.oracle.stops import LabellingStopped
from tasks.progress import counted
from tasks.tables import joined, shards

logger = logging.getLogger(__name__)

Future = PrefectFuture[Artifact]

# Batch jobs at once; Google takes a hundred, of all who share the project.
BATCHES = 20

SECONDS_BETWEEN_LOOKS = 0.2


def label_by_api(
    queries: Artifact, oracle: ApiOracle, params: OracleParams
) -> tuple[Artifact, LabellingStopped | None]:
    """(labels, None), or (the labels of what is finished, why no more).

    A day's quota that is used up is waited for, if `on_day_quota` says so.
    """
    pace = pace_of(params, queries, oracle, finished_only=params.finished_only)
    while True:
        labels, stopped = _label(queries, oracle, params, pace)
        if stopped is None or stopped.resume_at is None or params.on_day_quota == "stop":
            return labels, stopped
        resume_at = datetime.fromisoformat(stopped.resume_at)
        if params.on_day_quota == "schedule":
            schedule_again(resume_at)
            return labels, stopped
        logger.warning("%s; waiting until then", stopped)
        time.sleep(max(0.0, (resume_at - datetime.now(UTC)).total_seconds()))


def _label(
    queries: Artifact, oracle: ApiOracle, params: OracleParams, pace: Pace
) -> tuple[Artifact, LabellingStopped | None]:
    pieces = shards(queries, params.shard_size)
    if pace.finished_only:
        return _finished(pieces, oracle, pace), None
    with desk_for(pace, providers_for(oracle, pace), queries.rows) as desk:
        with stopping_on_signal(desk):
            futures = _run(desk, pieces, oracle, pace)
        reason = desk.job.reason or next((e for f in futures if (e := _error(f)) is not None), None)
        tally = desk.job.tally
    if reason is None:
        labels = joined([future.result() for future in futures])
        publish_summary(read_table(labels), tally)
        return labels, None
    # Shards that were begun hold finished queries too; the ledger has them.
    labels = _finished(pieces[: len(futures)], oracle, pace)
    publish_summary(read_table(labels), tally)
    resume_at = reason.resume_at.isoformat() if isinstance(reason, DayQuotaReached) else None
    return labels, LabellingStopped(str(reason), type(reason).__name__, labels.rows, queries.rows, resume_at)


def _finished(pieces: Sequence[Artifact], oracle: ApiOracle, pace: Pace) -> Artifact:
    """Labels of what the ledger has every response for; nothing is asked, nothing is cached."""
    with desk_for(pace.model_copy(update={"finished_only": True}), list, sum(p.rows for p in pieces)) as desk:
        return joined([label_finished(piece, oracle, OracleMatrix(), desk) for piece in pieces] or [no_labels()])


def _run(desk: Desk, pieces: Sequence[Artifact], oracle: ApiOracle, pace: Pace) -> list[Future]:
    """Keep a few shards going until all are done or the job is stopped; what was begun has ended on return."""
    artifact = ProgressArtifact(desk)
    futures: list[Future] = []
    ended: set[Future] = set()
    one_ended = threading.Event()

    def note(future: Future) -> None:
        ended.add(future)
        one_ended.set()

    # Batch jobs have no pace to share, and wait for hours.
    size = BATCHES if pace.backend == "batch" else quota_size(pace.quota)
    slots_of = [0] * len(pieces) if pace.backend == "batch" else slots_for(len(pieces), size)
    with counted("label", desk.job.tally.rows) as show:

        def watch(at_most: int) -> None:
            """Wait until at most so many shards are going."""
            while len(futures) - len(ended) > at_most:
                show(desk.job.tally.done, line(desk))
                artifact.update()
                one_ended.wait(SECONDS_BETWEEN_LOOKS)
                one_ended.clear()

        for piece, slots in zip(pieces, slots_of, strict=True):
            watch(size - 1)
            if desk.job.reason is not None:
                break
            future = label_shard.submit(piece, oracle, OracleMatrix(), pace=pace, slots=slots)
            future.add_done_callback(note)
            futures.append(future)
        watch(0)
        show(desk.job.tally.done, line(desk))
        artifact.update(now=True)
    return futures


def _error(future: Future) -> Exception | None:
    error = future.result(raise_on_failure=False)
    return error if isinstance(error, Exception) else None
