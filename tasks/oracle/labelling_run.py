"""A labelling run: any oracle, shard by shard; one behind an API several shards at once, resumable after any end."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from prefect import Task
from prefect.futures import PrefectFuture

from routecal.calib.policy import OracleMatrix
from routecal.storage.artifact import Artifact
from routecal.tasks.oracle.api_oracle import ApiJudges, ApiOracle
from routecal.tasks.oracle.concurrency_quota import quota_size, slots_for
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
from routecal.tasks.oracle.job_runner import JobRunner, job_runner
from routecal.tasks.oracle.label_shards import label_finished, label_shard, no_labels
from routecal.tasks.oracle.labelling_summary import publish_summary
from routecal.tasks.oracle.oracle_registry import ORACLES
from routecal.tasks.oracle.oracle_spec import OracleSpec
from routecal.tasks.oracle.progress_line import progress_line
from routecal.tasks.oracle.rate_limit.daily_quota import DayQuotaReached
from routecal.tasks.oracle.rejudge_shards import queries_of, rejudge_finished, rejudge_shard
from routecal.tasks.oracle.replay_oracle import ReplayOracle, matched
from routecal.tasks.oracle.reschedule import schedule_again
from routecal.tasks.oracle.signals import stopping_on_signal
from routecal.tasks.progress import counted, track
from routecal.tasks.progress_artifact import ProgressArtifact
from routecal.tasks.sharding import joined, shards

logger = logging.getLogger(__name__)

Future = PrefectFuture[Artifact]
OnDayQuota = Literal["stop", "wait", "schedule"]

# Batch jobs at once; Google takes a hundred, of all who share the project.
BATCHES = 20

SECONDS_BETWEEN_LOOKS = 0.2


class Work(NamedTuple):
    """What is to be done through an API, in shards.

    Attributes:
        name: shown beside the progress bar.
        oracle: who is asked, and with what.
        pieces: the artifacts that each shard is made of.
        task: makes labels of one shard: (*piece, oracle, matrix, pace=, slots=).
        finished: the same with a runner that sends no request, and not a task: (*piece, oracle, matrix, runner).
    """

    name: str
    oracle: ApiOracle | ApiJudges
    pieces: Sequence[tuple[Artifact, ...]]
    task: Task[..., Artifact]
    finished: Callable[..., Artifact]

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(piece[0].rows for piece in self.pieces)


def label(
    queries: Artifact, oracle: OracleSpec, pace: Pace | None, *, shard_size: int, on_day_quota: OnDayQuota = "stop"
) -> tuple[Artifact, LabellingStopped | None]:
    """Labels of queries by any oracle; finished shards are never done again.

    Args:
        queries: kind `queries`.
        oracle: who labels.
        pace: rates, budget and backend of an oracle behind an API; None for one of this machine.
        shard_size: queries per task.
        on_day_quota: what to do where a day's quota is used up: end the run, wait until it is renewed, or schedule a
            run for then.

    Returns:
        (labels, None), or (the labels of what is finished, why no more).
    """
    if isinstance(oracle, ApiOracle) and pace is not None:
        pieces = [(shard,) for shard in shards(queries, shard_size)]
        return _through_quota(Work("label", oracle, pieces, label_shard, label_finished), pace, on_day_quota)
    if isinstance(oracle, ReplayOracle):
        oracle = matched(oracle, queries)
    done = [label_shard(shard, oracle, OracleMatrix()) for shard in track(shards(queries, shard_size), "label")]
    return joined(done), None


def rejudge(
    labels: Artifact, queries: Artifact, judges: ApiJudges, pace: Pace, *, shard_size: int, on_day_quota: OnDayQuota
) -> tuple[Artifact, LabellingStopped | None]:
    """Labels with new grades on their stored answers; arguments and result as those of `label`.

    Raises:
        QueryUnknown: a label is of none of the queries.
    """
    of_labels = shards(queries_of(labels, queries), shard_size)
    pieces = list(zip(shards(labels, shard_size), of_labels, strict=True))
    return _through_quota(Work("rejudge", judges, pieces, rejudge_shard, rejudge_finished), pace, on_day_quota)


def _through_quota(work: Work, pace: Pace, on_day_quota: OnDayQuota) -> tuple[Artifact, LabellingStopped | None]:
    """Attempts until all is done, or until something but a day's quota that is waited for stops it."""
    while True:
        labels, stopped = _attempt(work, pace)
        if stopped is None or stopped.resume_at is None or on_day_quota == "stop":
            return labels, stopped
        resume_at = datetime.fromisoformat(stopped.resume_at)
        if on_day_quota == "schedule":
            schedule_again(resume_at)
            return labels, stopped
        logger.warning("%s; waiting until then", stopped)
        time.sleep(max(0.0, (resume_at - datetime.now(UTC)).total_seconds()))


