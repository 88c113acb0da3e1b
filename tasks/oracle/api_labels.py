"""The oracles behind an API: two models answer, judges grade, through the engine."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from routecal.calib.policy import OracleMatrix
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.call_faults import Fault, FaultKind
from routecal.tasks.oracle.engine.stop_reasons import NotPaidYet, ShardIncomplete
from routecal.tasks.oracle.grading.answering import Answer, Role, ask_model
from routecal.tasks.oracle.grading.cascade import grade_pair
from routecal.tasks.oracle.grading.judging import Ask, ModelSpec, Verdict
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.label_row import Unlabelled, label_row
from routecal.tasks.oracle.model_drift import ModelDrift
from routecal.tasks.oracle.receipt import CallCosts

# Why a query got no label: a model's reply was no answer, or the provider does not take the request.
BROKEN_REPLY, REFUSED = "broken reply", "refused"

LabelOne = Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any] | Unlabelled]]


class Labelled(NamedTuple):
    """What became of some queries.

    Attributes:
        table: schema `labels`.
        unlabelled: query_id -> why it got no label.
    """

    table: pa.Table
    unlabelled: dict[str, str]


def label(queries: pa.Table, oracle: ApiOracle, matrix: OracleMatrix, runner: JobRunner) -> Labelled:
    """Labels of some queries; those without a reference are left out, as nothing could grade their answers.

    Raises:
        ShardIncomplete: some queries failed in a way that may pass; what is paid is in the ledger.
        TaskError: the reason why the job was stopped.
    """

    async def work() -> Labelled:
        await runner.prefetch(queries, lambda query, ask: _asked(query, oracle, ask))
        return await label_each(queries, lambda query: _label_one(query, oracle, matrix, runner), runner)

    return runner.run(work())


async def label_each(queries: pa.Table, label_one: LabelOne, runner: JobRunner) -> Labelled:
    """What `label_one` makes of every row, as many rows at a time as calls may be in flight.

    Args:
        queries: rows with a `query_id` and whatever else `label_one` reads.
        label_one: makes a row of `labels`, or says why there is none.
        runner: whose job counts the rows and is stopped by errors.

    Raises:
        ShardIncomplete, TaskError: as `label`.
    """
    rows, unlabelled, failed = [], {}, []
    tally, waiting = runner.job.tally, iter(queries.to_pylist())

    async def work(rest: Iterator[dict[str, Any]]) -> None:
        for query in rest:
            try:
                made = await label_one(query)
            except NotPaidYet:
                made = Unlabelled("not answered yet")
            except ModelDrift:
                if not runner.job.pace.finished_only:
                    raise
                made = Unlabelled("answered by another model")
            except Fault as fault:
                if fault.kind is FaultKind.TRANSIENT:
                    failed.append(str(fault))
                    continue
                what = BROKEN_REPLY if fault.kind is FaultKind.BROKEN else REFUSED
                made = Unlabelled(f"{what}: {fault.message}")
            except Exception as error:
                # Whatever it is, the next row is likely to meet it too; no more money until it is known.
                runner.job.stop(error)
                raise
            tally.done += 1
            if isinstance(made, Unlabelled):
                unlabelled[query["query_id"]] = made.reason
                tally.unlabelled[made.reason.split(":")[0]] += 1
            else:
                rows.append(made)

    # As many rows at once as can have a call in flight, never a coroutine for each.
    width = min(runner.job.pace.concurrency, queries.num_rows)
    ended = await asyncio.gather(*(work(waiting) for _ in range(width)), return_exceptions=True)
    for error in ended:
        if error is not None:
            # Where the job was stopped, its reason says more than how this worker noticed.
            runner.job.check()
            raise error
    if failed:
        raise ShardIncomplete(len(failed), failed[0])
    place = {query_id: i for i, query_id in enumerate(queries["query_id"].to_pylist())}
    rows.sort(key=lambda row: place[row["query_id"]])
    return Labelled(pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]), unlabelled)


def asking(runner: JobRunner, receipt: CallCosts) -> Ask:
    """Puts calls to the desk's engine and counts them on the receipt.

    Stops the job where none of a judge's first replies holds a grade.
    """
    job = runner.job

    async def ask(call: Call, *, anew: bool = False) -> Reply:
        answered = await runner.engine.ask(job, call, anew=anew)
        receipt.add(call, answered.reply, answered.usd)
        # What an earlier run bought says nothing about the judge of today.
        if call.stage == "judge" and not answered.reply.earlier and not job.pace.finished_only:
            unread = runner.firsts.judged(call, answered.reply)
            if unread is not None:
                job.stop(unread)
                raise unread
        return answered.reply

    return ask


async def _label_one(
    query: dict[str, Any], oracle: ApiOracle, matrix: OracleMatrix, runner: JobRunner
) -> dict[str, Any] | Unlabelled:
    receipt = CallCosts()

    async def hear(answer: Answer) -> None:
        if runner.job.pace.finished_only or (silent := runner.firsts.heard(answer)) is None:
            return
        runner.job.stop(silent)
        # Kept as answers they would be graded as silence by every run to come.
        for key in runner.firsts.silent[answer.model] or ():
            await runner.engine.forget(key, "one of the first answers, which were all empty")
        raise silent

    if (asked := await _asked(query, oracle, asking(runner, receipt), hear)) is None:
        return Unlabelled("no ground truth")
    answers, verdicts = asked
    receipt.keep(answers, verdicts)
    return label_row(query, answers, verdicts, matrix=matrix, receipt=receipt, now=datetime.now(UTC))


async def _unheard(answer: Answer) -> None:
    """For those who only look."""


async def _asked(
    query: dict[str, Any], oracle: ApiOracle, ask: Ask, hear: Callable[[Answer], Awaitable[None]] = _unheard
) -> tuple[tuple[Answer, Answer], tuple[Verdict, Verdict]] | None:
    """Answers of the medium and the large model and the verdicts on them; None where nothing could grade them."""
    if not query["ground_truth"]:
        return None
    text, provider = query["query"], oracle.provider

    async def answered(spec: ModelSpec, role: Role) -> Answer:
        found = await ask_model(ask, text, spec=spec, provider=provider, role=role)
        await hear(found)
        return found

    answers = await asyncio.gather(
        answered(oracle.medium, "medium"), answered(oracle.large, "large"), return_exceptions=True
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


def _or_raise(found: Answer | BaseException) -> Answer:
    if isinstance(found, BaseException):
        raise found
    return found
