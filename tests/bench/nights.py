"""A thousand nights of each kind on synthetic queries: `python -m tests.bench.nights [quiet | slow | sudden | broken]`.

    quiet    nothing ever changes
    slow     queries drift a little every night, and what the router gets right with them
    sudden   on every hundredth night queries and what is right of them become others
    broken   on every hundredth night the oracle's answers have nothing to do with the queries, for ten nights

Each night runs what `recalibrate` runs: the serving head's health, drift, the oracle's outcomes, a candidate, the gate,
an entry in a registry. Only the heads are smaller. Of every promotion the truth is known: the expected Brier of both
heads on 20,000 fresh queries of that night. A promotion is wrong where it makes that worse by more than the gate's
margin, which is what the gate promises; those that make it worse at all are counted beside. Prints one row a kind.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from calib.drift import columns, drift, principal_axes
from calib.examples import Examples
from calib.gate import GateRules, decide
from calib.health import MIN_WINDOW, Health, examine, may_rest
from calib.outcome_shift import outcome_shift
from calib.recipe import Headed, Recipe, train
from calib.sft import SFTConfig
from storage import registry
from storage.artifact import Artifact
from storage.folder import write_folder
from storage.layout import Home
from storage.registry import Action

NIGHTS, QUERIES, WIDTH = 1000, 300, 12
WINDOW, MEMORY, RECENT, RECHECK = 1000, 3000, 300, 7
EVERY, BROKEN_FOR, ANSWERED_WITHIN = 100, 10, 3
SLOW = 0.004  # of a standard deviation, per night and dimension
RECIPE = Recipe(folds=0, hidden_units=8, first=SFTConfig(epochs=15, lr=3e-3), second=None)
RULES = GateRules()


@dataclass
class World:
    """Where queries come from, and how often the router is right on them."""

    kind: str
    rng: np.random.Generator
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(WIDTH))
    direction: NDArray[np.float64] = field(default_factory=lambda: np.zeros(WIDTH))

    def __post_init__(self) -> None:
        self.direction = self._direction()
        self._tilt = self.rng.standard_normal(WIDTH)

    def turn(self, night: int) -> None:
        """What becomes different before this night."""
        if self.kind == "slow":
            self.centre = self.centre + SLOW * self._tilt
            self.direction = self.direction + SLOW * self._tilt
        elif self.kind == "sudden" and night % EVERY == 0 and night:
            self.centre = self.rng.standard_normal(WIDTH)
            self.direction = self._direction()

    def queries(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
        """(hidden, logits, the true rate of each)."""
        hidden = self.centre + self.rng.standard_normal((n, WIDTH))
        logits = np.column_stack([1.5 * self.rng.standard_normal((n, 2)), np.full(n, -1.0)])
        odds = np.sort(logits, axis=1)[:, -1] - np.sort(logits, axis=1)[:, -2]
        rate = expit(0.4 * odds + (hidden - self.centre) @ self.direction)
        return hidden.astype(np.float32), logits.astype(np.float32), rate

    def _direction(self) -> NDArray[np.float64]:
        return self.rng.standard_normal(WIDTH) / np.sqrt(WIDTH) * 1.5


def labelled(world: World, *, is_broken: bool) -> Examples:
    """A night's queries with the oracle's word on them; 30 % are held out."""
    hidden, logits, rate = world.queries(QUERIES)
    right = world.rng.random(QUERIES) < (0.5 if is_broken else rate)
    policy = logits.argmax(axis=1)
    split = world.rng.choice(["train", "calibration", "validation", "test"], QUERIES, p=[0.4, 0.15, 0.15, 0.3])
    return Examples(hidden, logits, policy, np.where(right, policy, (policy + 1) % 3), split)


def together(parts: list[Examples]) -> Examples:
    """Their rows, in order."""
    names = ("hidden", "logits", "policy", "true_policy", "split")
    return Examples(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def outcomes(rows: Examples) -> list[str]:
    """What the oracle said of each row."""
    return [f"true policy {policy}" for policy in rows.true_policy]


@dataclass
class Count:
    """What happened over the nights of one kind."""

    labelled: int = 0
    refused: int = 0
    waiting: int = 0
    on_broken: int = 0
    lost: int = 0
    answered: list[int] = field(default_factory=list)
    # True Brier of the new head minus that of the one before, per promotion.
    change: list[float] = field(default_factory=list)


def simulate(kind: str, home: Home, *, nights: int = NIGHTS, seed: int = 0) -> Count:
    """Run the nights, with a registry in `home`; the world's random numbers follow from the seed alone."""
    world, count = World(kind, np.random.default_rng(seed)), Count()
    known: list[Examples] = []
    champion: Headed | None = None
    learned: Examples | None = None
    quiet, changed_at, serving = 0, None, None
    for night in range(nights):
        count.lost += registry.champion(home) != serving
        world.turn(night)
        if kind == "sudden" and night % EVERY == 0 and night:
            changed_at = night
        is_broken = kind == "broken" and night % EVERY < BROKEN_FOR and night >= EVERY
        tonight = labelled(world, is_broken=is_broken)
        health = None
        if champion is not None and learned is not None:
            health = _health(champion, learned, known, tonight, night)
            if may_rest(health, quiet=quiet, recheck=RECHECK):
                quiet += 1
                continue
        quiet = 0
        count.labelled += 1
        window = _window([*known, tonight])
        if len(window) < MIN_WINDOW:
            known.append(tonight)
            continue
        rows = _newest([*known, tonight], MEMORY)
        candidate = train({"candidate": RECIPE}, rows.only("train", "calibration", "validation"), seed=night)[
            "candidate"
        ]
        other = None if champion is None else champion(window)
        verdict = decide(candidate(window), other, window.y, rules=RULES, seed=night)
        doubted = champion is not None and _doubted(champion, known, tonight, health)
        if not doubted:
            known.append(tonight)
        if verdict.is_promoted and not doubted:
            if champion is not None:
                count.change.append(_change(world, candidate, champion))
                count.on_broken += is_broken
            champion, learned, serving = candidate, rows, _stored(home, night)
        count.waiting += doubted
        count.refused += not doubted and not verdict.is_promoted
        _enter(home, "waiting" if doubted else "promoted" if verdict.is_promoted else "refused", serving)
        if changed_at is not None and (doubted or verdict.is_promoted):
            count.answered.append(night - changed_at + 1)
            changed_at = None
    return count


