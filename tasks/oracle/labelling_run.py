"""A labelling run: any oracle, shard by shard; one behind an API several shards at once, resumable after any end."""

import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from prefect import Task
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Scheduled

from routecal.calib.policy import OracleMatrix
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle.api_labels import Labelled, label_queries
from routecal.tasks.oracle.api_oracle import ApiJudges
from routecal.tasks.oracle.concurrency_quota import quota_size, slots_for
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
from routecal.tasks.oracle.job_runner import JobRunner, job_runner, stopping_on_signal
from routecal.tasks.oracle.label_shards import label_shard, store_labelled
from routecal.tasks.oracle.labelling_summary import progress_line, publish_summary
from routecal.tasks.oracle.oracle_registry import ORACLES
from routecal.tasks.oracle.oracle_spec import OracleSpec
from routecal.tasks.oracle.rate_limit.daily_quota import DayQuotaReached
from routecal.tasks.oracle.rejudging import queries_of, rejudge_rows, rejudge_shard
from routecal.tasks.oracle.replay_oracle import ReplayOracle, matched
from routecal.tasks.progress import ProgressArtifact, counted
from routecal.tasks.sharding import joined, shards
from routecal.tasks.side_by_side import results

logger = logging.getLogger(__name__)

Future = PrefectFuture[Artifact]
OnDayQuota = Literal["stop", "wait", "schedule"]

# Batch jobs at once; Google takes a hundred, of all who share the project.
BATCHES = 20

SECONDS_BETWEEN_LOOKS = 0.2


class Work(NamedTuple):
    """What is to be labelled, in shards.

    Attributes:
        name: shown beside the progress bar.
        oracle: who is asked, and with what.
        pieces: the artifacts that each shard is made of.
        task: makes labels of one shard: (*piece, oracle, matrix, pace=, slots=).
        rows_of: the same through a runner: (*tables of the piece, oracle, matrix, runner); for its loop.
    """

    name: str
    oracle: OracleSpec | ApiJudges
    pieces: Sequence[tuple[Artifact, ...]]
    task: Task[..., Artifact]
    rows_of: Callable[..., Coroutine[Any, Any, Labelled]]

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(piece[0].rows for piece in self.pieces)


def label_work(queries: Artifact, oracle: OracleSpec, shard_size: int) -> Work:
    """Labels of queries by any oracle, `shard_size` of them per task; finished shards are never done again."""
    if isinstance(oracle, ReplayOracle):
        oracle = matched(oracle, queries)
    return Work("label", oracle, [(shard,) for shard in shards(queries, shard_size)], label_shard, label_queries)


def rejudge_work(labels: Artifact, queries: Artifact, judges: ApiJudges, shard_size: int) -> Work:
    """Labels with new grades on their stored answers.

    Raises:
        QueryUnknown: a label is of none of the queries.
    """
    of_labels = shards(queries_of(labels, queries), shard_size)
    pieces = list(zip(shards(labels, shard_size), of_labels, strict=True))
    return Work("rejudge", judges, pieces, rejudge_shard, rejudge_rows)


