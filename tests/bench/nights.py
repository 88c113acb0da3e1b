"""A thousand nights of each kind on synthetic queries: `python -m tests.bench.nights [quiet | slow | sudden | broken]`.

    quiet    nothing ever changes
    slow     queries drift a little every night, and what the router gets right with them
    sudden   on every hundredth night queries and what is right of them become others
    broken   on every hundredth night the oracle's answers have nothing to do with the queries, for ten nights

Each night takes its decisions where `recalibrate` takes them, in `calib.night`: rest, doubt, warm start, candidate,
gate, renewal, action; and enters them in a registry. Only the heads are simpler: logistic regressions. Queries have
topics, which with the router's policy are the gate's slices. Of every promotion the truth is known: the expected Brier
of both heads on 20,000 fresh queries of that night. A promotion is wrong where it makes that worse by more than the
gate's margin; those that make it worse at all are counted beside, as is how far the serving head creeps. Prints one row
a kind.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from routecal.calib.examples import LABELLED, Examples
from routecal.calib.night import row_roles as rows_of
from routecal.calib.night.action import doubts, judgement, renewal_reasons
from routecal.calib.night.candidate import Contender, choose_candidate, may_warm_start
from routecal.calib.night.head_health import Health, examine, may_rest
from routecal.calib.night.outcome_shift import outcome_shift
from routecal.calib.night.promotion_gate import GateRules, GateVerdict, decide
from routecal.calib.night.query_drift import columns, drift, principal_axes
from routecal.storage import head_registry
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import write_folder
from routecal.storage.head_registry import Action
from routecal.storage.layout import Home
from tests.bench.night_heads import Head, fit
from tests.bench.night_world import QUERIES, Labelled, World, together

NIGHTS = 1000
WINDOW, MEMORY, RECENT, RECHECK = 1000, 3000, 300, 7
RULES = GateRules()
ANSWERED_WITHIN = 3
SCRATCH, WARM = "from scratch", "from the serving head"


@dataclass
class Count:
    """What happened over the nights of one kind."""

    labelled: int = 0
    refused: int = 0
    waiting: int = 0
    warm: int = 0
    on_broken: int = 0
    lost: int = 0
    answered: list[int] = field(default_factory=list)
    # True Brier of the new head minus that of the one before, per promotion.
    change: list[float] = field(default_factory=list)
    # True Brier of the serving head less that of the true rates, per night on which one serves.
    excess: list[float] = field(default_factory=list)


@dataclass
class Serving:
    """The serving head and the rows it learned from."""

    head: Head
    learned: Examples
    stored: Artifact


def simulate(kind: str, home: Home, *, nights: int = NIGHTS, seed: int = 0) -> Count:
    """Run the nights, with a registry in `home`; the world's random numbers follow from the seed alone."""
    world, count = World(kind, np.random.default_rng(seed)), Count()
    known: list[Labelled] = []
    serving: Serving | None = None
    quiet, changed_at = 0, None
    for night in range(nights):
        count.lost += head_registry.champion(home) != (serving and serving.stored)
        if world.turn(night):
            changed_at = night
        tonight = world.labelled()
        health = None if serving is None else _health(serving, known, tonight, night)
        if serving is not None:
            count.excess.append(world.excess(serving.head))
        if may_rest(health, quiet=quiet, recheck=RECHECK):
            quiet += 1
            continue
        quiet = 0
        count.labelled += 1
        window = _window([*known, tonight], at_least=rows_of.judged_on(WINDOW, health))
        if rows_of.missing(len(window.rows), held_out_frac=0.3) is not None:
            known.append(tonight)
            continue
        doubted = () if serving is None else _doubts(serving.head, known, tonight, health)
        learned = _memory([*known, tonight])
        name, candidate = _candidate(learned, tonight, serving, is_doubted=bool(doubted))
        renewal = renewal_reasons(health, age=0, renew_after=None)
        verdict = _judge(candidate, serving, window, renewal, night)
        judged = judgement(verdict, doubted, require_approval=False)
        if rows_of.may_teach(is_doubted=bool(doubted), is_accepted=False):
            known.append(tonight)
        if judged.action == "promoted":
            if serving is not None:
                count.change.append(world.excess(candidate) - world.excess(serving.head))
                count.on_broken += world.is_broken
                count.warm += name == WARM
            serving = Serving(candidate, learned, _stored(home, night))
        count.waiting += judged.action == "waiting"
        count.refused += judged.action == "refused"
        _enter(home, judged.action, None if serving is None else serving.stored)
        if changed_at is not None and judged.action != "refused":
            count.answered.append(night - changed_at + 1)
            changed_at = None
    return count


def _health(serving: Serving, known: list[Labelled], tonight: Labelled, seed: int) -> Health:
    axes = principal_axes(serving.learned.hidden)
    before, now = (columns(e.hidden, e.logits, serving.head(e), axes=axes) for e in (serving.learned, tonight.rows))
    window = _window(known, at_least=WINDOW).rows
    return examine(serving.head(window), window.y, drift=drift(before, now), seed=seed)


