"""Calls, tokens, money and time of a labelling run that has not begun: the shapes, and the arithmetic of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.planning.assumptions import Assumptions, SpendTier


class Range(NamedTuple):
    """An estimate and how far off it may be."""

    low: float
    likely: float
    high: float

    @classmethod
    def of(cls, compute: Callable[[int], float]) -> "Range":
        """Computed three times, for -1 (low), 0 and 1 (high)."""
        return cls(compute(-1), compute(0), compute(1))


@dataclass(frozen=True)
class StagePlan:
    """Calls of one kind to one model, those already paid left out.

    Attributes:
        stage: `medium`, `large`, `first judge`, `second judge` or `third judge`.
        model: as it is asked.
        calls: how many.
        input_tokens: read by all of them.
        output_tokens: written, visible.
        thinking_tokens: thought.
        usd: what they cost.
        worst_usd: what they cost if every call wrote all it may, every byte were a token and every judge were asked.
        call_s: seconds one of them takes.
    """

    stage: str
    model: str
    calls: Range
    input_tokens: Range
    output_tokens: Range
    thinking_tokens: Range
    usd: Range
    worst_usd: float
    call_s: Range


@dataclass(frozen=True)
class Duration:
    """How long something takes, and the limit that makes it so.

    Attributes:
        seconds: 0 where nothing limits it.
        binding: `rpm of MODEL`, `tpm of MODEL`, `concurrency of MODEL`, `usd_per_10min`, `batch` or `nothing`.
    """

    seconds: Range
    binding: str


@dataclass(frozen=True)
class LabellingPlan:
    """What a run would ask, cost and take.

    Attributes:
        queries: rows of the table.
        skipped: rows without ground truth, which get no label.
        repeated: rows whose query and ground truth an earlier row has; they are asked once.
        tier: `online`, `flex` or `batch`.
        stages: calls by kind.
        usd: of all stages.
        worst_usd: of all stages; calls asked again, after a cut-off answer or a fault, are not in it.
        time: under the limits that were given.
        spend_tier: the lowest whose month covers `usd.high`; the highest if none does; None where nothing is paid to
            Google's Developer API.
        spend_tier_covers: whether its month does.
        spend_tier_time: how long it takes in that tier, under the other limits that were given.
        notes: sentences on what else to know.
        assumptions: all that was taken for granted.
    """

    queries: int
    skipped: int
    repeated: int
    tier: str
    stages: tuple[StagePlan, ...]
    usd: Range
    worst_usd: float
    time: Duration
    spend_tier: SpendTier | None
    spend_tier_covers: bool
    spend_tier_time: Duration | None
    notes: tuple[str, ...]
    assumptions: Assumptions

    @property
    def labelled(self) -> int:
        """Rows that get a label, if all goes well."""
        return self.queries - self.skipped


def duration(
    stages: Sequence[StagePlan], limits: Pace, *, tier: str, assume: Assumptions, usd_per_10min: float | None
) -> Duration:
    """How long the stages take. Models work side by side and each at its own limits, so the slowest decides.

    In batch no per-minute limit holds; the answers are one wave, and each judge is another.

    Args:
        stages: all of the run.
        limits: per model.
        tier: `online`, `flex` or `batch`.
        assume: for batch.
        usd_per_10min: of all models together; None for no limit.
    """
    if tier == "batch":
        waves = len({stage.stage for stage in stages if stage.calls.likely} - {"large"})
        return Duration(Range(*(waves * assume.batch_s for _ in range(3))), "batch" if waves else "nothing")
    paths = {"nothing": Range(0.0, 0.0, 0.0)}
    if usd_per_10min is not None:
        paths["usd_per_10min"] = Range(
            *(sum(u) / usd_per_10min * 10 * limits.window_s for u in zip(*(s.usd for s in stages), strict=True))
        )
    for model in dict.fromkeys(stage.model for stage in stages):
        of_model = [stage for stage in stages if stage.model == model]
        rates = {
            "rpm": (limits.rpm_of.get(model, limits.rpm), [s.calls for s in of_model]),
            "tpm": (limits.tpm_of.get(model, limits.tpm), [s.input_tokens for s in of_model]),
        }
        for name, (per_window, amounts) in rates.items():
            if per_window is not None:
                totals = (sum(of_kind) for of_kind in zip(*amounts, strict=True))
                paths[f"{name} of {model}"] = Range(*(total / per_window * limits.window_s for total in totals))
        if limits.concurrency is not None:
            busy = (
                sum(calls * seconds for calls, seconds in zip(calls_of, seconds_of, strict=True))
                for calls_of, seconds_of in zip(
                    zip(*(s.calls for s in of_model), strict=True),
                    zip(*(s.call_s for s in of_model), strict=True),
                    strict=True,
                )
            )
            paths[f"concurrency of {model}"] = Range(*(seconds / limits.concurrency for seconds in busy))
    binding = max(paths, key=lambda name: paths[name].likely)
    return Duration(Range(*(max(of_kind) for of_kind in zip(*paths.values(), strict=True))), binding)
