"""Flow `recalibrate`: a night's work on the serving head, from new queries to a decision that is written down."""

import logging
from collections.abc import Sequence
from typing import Any

from prefect import flow, runtime

from routecal.calib.night.action import judgement
from routecal.calib.night.head_health import Health, alarming, may_rest
from routecal.calib.night.row_roles import judged_on, missing
from routecal.flows.approval import await_answer
from routecal.flows.extract import extract_queries
from routecal.flows.label import labels_so_far, oracle_of
from routecal.flows.night_candidate import Contest, contest
from routecal.flows.night_lock import one_night
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.storage import head_registry
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.layout import Home
from routecal.storage.query_identity import FRACTIONS
from routecal.tasks import runs
from routecal.tasks.load_examples import join, outcome_block_names
from routecal.tasks.make_router import refer_checkpoint, trained_on
from routecal.tasks.night import head_decisions
from routecal.tasks.night.head_decisions import ASKS, ESCALATED, entry_asked_by
from routecal.tasks.night.health_check import check_champion
from routecal.tasks.night.inbox import gather
from routecal.tasks.night.label_history import DOUBTED, NIGHT, LabelHistory, NightContext, NightRows, held_out, key_of
from routecal.tasks.night.night_report import cost_of, headline, publish_night
from routecal.tasks.night.night_result import ENDING, FLOW, KEY, Ending, Night
from routecal.tasks.oracle.label_shards import check_labelled
from routecal.tasks.queries import queries_of

logger = logging.getLogger(__name__)

# Reasons to stop labelling that are a night's budget and no fault: what was labelled until then is used.
SPENT = ("BudgetReached", "DayQuotaReached")


@flow(name=FLOW, flow_run_name="recalibrate on {params.inbox} by {params.oracle}")
def recalibrate(params: RecalibrateParams) -> Night:
    """One night: gather, check, label, train, decide, publish. An interrupted one goes on where it stopped."""
    check(params)
    with one_night():
        return end_night(night_of(params))


def end_night(night: Night) -> Night:
    """End a flow run with what the night comes to as its message."""
    return completed(night, headline(night), **({} if night.report is None else {"report": night.report}))


def night_of(params: RecalibrateParams) -> Night:
    """The night itself, for whoever holds the lock of the home, in the flow run that reports it.

    Args:
        params: checked.
    """
    # A Retry of a night that was interrupted while it waited asks again, and does nothing else again.
    if (entry := entry_asked_by(str(runtime.flow_run.id or ""))) is not None:
        ending = await_answer(entry, hours=params.approval_hours)
        return _end(ending, LabelHistory.of(Home.from_env(), ending.key).records)
    run_id = runs.start(FLOW)
    night_context = _night_context(run_id, params)
    if (decided := head_decisions.decided()) is not None:
        return decided.night
    queries = night_context.gathered.queries
    features = (
        extract_queries(queries, night_context.router, params.reading, params.shard_size) if queries.rows else None
    )
    health = _health(night_context, features, params)
    if found := alarming(health, is_news=night_context.age > 1):
        night_context = night_context._replace(
            before=head_decisions.raise_alarm(found, after=night_context.before, run_id=run_id)
        )
    if features is None or may_rest(health, quiet=night_context.history.quiet, recheck=params.recheck_nights):
        ending = _ending(night_context, "quiet", _why_quiet(night_context, health), {}, health)
        return _end(ending, night_context.history.records)
    tonight = _labelled(night_context, features, params)
    artifacts = {"queries": queries, **dict(tonight)}
    window = held_out([*night_context.labelling, tonight], at_least=judged_on(params.window, health))
    few = missing(window.examples.rows, held_out_frac=FRACTIONS["test"])
    if few is not None:
        return _end(_ending(night_context, "gathering", (few,), artifacts, health), night_context.history.records)
    candidate = contest(night_context, tonight, window, health, params)
    judged = judgement(
        candidate.verdict, candidate.doubts, require_approval=params.require_approval, displaced=night_context.displaced
    )
    action, reasons = judged.action, judged.reasons
    artifacts |= candidate.made | {"window": window.examples}
    ending = _ending(night_context, action, reasons, artifacts, health, candidate)
    entry = head_decisions.write_decision(
        action,
        candidate.calibrated,
        reasons,
        after=night_context.before,
        run_id=night_context.run_id,
        lineage=candidate.lineage(night_context)
        | {ENDING: ending.model_dump(mode="json"), ASKS: judged.asks, ESCALATED: candidate.escalated},
    )
    if judged.asks:
        ending = await_answer(entry, hours=params.approval_hours)
    return _end(ending, night_context.history.records)


