"""What graded decisions and unlabelled queries say against the head that serves.

Three things are watched, each by the bets of `risk_monitor`:

the promise      what the guarantee bounds, on decisions that were kept on the medium model and of which both answers
                 were graded. Which of them get graded must not depend on how they turned out.
the medium model whether it fails oftener than the head says, on every decision of which its answer was graded. What
                 the head said is known before, so that it does not matter which queries are graded.
the queries      whether more of them are unlike those of the calibration than at most would be by chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from routecal.calib.feedback.risk_monitor import RiskMonitor
from routecal.calib.promise.asked import Promise

# By how much the medium model may fail oftener than the head says before that counts: more than a calibration leaves.
MARGIN = 0.02
# Share of unlike queries that counts as other queries. One in a hundred of those like them is called unlike.
UNLIKE = 0.03
# Share of kept queries below which a promise per query says next to nothing of them.
_LEAST_KEPT = 0.01


@dataclass(frozen=True)
class Graded:
    """A decision by the rule of the head that serves, and what became of it.

    Attributes:
        is_kept: the rule asks for the medium model.
        said: P(medium right) as the head told it; None where it tells none.
        medium, large: whether the answers were right, in [0, 1]; None where nobody graded one.
        needs_large: whether the true policy is one that the large model serves; None where a grade is missing.
        is_ruled: nothing but the rule had a say, so that what it promises holds for it.
    """

    is_kept: bool
    said: float | None = None
    medium: float | None = None
    large: float | None = None
    needs_large: bool | None = None
    is_ruled: bool = True


class HeadWatch(BaseModel):
    """What is known so far; `after` and `after_query` give what is known then.

    >>> watch = HeadWatch.of(None)
    >>> for _ in range(200):
    ...     watch = watch.after(Graded(is_kept=True, said=0.9, medium=0.0))
    >>> print(next(watch.findings()))  # doctest: +NORMALIZE_WHITESPACE
    the medium model is wrong more often than the head says, by more than 2 points: 1.00 of 200 graded answers, where
    .10 was said
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promise: Promise | None = Field(description="what the guarantee bounds; None: nothing is promised")
    of_promise: RiskMonitor | None = None
    of_medium: RiskMonitor = RiskMonitor(level=MARGIN, lowest=-1.0)
    of_queries: RiskMonitor = RiskMonitor(level=UNLIKE)
    lost: float = Field(default=0.0, description="sum of the losses that the promise is about")
    wrong: float = Field(default=0.0, description="sum of the medium model's wrong answers")
    said_wrong: float = Field(default=0.0, description="sum of what the head said of them")
    unlike: int = 0

    @classmethod
    def of(cls, promise: Promise | None) -> Self:
        """Before anything was graded."""
        if promise is None:
            return cls(promise=None)
        lowest = -1.0 if promise.risk == "loss" else 0.0
        return cls(promise=promise, of_promise=RiskMonitor(level=promise.at_most, lowest=lowest))

    def after(self, row: Graded, *, kept_share: float = 1.0) -> Self:
        """After one more graded decision.

        Args:
            row: it.
            kept_share: of decisions that the rule keeps, by which a risk per query becomes one per kept query.
        """
        changed: dict[str, object] = {}
        if row.medium is not None and row.said is not None:
            changed |= {
                "of_medium": self.of_medium.after(row.said - row.medium),
                "wrong": self.wrong + 1 - row.medium,
                "said_wrong": self.said_wrong + 1 - row.said,
            }
        if self.promise is not None and self.of_promise is not None and (loss := self._loss(row)) is not None:
            level = self.promise.at_most
            if self.promise.risk != "kept":
                level = min(level / max(kept_share, _LEAST_KEPT), 0.999)
            monitor = self.of_promise.model_copy(update={"level": level})
            changed |= {"of_promise": monitor.after(loss), "lost": self.lost + loss}
        return self.model_copy(update=changed)

    def after_query(self, is_unlike: bool) -> Self:
        """After one more query, whether or not anybody grades its answer."""
        return self.model_copy(
            update={"of_queries": self.of_queries.after(float(is_unlike)), "unlike": self.unlike + is_unlike}
        )

    def findings(self) -> Iterator[str]:
        """What speaks against the head, in sentences that begin in lower case; nothing where nothing does."""
        if self.promise is not None and (promise := self.of_promise) is not None and _is_alarming(promise):
            verb = "is broken" if promise.broken_after is not None else "seems to hold no more"
            yield (
                f"the promise ({self.promise}) {verb}: {self.lost / promise.n:.3f} lost per kept decision, over "
                f"{promise.n} of which both answers were graded"
            )
        if _is_alarming(self.of_medium):
            n = self.of_medium.n
            yield (
                "the medium model is wrong more often than the head says, by more than "
                f"{100 * MARGIN:g} points: {_share(self.wrong / n)} of {n} graded answers, where "
                f"{_share(self.said_wrong / n)} was said"
            )
        if _is_alarming(self.of_queries):
            n = self.of_queries.n
            yield f"queries are other ones: {self.unlike} of the last {n} are unlike those of the calibration"

    @staticmethod
    def key(finding: str) -> str:
        """The part of a finding that stays the same when more is graded."""
        return finding.partition(":")[0]

    def _loss(self, row: Graded) -> float | None:
        """What the promise counts; None where the decision tells nothing of it."""
        if not (row.is_kept and row.is_ruled) or row.medium is None or row.large is None:
            return None
        assert self.promise is not None
        if self.promise.risk == "kept":
            return None if row.needs_large is None else float(row.needs_large)
        return (1 - row.medium) * row.large if self.promise.risk == "harm" else row.large - row.medium


def _is_alarming(monitor: RiskMonitor) -> bool:
    return monitor.broken_after is not None or monitor.changed_after is not None


def _share(value: float) -> str:
    """ ".10"; a share without its zero."""
    return f"{value:.2f}".removeprefix("0")
