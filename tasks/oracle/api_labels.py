"""Labels through an API: two models answer, judges grade, many rows at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa

from routecal.calib.policy import OracleMatrix
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.call import Call, Fault, FaultKind, Reply
from routecal.tasks.oracle.engine.stop_reasons import NotPaidYet, ShardIncomplete
from routecal.tasks.oracle.grading.answering import Answer, OnAnswer, ask_model
from routecal.tasks.oracle.grading.cascade import grade_pair
from routecal.tasks.oracle.grading.judging import Ask, Verdict
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.label_row import CallCosts, Unlabelled, label_row
from routecal.tasks.oracle.model_drift import ModelDrift

# Why a query got no label: a model's reply was no answer, or the provider does not take the request.
BROKEN_REPLY, REFUSED = "broken reply", "refused"

# The medium and the large model's answer, and the verdicts on them.
Graded = tuple[tuple[Answer, Answer], tuple[Verdict, Verdict]]


# Has one row answered and graded: puts every call by `ask`; `on_answer`, if there is one, gets each new answer first.
GradeRow = Callable[[dict[str, Any], Ask, OnAnswer | None], Coroutine[Any, Any, Graded | Unlabelled]]


class Labelled(NamedTuple):
    """What became of some queries.

    Attributes:
        table: schema `labels`.
        unlabelled: query_id -> why it got no label.
    """

    table: pa.Table
    unlabelled: dict[str, str]


def label_queries(
    queries: pa.Table, oracle: ApiOracle, matrix: OracleMatrix, runner: JobRunner
) -> Coroutine[Any, Any, Labelled]:
    """`label_rows` of queries; those without a reference are left out, as nothing could grade their answers."""
    return label_rows(queries, partial(_grade_query, oracle=oracle), matrix, runner)


async def label_rows(
    rows: pa.Table,
    grade: GradeRow,
    matrix: OracleMatrix,
    runner: JobRunner,
    costs_before: Callable[[dict[str, Any]], CallCosts] = lambda row: CallCosts(),
) -> Labelled:
    """Labels of rows, as many at a time as calls may be in flight. For the loop of the runner.

    Args:
        rows: with a `query_id` and whatever else `grade` reads.
        grade: has one row answered and graded.
        matrix: grades to policy.
        runner: whose job counts the rows and is stopped by errors.
        costs_before: what a row cost before, of what is not bought again.

    Raises:
        ShardIncomplete: some rows failed in a way that may pass; what is paid is in the ledger.
        TaskError: the reason why the job was stopped.
    """
    await runner.prefetch(rows, grade)
    job, tally = runner.job, runner.job.tally
    labels: list[dict[str, Any]] = []
    unlabelled: dict[str, str] = {}
    failed: list[str] = []
    unexpected: list[BaseException] = []

    def label(row: dict[str, Any], costs: CallCosts, graded: Graded | Unlabelled) -> dict[str, Any] | Unlabelled:
        if isinstance(graded, Unlabelled):
            return graded
        answers, verdicts = graded
        costs.keep(answers, verdicts)
        return label_row(row, answers, verdicts, matrix=matrix, receipt=costs, now=datetime.now(UTC))

    def ended(row: dict[str, Any], costs: CallCosts, task: asyncio.Task[Graded | Unlabelled]) -> None:
        free.release()
        try:
            labelled = label(row, costs, task.result())
        except Fault as fault:
            if fault.kind is FaultKind.TRANSIENT:
                failed.append(str(fault))
                return
            what = BROKEN_REPLY if fault.kind is FaultKind.BROKEN else REFUSED
            labelled = Unlabelled(f"{what}: {fault.message}")
        except NotPaidYet:
            labelled = Unlabelled("not answered yet")
        except BaseException as error:
            if not (isinstance(error, ModelDrift) and job.pace.finished_only):
                # Whatever it is, the next row is likely to meet it too; no more money until it is known.
                unexpected.append(error)
                if isinstance(error, Exception):
                    job.stop(error)
                return
            labelled = Unlabelled("answered by another model")
        tally.done += 1
        if isinstance(labelled, Unlabelled):
            unlabelled[row["query_id"]] = labelled.reason
            tally.unlabelled[labelled.reason.split(":")[0]] += 1
        else:
            labels.append(labelled)

    # As many rows at once as can have a call in flight, never a coroutine for each.
    free = asyncio.Semaphore(job.pace.concurrency)
    going: set[asyncio.Task[Graded | Unlabelled]] = set()
    for row in rows.to_pylist():
        await free.acquire()
        if unexpected:
            break
        costs = costs_before(row)
        ask = partial(runner.engine.ask, job, on_reply=partial(_count_reply, runner, costs))
        task = asyncio.create_task(grade(row, ask, partial(_count_answer, runner)))
        going.add(task)
        task.add_done_callback(partial(ended, row, costs))
        task.add_done_callback(going.discard)
    await asyncio.gather(*going, return_exceptions=True)
    if unexpected:
        # Where the job was stopped, its reason says more than how this row noticed.
        job.check()
        raise unexpected[0]
    if failed:
        raise ShardIncomplete(len(failed), failed[0])
    place = {query_id: i for i, query_id in enumerate(rows["query_id"].to_pylist())}
    labels.sort(key=lambda row: place[row["query_id"]])
    return Labelled(pa.Table.from_pylist(labels, schema=SCHEMAS["labels"]), unlabelled)


async def _grade_query(
    query: dict[str, Any], ask: Ask, on_answer: OnAnswer | None, *, oracle: ApiOracle
) -> Graded | Unlabelled:
    if not query["ground_truth"]:
        return Unlabelled("no ground truth")
    text, provider = query["query"], oracle.provider
    answers = await asyncio.gather(
        ask_model(ask, text, spec=oracle.medium, provider=provider, role="medium", on_answer=on_answer),
        ask_model(ask, text, spec=oracle.large, provider=provider, role="large", on_answer=on_answer),
        return_exceptions=True,
    )
    # Both have ended, so that nothing of a row that failed goes on asking behind its back.
    medium, large = map(_or_raise, answers)
    verdicts = await grade_pair(
        ask,
        query=text,
        accepted=[query["ground_truth"], *(query["aliases"] or ())],
        medium=medium,
        large=large,
        judge=oracle.judge,
        provider=provider,
    )
    return (medium, large), verdicts


def _or_raise(answer: Answer | BaseException) -> Answer:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _count_reply(runner: JobRunner, costs: CallCosts, call: Call, reply: Reply, usd: float | None) -> None:
    """Count a reply; stop the job where none of a judge's first replies holds a grade."""
    costs.add(call, reply, usd)
    # What an earlier run bought says nothing about the judge of today.
    if call.stage == "judge" and not reply.earlier and not runner.job.pace.finished_only:
        unread = runner.firsts.count_judgement(call, reply)
        if unread is not None:
            runner.job.stop(unread)
            raise unread


async def _count_answer(runner: JobRunner, answer: Answer) -> None:
    """Stop the job where the first answers of a model are all empty."""
    if runner.job.pace.finished_only or (silent := runner.firsts.count_answer(answer)) is None:
        return
    runner.job.stop(silent)
    # Stored as answers they would be graded as silence by every run to come.
    for key in runner.firsts.silent[answer.model] or ():
        await runner.engine.forget(key, "one of the first answers, which were all empty")
    raise silent
