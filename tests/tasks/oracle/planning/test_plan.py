"""A small plan reckoned by hand, the figures of the research, and what holds for any plan."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.answering import answer_call
from routecal.tasks.oracle.grading.decision_judge import decision_call
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.grading.model_judge import Case, judge_call
from routecal.tasks.oracle.money.pricelist import parse_pricelist
from routecal.tasks.oracle.money.pricing import Prices, UnknownPrice
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.forecast import Range
from routecal.tasks.oracle.planning.plan import labelling_plan
from routecal.tasks.oracle.planning.plan_text import plan_lines

NOV = datetime(2026, 11, 22, 12, tzinfo=UTC)

# Dollars a token, so that sums can be done in the head: 0.1 and 1; 0.2 and 0.5; 0.1 and 0.2; decisions 0.01.
LIST = b"""
price = [
  {model = "m", input_usd = 100_000, output_usd = 1_000_000, flex_factor = 0.5, source = "made up"},
  {model = "l", input_usd = 200_000, output_usd = 500_000, flex_factor = 0.5, source = "made up"},
  {model = "j", input_usd = 100_000, output_usd = 200_000, flex_factor = 0.5, source = "made up"},
  {model = "d", input_usd = 10_000, output_usd = 0, source = "made up"},
]
"""
PRICES = Prices(parse_pricelist(LIST, "made.toml", source_required=True))

# One byte a token; round numbers for everything else.
ROUND = Assumptions(
    bytes_per_token=1,
    answer_bytes=10,
    judge_bytes=20,
    decision_bytes=30,
    visible_tokens=5,
    thinking_tokens={"low": 10, "high": 40, None: 40},
    judge_visible_tokens=4,
    judge_thinking_share=0.5,
    second_share=0.5,
    failed_share=0.125,
    third_share=0.5,
    start_s=1,
    tokens_per_s=5,
    decision_s=0.5,
    flex_s=60,
    batch_s=3600,
)

M = ModelSpec(model="m", max_output_tokens=25)
L = ModelSpec(model="l", max_output_tokens=100)
J = ModelSpec(model="j", max_output_tokens=50)
JUDGE = JudgeSpec(first=J)

# Two different queries of 4 and 8 bytes with references of 1 and 2; one without a reference; one there twice.
QUERIES = pa.table({"query": ["abcd", "abcdefgh", "zzzz", "abcd"], "ground_truth": ["x", "yy", None, "x"]})


def planned(queries: pa.Table = QUERIES, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "medium": M,
        "large": L,
        "judge": JUDGE,
        "prices": PRICES,
        "limits": Pace(job="", concurrency=2),
        "tier": "online",
        "at": NOV,
        "assume": ROUND,
    }
    return labelling_plan(queries, **(given | changes))


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


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    rows=st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=12),
    tier=st.sampled_from(["online", "flex", "batch"]),
    kind=st.sampled_from(["model", "decision"]),
    below=st.none() | st.just(0.8),
    levels=st.tuples(*[st.sampled_from(["minimal", "low", "medium", "high", None])] * 2),
    room=st.integers(1, 5000),
    assume=st.builds(
        Assumptions,
        exact_share=st.floats(0, 1),
        second_share=st.floats(0, 1),
        third_share=st.floats(0, 1),
        spread=st.floats(1, 4),
        visible_tokens=st.floats(0, 500),
    ),
    paid=st.fixed_dictionaries({}, optional={s: st.integers(0, 30) for s in ("medium", "large", "judge")}),
)
def test_low_likely_high_and_worst_come_in_that_order(
    rows: list[tuple[str, str | None]],
    tier: str,
    kind: Any,
    below: float | None,
    levels: tuple[Any, Any],
    room: int,
    assume: Assumptions,
    paid: dict[str, int],
) -> None:
    columns = {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(QUERIES.column_names)}
    made = planned(
        pa.table(columns),
        tier=tier,
        medium=ModelSpec(model="m", thinking_level=levels[0], max_output_tokens=room),
        large=ModelSpec(model="l", thinking_level=levels[1]),
        judge=JudgeSpec(kind=kind, first=ModelSpec(model="d"), second=J, third=M, below=below),
        assume=assume,
        paid=paid,
    )
    assert made.labelled == sum(bool(t and t.strip()) for _, t in rows)
    assert made.repeated == made.labelled - len({pair for pair in rows if pair[1] and pair[1].strip()})
    slack = 1 + 1e-9
    for stage in made.stages:
        assert 0 <= stage.usd.low <= stage.usd.likely * slack
        assert stage.usd.likely <= stage.usd.high * slack
        assert stage.usd.high <= stage.worst_usd * slack
    assert made.time.seconds.low <= made.time.seconds.likely * slack
    assert made.time.seconds.likely <= made.time.seconds.high * slack
    assert len(plan_lines(made)) >= len(made.stages) + 5


def test_what_is_around_a_prompt_is_as_large_as_assumed() -> None:
    assume, spec = Assumptions(), ModelSpec(model="m")

    def size(call: Call) -> int:
        config = {k: v for k, v in call.config.items() if k not in ("max_output_tokens", "thinking_level")}
        return len((call.system + call.prompt).encode()) + (len(json.dumps(config)) if config else 0)

    answer = answer_call("", spec=spec, provider="gemini", role="medium")
    assert assume.answer_bytes == pytest.approx(size(answer), rel=0.15)
    judge = judge_call(Case("", ("",), "", "gemini"), spec=spec, seat="first")
    assert assume.judge_bytes == pytest.approx(size(judge), rel=0.15)
    decision = decision_call("", ("",), ("a", "b"), model="d", provider="gemini")
    assert assume.decision_bytes == pytest.approx(size(decision), rel=0.15)


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
