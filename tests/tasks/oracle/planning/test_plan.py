"""A small plan reckoned by hand, and the figures of the research."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.money.pricing import Prices, UnknownPrice
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.forecast import Range
from routecal.tasks.oracle.planning.plan import labelling_plan
from routecal.tasks.oracle.planning.plan_text import plan_lines
from tests.tasks.oracle.planning.planned import NOV, QUERIES, ROUND, J, L, M, planned


def test_a_small_plan_by_hand() -> None:
    made = planned()
    assert (made.queries, made.skipped, made.repeated, made.labelled) == (4, 1, 1, 3)
    medium, large, judge = made.stages
    assert [(s.stage, s.model) for s in made.stages] == [("medium", "m"), ("large", "l"), ("first judge", "j")]
    # input: 4 + 8 of queries + 2 × 10 around them; output: 2 × 5; thinking: 2 × 10
    assert medium.calls == Range(2, 2, 2)
    assert (medium.input_tokens.likely, medium.output_tokens.likely, medium.thinking_tokens.likely) == (32, 10, 20)
    # 32 × 0.1 + 15 × 1, + 30 × 1, and + 50 × 1: twice as long would be 60, but 25 are allowed in each
    assert medium.usd == pytest.approx(Range(18.2, 33.2, 53.2))
    # (12 + 2 × 10 + 2 × 256) × 0.1 + 2 × 25 × 1 = 54.4 + 50
    assert medium.worst_usd == pytest.approx(104.4)
    # 32 × 0.2 + 15, 30 or 60 × 0.5
    assert large.usd == pytest.approx(Range(13.9, 21.4, 36.4))
    # 544 × 0.2 + 2 × 100 × 0.5
    assert large.worst_usd == pytest.approx(208.8)
    # both answers to both queries: 2 × (5 + 10 bytes of the pairs) + 4 × 20 around them + 4 × 5 of answers
    assert judge.calls == Range(4, 4, 4)
    assert judge.input_tokens == Range(120, 130, 150)
    # 4 × 4 visible and 4 × 10 × 0.5 thinking
    assert (judge.output_tokens.likely, judge.thinking_tokens.likely) == (16, 20)
    # 120 × 0.1 + 18 × 0.2, 130 × 0.1 + 36 × 0.2, 150 × 0.1 + 72 × 0.2
    assert judge.usd == pytest.approx(Range(15.6, 20.2, 29.4))
    # answers of up to 100 tokens: (30 + 4 × 20 + 4 × 100 + 4 × 256) × 0.1 + 4 × 50 × 0.2
    assert judge.worst_usd == pytest.approx(193.4)
    # 18.2 + 13.9 + 15.6, 33.2 + 21.4 + 20.2, 53.2 + 36.4 + 29.4; 104.4 + 208.8 + 193.4
    assert made.usd == pytest.approx(Range(47.7, 74.8, 119.0))
    assert made.worst_usd == pytest.approx(506.6)
    # a call to m or l: 1 s + 15 tokens at 5 a second = 4 s; 2 calls, 2 at once. Judges: 1 + 9 / 5 = 2.8 s, 4 calls.
    assert made.time.binding == "concurrency of j"
    assert made.time.seconds.likely == pytest.approx(5.6)
    assert made.spend_tier.name == "Tier 1"
    # $74.80 at $10 in 10 minutes
    assert made.spend_tier_time.seconds == pytest.approx(Range(2862.0, 4488.0, 7140.0))
    assert made.spend_tier_time.binding == "usd_per_10min"
    assert made.notes == ()


def test_more_judges_are_asked_as_often_as_expected_and_at_most_always() -> None:
    panel = JudgeSpec(first=J, second=M, third=L, below=0.8)
    first, second, third = planned(judge=panel).stages[2:]
    assert first.calls == Range(4, 4, 4)
    assert (second.stage, second.model, second.calls) == ("second judge", "m", Range(1, 2, 4))
    # half of those who were asked twice are asked thrice
    assert (third.stage, third.model, third.calls) == ("third judge", "l", Range(0.5, 1, 2))
    # (30 + 4 × 20 + 4 × 100 + 4 × 256) × 0.2 + 4 × 100 × 0.5
    assert third.worst_usd == pytest.approx(506.8)
    always = planned(judge=JudgeSpec(first=J, second=M, always_second=True)).stages
    assert always[3].calls == Range(4, 4, 4)
    # without a cut a second one is asked only where the first said nothing readable: an eighth of 4
    failed = planned(judge=JudgeSpec(first=J, second=M)).stages
    assert failed[3].calls == Range(0.25, 0.5, 1)


def test_one_decision_grades_both_answers() -> None:
    judge = JudgeSpec(kind="decision", first=ModelSpec(model="d"), second=J, below=0.8)
    first, second = planned(judge=judge).stages[2:]
    # 15 bytes of pairs + 2 × 30 + 2 × 2 × 5 of answers, at 0.01
    assert first.calls == Range(2, 2, 2)
    assert first.input_tokens.likely == 95
    assert (first.output_tokens.likely, first.thinking_tokens.likely) == (0, 0)
    assert first.usd.likely == pytest.approx(0.95)
    # (15 + 60 + 2 × 2 × 100 + 2 × 256) × 0.01
    assert first.worst_usd == pytest.approx(9.87)
    # the second judge grades answers one by one
    assert second.calls.likely == 2


def test_exact_matches_need_no_judge_but_might_not_come() -> None:
    quarter = planned(assume=replace(ROUND, exact_share=0.25)).stages[2]
    assert quarter.calls == Range(3, 3, 3)
    assert quarter.worst_usd == planned().stages[2].worst_usd
    # a decision is spared only where both answers are exact: 2 × (1 - 1 / 16)
    judge = JudgeSpec(kind="decision", first=ModelSpec(model="d"))
    assert planned(judge=judge, assume=replace(ROUND, exact_share=0.25)).stages[2].calls.likely == 1.875


def test_what_is_paid_is_not_planned_again() -> None:
    made = planned(paid={"medium": 1, "large": 5, "judge": 3})
    medium, large, judge = made.stages
    assert medium.usd.likely == pytest.approx(33.2 / 2)
    assert medium.worst_usd == pytest.approx(104.4 / 2)
    assert (large.calls, large.usd, large.worst_usd) == (Range(0, 0, 0), Range(0, 0, 0), 0)
    assert judge.usd.likely == pytest.approx(20.2 / 4)
    done = planned(paid={"medium": 2, "large": 2, "judge": 4})
    assert (done.usd, done.worst_usd, done.time.seconds) == (Range(0, 0, 0), 0, Range(0, 0, 0))
    assert done.spend_tier is None
    assert any("nothing" in line for line in plan_lines(done))


def test_the_figures_of_the_research() -> None:
    # queries of 60 bytes: 400 bytes a request, 100 tokens; references of 10: (3,730 + 60 + 10 + 4 × 75) / 4 = 1,025
    n = 1000
    table = pa.table({"query": [f"{i:060d}" for i in range(n)], "ground_truth": ["x" * 10] * n})
    made = labelling_plan(
        table,
        medium=ModelSpec(model="gemini-3.8-flash"),
        large=ModelSpec(model="gemini-4-argon"),
        judge=JudgeSpec(first=ModelSpec(model="gemini-3.8-flash")),
        prices=Prices.load(),
        limits=Pace(job=""),
        tier="online",
        at=NOV,
        assume=Assumptions(judge_bytes=4090),
    )
    # per million: $1,425 for Flash, $3,800 for Argon before December, and $1,650 for judging each set of answers
    assert [s.usd.likely for s in made.stages] == pytest.approx([1.425, 3.8, 2 * 1.65])
    december = datetime(2026, 12, 1, tzinfo=UTC)
    later = labelling_plan(
        table,
        medium=ModelSpec(model="gemini-4-hydrogen"),
        large=ModelSpec(model="gemini-4-argon"),
        judge=None,
        prices=Prices.load(),
        limits=Pace(job=""),
        tier="online",
        at=december,
    )
    assert [s.usd.likely for s in later.stages] == pytest.approx([2.85, 7.6])


def test_bytes_count_not_letters_and_aliases_are_read_too() -> None:
    plain = planned(pa.table({"query": ["äöüß"], "ground_truth": ["x"]}))
    assert plain.stages[0].input_tokens.likely == 8 + 10
    columns = {
        "query": ["abcd", "efgh", "ijkl"],
        "ground_truth": ["x", "y", "z"],
        "aliases": pa.array([["pq", "rst"], None, []], pa.list_(pa.string())),
    }
    # 3 × (4 + 1) + 5 of aliases, for both answers; 6 × 20 around; 6 × 5 of answers
    assert planned(pa.table(columns)).stages[2].input_tokens.likely == 2 * 20 + 120 + 30
    chunks = pa.concat_tables([pa.table(columns).slice(0, 1), pa.table(columns).slice(1)])
    assert planned(chunks).stages == planned(pa.table(columns)).stages


@pytest.mark.parametrize(
    "truths", [pa.array([None, None]), pa.array(["", " \t"]), pa.array([None, ""], pa.large_string())]
)
def test_nothing_to_grade_against(truths: pa.Array) -> None:
    made = planned(pa.table({"query": ["a", "b"], "ground_truth": truths}))
    assert (made.queries, made.skipped, made.repeated) == (2, 2, 0)
    assert (made.usd, made.worst_usd, made.time.binding) == (Range(0, 0, 0), 0, "nothing")


def test_no_queries_at_all() -> None:
    made = planned(QUERIES.slice(0, 0))
    assert (made.queries, made.labelled, made.usd.high) == (0, 0, 0)


def test_a_model_without_a_price_is_refused() -> None:
    for changes in ({"medium": ModelSpec(model="new")}, {"judge": JudgeSpec(first=J, second=ModelSpec(model="new"))}):
        with pytest.raises(UnknownPrice, match="new"):
            planned(**changes)
    with pytest.raises(ValueError, match="not a tier"):
        planned(tier="bulk")


def test_the_lines_round_and_name_what_matters() -> None:
    lines = plan_lines(planned(limits=Pace(job="", rpm=2, concurrency=1000)))
    assert lines[0] == "4 queries (1 without ground truth are skipped, 1 are there more than once and asked once)"
    assert lines[1].split() == ["stage", "model", "calls", "input", "output", "thinking", "USD", "at", "most"]
    assert lines[2].split() == ["medium", "m", "2", "32", "10", "20", "$18", "–", "$53", "$100"]
    assert lines[5].startswith("Cost (online): likely $75, from $48 to $120; at most $510")
    assert lines[6] == "Time under the given limits: 2 min; what binds is rpm of j"
    assert lines[7].startswith("Spend tier: Tier 1 ($10 in 10 minutes, $250 a month; needs a billing account)")
    assert lines[-1].startswith("Taken for granted:")
    assert "0% of the answers settled without a judge" in lines[-1]