def run_work(
    work: Work, pace: Pace | None = None, on_day_quota: OnDayQuota = "stop"
) -> tuple[Artifact, LabellingStopped | None]:
    """Do all shards; through an API several at once, in as many attempts as day quotas demand.

    Args:
        work: from `label_work` or `rejudge_work`.
        pace: rates, budget and backend of an oracle behind an API; None for one of this machine.
        on_day_quota: what to do where a day's quota is used up: end the run, wait until it is renewed, or schedule a
            run for then.

    Returns:
        (labels, None), or (the labels of what is finished, why no more).
    """
    if pace is None:
        calls = [(*piece, work.oracle, OracleMatrix()) for piece in work.pieces]
        return joined(results(work.task, calls, work.name)), None
    if pace.finished_only:
        return _finished(work, work.pieces, pace), None
    api = ORACLES[work.oracle.kind].api
    assert api is not None
    while True:
        with job_runner(pace, api.connect(work.oracle, pace), work.rows) as runner:
            with stopping_on_signal(runner), counted(work.name, work.rows) as show:
                going = _Going(runner, show)
                # Batch jobs have no pace to share, and wait for hours.
                is_batch = pace.backend == "batch"
                size = BATCHES if is_batch else quota_size(pace.quota)
                slots_of = [0] * len(work.pieces) if is_batch else slots_for(len(work.pieces), size)
                for piece, slots in zip(work.pieces, slots_of, strict=True):
                    going.wait(size - 1)
                    if runner.job.reason is not None:
                        break
                    going.add(work.task.submit(*piece, work.oracle, OracleMatrix(), pace=pace, slots=slots))
                going.wait(0)
                going.report(now=True)
            futures = going.futures
            reason = runner.job.reason or next((e for f in futures if (e := _error(f)) is not None), None)
        if reason is None:
            labels, stopped = joined([future.result() for future in futures]), None
        else:
            # Shards that were begun hold finished rows too; the ledger has them.
            labels = _finished(work, work.pieces[: len(futures)], pace)
            resume_at = reason.resume_at.isoformat() if isinstance(reason, DayQuotaReached) else None
            stopped = LabellingStopped(str(reason), type(reason).__name__, labels.rows, work.rows, resume_at)
        publish_summary(labels, runner.job.tally)
        if stopped is None or not isinstance(reason, DayQuotaReached) or on_day_quota == "stop":
            return labels, stopped
        if on_day_quota == "schedule":
            schedule_again(reason.resume_at)
            return labels, stopped
        logger.warning("%s; waiting until then", stopped)
        time.sleep(max(0.0, (reason.resume_at - datetime.now(UTC)).total_seconds()))


def _finished(work: Work, pieces: Sequence[tuple[Artifact, ...]], pace: Pace) -> Artifact:
    """Labels of what the ledger has every response for; no request is sent, nothing is cached."""
    labels = []
    rows = sum(piece[0].rows for piece in pieces)
    with job_runner(pace.model_copy(update={"finished_only": True}), list, rows) as runner:
        for piece in pieces:
            tables = map(read_table, piece)
            labels.append(store_labelled(runner.run(work.rows_of(*tables, work.oracle, OracleMatrix(), runner))))
    return joined(labels or [store_labelled(Labelled(SCHEMAS["labels"].empty_table(), {}))])


class _Going:
    """The shards of one attempt that were begun, and how far the job is."""

    def __init__(self, runner: JobRunner, show: Callable[[int, str], None]) -> None:
        self.futures: list[Future] = []
        self._ended: set[Future] = set()
        self._one_ended = threading.Event()
        self._runner, self._show = runner, show
        self._artifact = ProgressArtifact("label-progress", at_once=True)

    def add(self, future: Future) -> None:
        """Note a shard that was begun."""
        future.add_done_callback(self._note)
        self.futures.append(future)

    def wait(self, at_most: int) -> None:
        """Until at most so many shards are going; what the job does meanwhile is shown."""
        while len(self.futures) - len(self._ended) > at_most:
            self.report()
            self._one_ended.wait(SECONDS_BETWEEN_LOOKS)
            self._one_ended.clear()

    def report(self, *, now: bool = False) -> None:
        """Show how far the job is; `now` whenever it was shown last."""
        tally, words = self._runner.job.tally, progress_line(self._runner)
        self._show(tally.done, words)
        self._artifact.update(tally.done, tally.rows, words, now=now)

    def _note(self, future: Future) -> None:
        self._ended.add(future)
        self._one_ended.set()


def _error(future: Future) -> Exception | None:
    error = future.result(raise_on_failure=False)
    return error if isinstance(error, Exception) else None


def schedule_again(at: datetime) -> bool:
    """Schedule this flow run's deployment for `at`; False, with a warning, if the run has no deployment.

    Twice for one run and time is once: a retry of the same run does not schedule a second.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        logger.warning("this run has no deployment that could be scheduled; run it again after %s", at.isoformat())
        return False
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(
            context.flow_run.deployment_id,
            parameters=context.flow_run.parameters,
            state=Scheduled(scheduled_time=at),
            idempotency_key=f"resume-{context.flow_run.id}-{at.isoformat()}",
        )
    logger.warning("the run %s is scheduled for %s and will go on from here", run.name, at.isoformat())
    return True