def _health(champion: Headed, learned: Examples, known: list[Examples], tonight: Examples, seed: int) -> Health:
    axes = principal_axes(learned.hidden)
    before, now = (columns(e.hidden, e.logits, champion(e), axes=axes) for e in (learned, tonight))
    window = _window(known)
    return examine(champion(window), window.y, drift=drift(before, now), seed=seed)


def _doubted(champion: Headed, known: list[Examples], tonight: Examples, health: Health | None) -> bool:
    recent = _window(known, at_most=RECENT)
    shift = outcome_shift(
        (champion(recent), recent.y), (champion(tonight), tonight.y), outcomes(recent), outcomes(tonight)
    )
    return shift.is_found and not (health is not None and health.drifted)


def _window(nights: list[Examples], *, at_most: int = WINDOW) -> Examples:
    """The newest held-out rows, whole nights at a time."""
    tests = [night.only("test") for night in nights]
    chosen = 0
    for n in range(1, len(tests) + 1):
        chosen = n
        if sum(len(t) for t in tests[-n:]) >= at_most:
            break
    return together(tests[-chosen:])


def _newest(nights: list[Examples], at_most: int) -> Examples:
    return together(nights[-max(1, at_most // QUERIES) :])


def _change(world: World, candidate: Headed, champion: Headed) -> float:
    """What a promotion does to the expected Brier, by true rates: E[(p - y)^2] = (p - q)^2 + q(1 - q)."""
    rng = world.rng
    world.rng = np.random.default_rng(1)
    hidden, logits, rate = world.queries(20_000)
    world.rng = rng
    policy = logits.argmax(axis=1)
    fresh = Examples(hidden, logits, policy, policy, np.full(len(policy), "test"))
    loss = [float(np.square(head(fresh) - rate).mean()) for head in (candidate, champion)]
    return loss[0] - loss[1]


def _stored(home: Home, night: int) -> Artifact:
    """A folder that stands for the night's head."""

    def build(folder: Path) -> None:
        (folder / "night").write_text(str(night))

    return write_folder("calibrated", build, home=home)


def _enter(home: Home, action: Action, serving: Artifact | None) -> None:
    before = registry.newest(home)
    registry.append(home, action, champion=serving, after=before.number if before else 0)


def row(kind: str, count: Count) -> str:
    """One line of the table."""
    change = np.asarray(count.change)
    late = sum(n > ANSWERED_WITHIN for n in count.answered)
    answered = f"{len(count.answered) - late} of {(NIGHTS - 1) // EVERY}" if kind == "sudden" else "–"
    cells = (
        *(kind, count.labelled, len(change), int((change > RULES.margin).sum()), int((change > 0).sum())),
        *(f"{1e3 * change.mean():+.1f}", f"{1e3 * change.max():+.1f}", count.refused, count.waiting),
        *(count.on_broken if kind == "broken" else "–", answered, count.lost),
    )
    return f"| {' | '.join(map(str, cells))} |"


COLUMNS = (
    *("nights", "labelled", "promotions", "wrong", "worse at all", "mean change of Brier, × 10⁻³", "largest"),
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
