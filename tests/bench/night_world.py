"""The synthetic world of `tests.bench.nights`: queries with topics, and how often the router is right on them."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from routecal.calib.examples import Examples
from tests.bench.night_heads import Head

QUERIES, WIDTH = 300, 12
TOPICS, SHARES = ("history", "science", "sport"), (0.5, 0.3, 0.2)
EVERY, BROKEN_FOR = 100, 10
SLOW = 0.004  # of a standard deviation, per night and dimension
FRESH = 20_000


@dataclass(frozen=True)
class Labelled:
    """Rows with the topic of each."""

    rows: Examples
    topic: NDArray[np.int64]

    def held_out(self) -> Self:
        """The test rows."""
        mask = self.rows.split == "test"
        return type(self)(self.rows.where(mask), self.topic[mask])

    def slices(self) -> dict[str, NDArray[np.bool_]]:
        """By policy and topic, as the gate of a night cuts them."""
        policies = {f"router policy {k}": self.rows.policy == k for k in range(3)}
        return policies | {f"topic {name}": self.topic == k for k, name in enumerate(TOPICS)}


def together(parts: list[Labelled]) -> Labelled:
    """Their rows, in order."""
    names = ("hidden", "logits", "policy", "true_policy", "split")
    rows = Examples(*(np.concatenate([getattr(part.rows, name) for part in parts]) for name in names))
    return Labelled(rows, np.concatenate([part.topic for part in parts]))


@dataclass
class World:
    """Where queries come from, and how often the router is right on them.

    Attributes:
        kind: quiet, slow, sudden or broken.
        rng: of everything.
        is_broken: the oracle's answers have nothing to do with the queries tonight.
    """

    kind: str
    rng: np.random.Generator
    is_broken: bool = False
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(WIDTH))

    def __post_init__(self) -> None:
        self.direction = self._direction()
        self._tilt = self.rng.standard_normal(WIDTH)
        # Of each topic: where its queries lie, and what of the rate is its own.
        self._offset = 0.5 * self.rng.standard_normal((len(TOPICS), WIDTH))
        self._own = 0.3 * self.rng.standard_normal((len(TOPICS), WIDTH)) / np.sqrt(WIDTH)
        self._fresh: tuple[Examples, NDArray[np.float64]] | None = None
        self._last: tuple[Head | None, float] = (None, 0.0)

    def turn(self, night: int) -> bool:
        """Let happen what does before this night; whether everything became different."""
        is_hundredth = night > 0 and night % EVERY == 0
        self.is_broken = self.kind == "broken" and night >= EVERY and night % EVERY < BROKEN_FOR
        if self.kind == "slow":
            self.centre = self.centre + SLOW * self._tilt
            self.direction = self.direction + SLOW * self._tilt
            self._fresh = None
        elif self.kind == "sudden" and is_hundredth:
            self.centre, self.direction, self._fresh = self.rng.standard_normal(WIDTH), self._direction(), None
            return True
        return False

    def labelled(self) -> Labelled:
        """A night's queries with the oracle's word on them; 30 % are held out."""
        hidden, logits, rate, topic = self._queries(QUERIES, self.rng)
        right = self.rng.random(QUERIES) < (0.5 if self.is_broken else rate)
        policy = logits.argmax(axis=1)
        split = self.rng.choice(["train", "calibration", "validation", "test"], QUERIES, p=[0.4, 0.15, 0.15, 0.3])
        return Labelled(Examples(hidden, logits, policy, np.where(right, policy, (policy + 1) % 3), split), topic)

    def excess(self, head: Head) -> float:
        """Expected Brier of the head above that of the true rates: E[(p - y)²] = (p - q)² + q(1 - q)."""
        if self._fresh is not None and self._last[0] is head:
            return self._last[1]
        if self._fresh is None:
            hidden, logits, rate, _ = self._queries(FRESH, np.random.default_rng(1))
            policy = logits.argmax(axis=1)
            self._fresh = Examples(hidden, logits, policy, policy, np.full(FRESH, "test")), rate
        rows, rate = self._fresh
        self._last = (head, float(np.square(head(rows) - rate).mean()))
        return self._last[1]

    def _queries(
        self, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
        """(hidden, logits, the true rate, topic) of each query."""
        topic = rng.choice(len(TOPICS), n, p=SHARES)
        spread = rng.standard_normal((n, WIDTH))
        logits = np.column_stack([1.5 * rng.standard_normal((n, 2)), np.full(n, -1.0)])
        odds = np.sort(logits, axis=1)[:, -1] - np.sort(logits, axis=1)[:, -2]
        rate = expit(0.4 * odds + ((spread + self._offset[topic]) * (self.direction + self._own[topic])).sum(axis=1))
        hidden = self.centre + self._offset[topic] + spread
        return hidden.astype(np.float32), logits.astype(np.float32), rate, topic

    def _direction(self) -> NDArray[np.float64]:
        return self.rng.standard_normal(WIDTH) / np.sqrt(WIDTH) * 1.5
