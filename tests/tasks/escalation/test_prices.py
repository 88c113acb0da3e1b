"""Costs as recorded, as given, or not at all: then calls are counted."""

import pytest

from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact
from routecal.tasks.escalation_result import CALLS, CONFIDENCE
from tests.tasks.escalation.measured import HALF, changed, measured


def test_recorded_costs_are_used_and_given_ones_go_before_them(examples: Artifact, predictions: Artifact) -> None:
    n = examples.rows
    priced = changed(examples, medium_cost_usd=[0.001] * n, large_cost_usd=[0.03] * n)
    found = measured(predictions, priced, HALF)
    assert (found.unit, found.note) == ("USD", "")
    assert found.policies["all-medium"][0] == pytest.approx(0.001)
    assert found.policies["all-large"][0] == pytest.approx(0.03)
    assert measured(predictions, priced).policies["all-large"][0] == 20


@pytest.mark.parametrize(
    ("costs", "terms", "why"),
    [
        ({}, HALF, "200 of 200 answers of the medium model is unknown"),
        (
            {"medium_cost_usd": 0.1},
            HALF,
            "200 of 200 answers of the large model is unknown",
        ),
        (
            {},
            EscalationTerms(medium_price=1, margin_confidence=0.5),
            "200 of 200 answers of the large model is unknown",
        ),
        ({"medium_cost_usd": 0.0, "large_cost_usd": 0.0}, HALF, "costs nothing"),
    ],
)
def test_without_prices_calls_are_counted_and_the_reason_is_given(
    examples: Artifact, predictions: Artifact, costs: dict[str, float], terms: EscalationTerms, why: str
) -> None:
    columns: dict[str, list[object]] = {name: [value] * examples.rows for name, value in costs.items()}
    found = measured(predictions, changed(examples, **columns), terms)
    assert found.unit == CALLS
    assert why in found.note
    point = found.methods[CONFIDENCE].point
    assert point.cost == pytest.approx(point.large)
    assert found.policies["all-medium"][0] == 0
    # prices have no say in the threshold
    assert point.threshold == measured(predictions, examples).methods[CONFIDENCE].point.threshold


def test_one_missing_price_is_as_bad_as_all(examples: Artifact, predictions: Artifact) -> None:
    n = examples.rows
    one = changed(examples, medium_cost_usd=[0.1] * n, large_cost_usd=[0.1] * (n - 1) + [None])
    found = measured(predictions, one, HALF)
    assert found.unit == CALLS
    assert "1 of 200 answers of the large model is unknown" in found.note