def _attempt(work: Work, pace: Pace) -> tuple[Artifact, LabellingStopped | None]:
    if pace.finished_only:
        return _finished(work, work.pieces, pace), None
    api = ORACLES[work.oracle.kind].api
    assert api is not None
    with job_runner(pace, api.connect(work.oracle, pace), work.rows) as runner:
        with stopping_on_signal(runner):
            futures = _run(runner, work, pace)
        reason = runner.job.reason or next((e for f in futures if (e := _error(f)) is not None), None)
        tally = runner.job.tally
    if reason is None:
        labels = joined([future.result() for future in futures])
        publish_summary(labels, tally)
        return labels, None
    # Shards that were begun hold finished rows too; the ledger has them.
    labels = _finished(work, work.pieces[: len(futures)], pace)
    publish_summary(labels, tally)
    resume_at = reason.resume_at.isoformat() if isinstance(reason, DayQuotaReached) else None
    return labels, LabellingStopped(str(reason), type(reason).__name__, labels.rows, work.rows, resume_at)


def _finished(work: Work, pieces: Sequence[tuple[Artifact, ...]], pace: Pace) -> Artifact:
    """Labels of what the ledger has every response for; no request is sent, nothing is cached."""
    rows = sum(piece[0].rows for piece in pieces)
    with job_runner(pace.model_copy(update={"finished_only": True}), list, rows) as runner:
        made = [work.finished(*piece, work.oracle, OracleMatrix(), runner) for piece in pieces]
    return joined(made or [no_labels()])


def _run(runner: JobRunner, work: Work, pace: Pace) -> list[Future]:
    """Keep a few shards going until all are done or the job is stopped; what was begun has ended on return."""
    artifact, tally = ProgressArtifact("label-progress", at_once=True), runner.job.tally
    futures: list[Future] = []
    ended: set[Future] = set()
    one_ended = threading.Event()

    def note(future: Future) -> None:
        ended.add(future)
        one_ended.set()

    # Batch jobs have no pace to share, and wait for hours.
    size = BATCHES if pace.backend == "batch" else quota_size(pace.quota)
    n = len(work.pieces)
    slots_of = [0] * n if pace.backend == "batch" else slots_for(n, size)
    with counted(work.name, tally.rows) as show:

        def report(*, now: bool = False) -> None:
            words = progress_line(runner)
            show(tally.done, words)
            artifact.update(tally.done, tally.rows, words, now=now)

        def wait(at_most: int) -> None:
            """Until at most so many shards are going."""
            while len(futures) - len(ended) > at_most:
                report()
                one_ended.wait(SECONDS_BETWEEN_LOOKS)
                one_ended.clear()

        for piece, slots in zip(work.pieces, slots_of, strict=True):
            wait(size - 1)
            if runner.job.reason is not None:
                break
            future = work.task.submit(*piece, work.oracle, OracleMatrix(), pace=pace, slots=slots)
            future.add_done_callback(note)
            futures.append(future)
        wait(0)
        report(now=True)
    return futures


def _error(future: Future) -> Exception | None:
    error = future.result(raise_on_failure=False)
    return error if isinstance(error, Exception) else None
