"""Tonight's candidate: trained from scratch and from the serving head, the better one measured and judged."""

from typing import Any, NamedTuple

from routecal.calib.night.action import doubts, renewal_reasons
from routecal.calib.night.candidate import may_warm_start
from routecal.calib.night.head_health import Health
from routecal.calib.night.promotion_gate import GateVerdict
from routecal.calib.settings import EscalationTerms
from routecal.flows.evaluate import NIGHTS_HEAD, evaluate_heads
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.train import outcome_head_for, train_head
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.escalation_verdict import money
from routecal.tasks.evaluate import FINAL
from routecal.tasks.night.head_comparison import choose_candidate, classes, judge
from routecal.tasks.night.health_check import check_oracle, share_escalated
from routecal.tasks.night.label_history import (
    ROWS,
    RUN,
    TERMS,
    NightContext,
    NightRows,
    held_out,
    remembered,
    together,
)
from routecal.tasks.night.night_result import KEY
from routecal.tasks.outcome import OUTCOME
from routecal.tasks.pack import promise_in
from routecal.tasks.train import recalibrate_head, train_on, train_rl
from routecal.tasks.version import code_version

# Held-out rows of the nights just before, which tonight's outcomes are compared with.
RECENT = 300
SCRATCH, WARM = "from scratch", "from the serving head"
# Of what `evaluate_heads` records, what the night's manifest keeps; labels, features and examples there are tonight's.
KEPT = ("predictions", "outcome_predictions", "calibrated", OUTCOME)


class Contest(NamedTuple):
    """The candidate and what the gate says of it.

    Attributes:
        calibrated: the candidate, packed with its router and threshold.
        made: what the night's manifest has of it: with this `routecal threshold` chooses another threshold.
        rows: what it learned from.
        terms: what its threshold was asked to keep.
        verdict: of the gate.
        doubts: why the outcomes themselves are not to be trusted without a person; empty if they are.
        escalated: share of the held-out rows below its threshold.
        report: of its evaluation.
        money: what it saves by that evaluation, in a sentence.
    """

    calibrated: Artifact
    made: dict[str, Artifact]
    rows: NightRows
    terms: EscalationTerms
    verdict: GateVerdict
    doubts: tuple[str, ...]
    escalated: float
    report: str
    money: str

    def lineage(self, night_context: NightContext) -> dict[str, Any]:
        """What the registry keeps of it."""
        return {
            KEY: night_context.key,
            RUN: night_context.run_id,
            ROWS: self.rows.model_dump(),
            TERMS: self.terms.model_dump(mode="json"),
            "router_sha256": night_context.router.sha256,
            "code": code_version(),
            "verdict": self.verdict.model_dump(mode="json"),
            "report": self.report,
            **promise_in(self.calibrated),
        }


def contest(
    night_context: NightContext, tonight: NightRows, window: NightRows, health: Health | None, params: RecalibrateParams
) -> Contest:
    """Train, choose, measure and judge a candidate."""
    rows = together(remembered([*night_context.labelling, tonight], at_most=params.memory))
    doubted = _doubts(night_context, tonight, health)
    head = _candidate(rows, tonight, night_context.champion, params, is_doubted=bool(doubted))
    facts = {
        "Router": f"{params.router_path} (sha256 {night_context.router.sha256[:16]}), frozen",
        **night_context.oracle.facts,
        "Night": f"{tonight.examples.rows} rows of tonight, {rows.examples.rows} in all",
        "Training": f"preset {params.preset}, seed {params.seed}, code {code_version()}",
    }
    inputs = {"router": night_context.router, **dict(rows), **outcome_head_for(rows.examples, rows.features)}
    evaluated = evaluate_heads(
        night_context.run_id, inputs, {FINAL: head}, facts, params, seed=params.seed, reading=params.reading
    )
    renewal = renewal_reasons(health, age=night_context.age, renew_after=params.renew_nights)
    # An oracle's labels have grades, so a threshold was chosen and the head packed.
    assert evaluated.calibrated is not None
    return Contest(
        calibrated=evaluated.calibrated,
        made={NIGHTS_HEAD: head, runs.POOLED: rows.examples}
        | {name: made for name, made in runs.recorded(night_context.run_id).items() if name in KEPT},
        rows=rows,
        terms=params.terms,
        verdict=judge(
            *(evaluated.calibrated, night_context.champion, window, renewal),
            terms=(params.terms, night_context.terms),
            rules=params.rules,
            seed=params.seed,
        ),
        doubts=doubted,
        escalated=share_escalated(evaluated.calibrated, window),
        report=evaluated.report,
        money=money(evaluated.evaluation.escalation),
    )


def _candidate(
    rows: NightRows, tonight: NightRows, serving: Artifact | None, params: RecalibrateParams, *, is_doubted: bool
) -> Artifact:
    """From scratch on all rows, or from the serving head on tonight's: whichever is better on tonight's, unseen."""
    heads, learned = {SCRATCH: train_head(rows.examples, rows.features, params)[FINAL]}, {SCRATCH: rows}
    n_right, n_wrong = classes(tonight)
    if serving is None or not may_warm_start(n_right=n_right, n_wrong=n_wrong, is_doubted=is_doubted):
        return heads[SCRATCH]
    on = (tonight.examples, tonight.features)
    heads[WARM] = recalibrate_head(*on, train_rl(*on, train_on(*on, serving, params.sft), params.rl))
    learned[WARM] = tonight
    return heads[choose_candidate(tonight, heads, learned)]


def _doubts(night_context: NightContext, tonight: NightRows, health: Health | None) -> tuple[str, ...]:
    """What changed in the outcomes that no change of the queries explains."""
    if night_context.champion is None or not night_context.labelling:
        return ()
    before = held_out(night_context.labelling, at_least=RECENT)
    return doubts(check_oracle(night_context.champion, before, tonight), health)