def _night_context(run_id: str, params: RecalibrateParams) -> NightContext:
    router = refer_checkpoint(params.router_path)
    oracle = oracle_of(params, params.inbox)
    key = key_of(router, params.reading, oracle)
    # Read first: whoever decides from here on ends this night with `RegistryChanged`, before it can decide the same.
    before, in_force = head_registry.newest_entry(Home.from_env()), head_decisions.in_force()
    if (ending := head_decisions.unpublished(key)) is not None:
        logger.warning("%s was interrupted after its decision; its result is published now", ending.night.run_id)
        _end(ending, LabelHistory.of(Home.from_env(), key).records)
    history = LabelHistory.of(Home.from_env(), key)
    gathered = gather(
        params.inbox, history.labelled, params.night_queries, seen=trained_on(router), columns=params.columns
    )
    labelling = tuple(_with_middle_layer(rows, router, params) for rows in history.labelling)
    return NightContext(run_id, router, oracle, key, history, labelling, before, in_force, gathered)


def _with_middle_layer(rows: NightRows, router: Artifact, params: RecalibrateParams) -> NightRows:
    """A night's rows. Those that were read before there were outcome heads are read once more, which costs no label."""
    if outcome_block_names(rows.features) or params.outcome_layers == ():
        return rows
    logger.info("%d queries of an earlier night are read again, for the outcome head", rows.examples.rows)
    queries = queries_of(read_table(rows.examples, columns=["query_id", "query"]), rows.examples.kind)
    features = extract_queries(queries, router, params.reading, params.shard_size)
    return rows.model_copy(update={"features": features})


def _health(night_context: NightContext, features: Artifact | None, params: RecalibrateParams) -> Health | None:
    """How the serving head fares; None if none of this router serves."""
    champion, learned = night_context.champion, night_context.learned
    if champion is None or learned is None:
        return None
    labelling = night_context.labelling
    window = held_out(labelling, at_least=params.window) if labelling else None
    return check_champion(champion, learned, window, features, params.seed)


def _why_quiet(night_context: NightContext, health: Health | None) -> tuple[str, ...]:
    concerns = () if health is None else health.concerns
    if not night_context.gathered.queries.rows:
        return ("the inbox holds no query without a label", *concerns)
    return ("the serving head is calibrated on the newest held-out rows, and queries look as they did",)


def _labelled(night_context: NightContext, features: Artifact, params: RecalibrateParams) -> NightRows:
    """Tonight's labels, as far as the budget goes, joined to features.

    Raises:
        LabellingStopped: labelling ended for another reason than a budget, or before the first label.
    """
    queries = night_context.gathered.queries
    labels, stopped = labels_so_far(night_context.run_id, queries, night_context.oracle, params)
    if stopped is not None:
        if stopped.cause not in SPENT or not labels.rows:
            raise stopped
        logger.warning("%s; the night goes on with these", stopped)
    check_labelled(labels, queries, night_context.oracle)
    return NightRows(examples=join(queries, labels, features), features=features, labels=labels)


def _ending(
    night_context: NightContext,
    action: str,
    reasons: tuple[str, ...],
    artifacts: dict[str, Artifact],
    health: Health | None,
    contest: Contest | None = None,
) -> Ending:
    """What is left to do: publish the night, and record its artifacts."""
    promoted = contest is not None and action == "promoted"
    serving = contest.calibrated if contest is not None and promoted else head_registry.champion(Home.from_env())
    before = None if health is None else health.escalated
    escalated = contest.escalated if contest is not None and promoted else before
    night = Night(
        run_id=night_context.run_id,
        action=action,
        reasons=reasons,
        n_new=night_context.gathered.n_new,
        n_files=night_context.gathered.n_files,
        unreadable=night_context.gathered.unreadable,
        n_labelled=artifacts["labels"].rows if "labels" in artifacts else 0,
        cost_usd=cost_of(artifacts["labels"]) if "labels" in artifacts else 0.0,
        health=health,
        verdict=None if contest is None else contest.verdict,
        escalated=escalated,
        alarm="" if promoted else head_registry.alarm_against_champion(head_registry.history(Home.from_env())),
        serving="" if serving is None else serving.sha256[:16],
        report=None if contest is None else contest.report,
        served=() if night_context.gathered.served is None else tuple(night_context.gathered.served.sentences),
        money="" if contest is None else contest.money,
    )
    return Ending(
        night=night,
        key=night_context.key,
        made=artifacts | {"router": night_context.router},
        is_doubted=contest is not None and bool(contest.doubts),
    )


def _end(ending: Ending, earlier: Sequence[Artifact]) -> Night:
    """Publish a night, and record it so that the next one finds its rows."""
    night, router = ending.night, ending.made["router"].sha256
    facts: dict[str, Any] = {KEY: ending.key, "action": night.action, "reasons": list(night.reasons)}
    if ending.is_doubted:
        facts[DOUBTED] = True
    runs.record_run(night.run_id, **ending.made, **{NIGHT: publish_night(night, earlier, router)}, **facts)
    return night
