"""What holds for any plan, and that what it takes for granted is so."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.grading.answering import answer_call
from routecal.tasks.oracle.grading.decision_judge import decision_call
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.grading.model_judge import Case, judge_call
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.plan_text import plan_lines
from tests.tasks.oracle.planning.planned import QUERIES, J, M, planned

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