def _doubts(head: Head, known: list[Labelled], tonight: Labelled, health: Health | None) -> tuple[str, ...]:
    sides = [_window(known, at_least=RECENT).rows, tonight.rows]
    said = [(head(rows), rows.y) for rows in sides]
    outcomes = [[f"true policy {policy}" for policy in rows.true_policy] for rows in sides]
    return doubts(outcome_shift(*said, *outcomes), health)


def _candidate(learned: Examples, tonight: Labelled, serving: Serving | None, *, is_doubted: bool) -> tuple[str, Head]:
    """Tonight's candidate, and which of the two it is."""
    heads = {SCRATCH: fit(learned)}
    own = tonight.rows.only(*LABELLED)
    n_right = int(tonight.rows.y.sum())
    if serving is None or not may_warm_start(n_right=n_right, n_wrong=QUERIES - n_right, is_doubted=is_doubted):
        return SCRATCH, heads[SCRATCH]
    heads[WARM] = fit(own, start=serving.head)
    contenders = {}
    for name, rows in ((SCRATCH, learned), (WARM, own)):
        fitted_on = rows.only("calibration", "validation")
        is_judged = np.arange(len(fitted_on)) >= len(fitted_on) - len(own.only("calibration", "validation"))
        head = heads[name]
        contenders[name] = Contender(head.raw(fitted_on), fitted_on.y, is_judged, head.recalibrator)
    name = choose_candidate(contenders)
    return name, heads[name]


def _judge(
    candidate: Head, serving: Serving | None, window: Labelled, renewal: tuple[str, ...], seed: int
) -> GateVerdict:
    other = None if serving is None else serving.head(window.rows)
    return decide(
        candidate(window.rows), other, window.rows.y, slices=window.slices(), renewal=renewal, rules=RULES, seed=seed
    )


def _window(nights: list[Labelled], *, at_least: int) -> Labelled:
    """The held-out rows of the newest nights."""
    tests = [night.held_out() for night in nights]
    return together(tests[-rows_of.window((len(t.rows) for t in reversed(tests)), at_least=at_least) :])


def _memory(nights: list[Labelled]) -> Examples:
    """The rows of the newest nights that heads learn from."""
    sizes = (len(night.rows) for night in reversed(nights))
    return together(nights[-rows_of.memory(sizes, at_most=MEMORY) :]).rows.only(*LABELLED)


def _stored(home: Home, night: int) -> Artifact:
    """A folder that stands for the night's head."""

    def build(folder: Path) -> None:
        (folder / "night").write_text(str(night))

    return write_folder("calibrated", build, home=home)


def _enter(home: Home, action: Action, serving: Artifact | None) -> None:
    before = head_registry.newest_entry(home)
    head_registry.append_entry(home, action, champion=serving, after=before.number if before else 0)


def creep(excess: list[float]) -> float:
    """Mean change of the serving head's true Brier over 100 nights, over all hundreds from the hundredth night on: in
    the first hundred heads learn from the first rows there are.
    """
    later = np.asarray(excess[100:])
    return float((later[100:] - later[:-100]).mean()) if len(later) > 100 else 0.0


def row(kind: str, count: Count, nights: int = NIGHTS) -> str:
    """One line of the table."""
    change, excess = np.asarray(count.change or [0.0]), np.asarray(count.excess)
    late = sum(n > ANSWERED_WITHIN for n in count.answered)
    answered = f"{len(count.answered) - late} of {(nights - 1) // 100}" if kind == "sudden" else "–"
    cells = (
        *(kind, count.labelled, len(count.change), count.warm),
        *(int((change > RULES.brier_margin).sum()), int((change > 0).sum())),
        *(f"{1e3 * change.mean():+.1f}", f"{1e3 * change.max():+.1f}"),
        *(f"{1e3 * excess.mean():.1f}", f"{1e3 * creep(count.excess):+.2f}" if kind == "quiet" else "–"),
        *(count.refused, count.waiting, count.on_broken if kind == "broken" else "–", answered, count.lost),
    )
    return f"| {' | '.join(map(str, cells))} |"


COLUMNS = (
    *("nights", "labelled", "promotions", "of these warm-started", "wrong", "worse at all"),
    *("mean change of Brier, × 10⁻³", "largest", "mean excess Brier that served, × 10⁻³", "creep per 100 nights"),
    *("refused", "waiting", "promoted on a broken night", "answered in 3 nights", "nights without the champion"),
)


def main(kinds: list[str]) -> None:
    """Print the table."""
    print(f"| {' | '.join(COLUMNS)} |\n|---|{'--:|' * (len(COLUMNS) - 1)}", flush=True)
    for kind in kinds or ["quiet", "slow", "sudden", "broken"]:
        with TemporaryDirectory() as folder:
            print(row(kind, simulate(kind, Home(root=folder))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
