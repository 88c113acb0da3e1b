"""A small plan whose sums can be done in the head."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.money.pricelist import parse_pricelist
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.plan import labelling_plan

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
