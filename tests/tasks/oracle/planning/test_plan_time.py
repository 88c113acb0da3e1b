"""How long a labelling run takes, which limit binds, and the spend tier that covers it."""

from typing import Any

import pyarrow as pa
import pytest

from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.money.pricing import Prices, UnknownPrice
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.forecast import Range
from routecal.tasks.oracle.planning.plan_text import plan_lines
from tests.tasks.oracle.planning.planned import PRICES, M, planned


def test_half_price_and_other_waits_in_flex() -> None:
    made = planned(tier="flex")
    assert made.usd == pytest.approx(Range(47.7 / 2, 74.8 / 2, 119.0 / 2))
    assert made.worst_usd == pytest.approx(506.6 / 2)
    # (60 + 15 / 5) s × 2 calls / 2 at once; judges: (60 + 9 / 5) × 4 / 2
    assert made.time.seconds.likely == pytest.approx(123.6)


def test_batch_takes_waves_and_knows_no_rates() -> None:
    made = planned(tier="batch", limits=Pace(job="", rpm=0.001, concurrency=1))
    # answers, then judges; no discount where the price names none
    assert made.time.seconds == Range(7200, 7200, 7200)
    assert made.time.binding == "batch"
    assert made.usd == planned().usd
    assert any("not documented" in note for note in made.notes)


def test_the_limit_that_binds_is_named() -> None:
    def binding(**limits: Any) -> tuple[str, float]:
        time = planned(limits=Pace(job="", **({"concurrency": 1000} | limits))).time
        return time.binding, time.seconds.likely

    # 4 judge calls at 2 a minute
    assert binding(rpm=2) == ("rpm of j", 120)
    assert binding(rpm=2, rpm_of={"j": 8, "l": 1}) == ("rpm of l", 120)
    # 130 tokens of judges at 65 a minute
    assert binding(tpm=65) == ("tpm of j", 120)
    assert binding(tpm=65, tpm_of={"j": 130, "m": 8}) == ("tpm of m", 240)
    # $74.80 at $7.48 in ten minutes
    name, seconds = binding(usd_per_10min=7.48, rpm=2)
    assert (name, round(seconds)) == ("usd_per_10min", 6000)
    # a minute of half a second
    assert binding(rpm=2, window_s=0.5) == ("rpm of j", 1)
    # two stages of one model share its rate: 2 + 4 calls
    same = planned(judge=JudgeSpec(first=M), limits=Pace(job="", rpm=2, concurrency=1000))
    assert (same.time.binding, same.time.seconds.likely) == ("rpm of m", 180)


@pytest.mark.parametrize(
    ("rows", "tier", "covers", "seconds"),
    [
        # $119 at most for two queries' worth, of which $74.80 is likely; each two more cost the same
        (2, "Tier 1", True, 74.8 / 10 * 600),
        (4, "Tier 1", True, 149.6 / 10 * 600),
        (6, "Tier 2", True, 224.4 / 50 * 600),
        (34, "Tier 3", True, 1271.6 / 200 * 600),
        (400, "Tier 3", False, 14_960 / 200 * 600),
    ],
)
def test_the_lowest_spend_tier_that_covers_it(rows: int, tier: str, covers: bool, seconds: float) -> None:
    # six bytes a query and one and a half a reference on average, as in the small plan
    table = pa.table(
        {
            "query": [f"{i:04d}" if i % 2 else f"{i:08d}" for i in range(rows)],
            "ground_truth": ["x" if i % 2 else "yy" for i in range(rows)],
        }
    )
    made = planned(table)
    assert made.spend_tier.name == tier
    assert made.spend_tier_covers == covers
    assert made.spend_tier_time.seconds.likely == pytest.approx(seconds)
    assert any(("Google's word" in line) == (not covers) for line in plan_lines(made) if line.startswith("Spend tier"))


def test_only_googles_developer_api_has_spend_tiers() -> None:
    assert planned(provider="vertex").spend_tier is None
    with pytest.raises(UnknownPrice):
        planned(provider="openai:http://127.0.0.1:1/v1")
    own = planned(provider="openai:http://127.0.0.1:1/v1", prices=Prices((), PRICES.own))
    assert own.spend_tier is None
    assert own.usd == planned().usd


def test_a_price_that_rises_while_it_runs_is_counted_and_said() -> None:
    both = {"medium": ModelSpec(model="gemini-3.8-flash"), "large": ModelSpec(model="gemini-4-argon"), "judge": None}
    common = both | {"prices": Prices.load(), "assume": Assumptions()}
    slow = planned(limits=Pace(job="", rpm=0.0001), **common)
    quick = planned(limits=Pace(job=""), **common)
    # 2 calls at one in a week last into December
    assert slow.time.seconds.likely == pytest.approx(1_200_000)
    assert slow.usd.likely == quick.usd.likely
    assert slow.stages[1].usd.high == pytest.approx(2 * quick.stages[1].usd.high)
    assert slow.stages[1].worst_usd == pytest.approx(2 * quick.stages[1].worst_usd)
    assert slow.stages[0].usd == quick.stages[0].usd
    assert quick.notes == ()
    assert [note for note in slow.notes if "gemini-4-argon changes on 2026-12-01" in note]


def test_prompts_nobody_can_send_are_named() -> None:
    long = pa.table({"query": ["a" * 1_000_000, "b"], "ground_truth": ["x", "y"]})
    pro = ModelSpec(model="gemini-3.1-pro-preview")
    made = planned(
        long,
        large=pro,
        medium=ModelSpec(model="gemini-3.8-flash"),
        judge=None,
        prices=Prices.load(),
        limits=Pace(job="", tpm_of={"gemini-3.8-flash": 100_000}),
        assume=Assumptions(),
    )
    notes = "\n".join(made.notes)
    assert "no known price for gemini-3.1-pro-preview" in notes
    assert "never fits into the 100,000 tpm of gemini-3.8-flash" in notes
