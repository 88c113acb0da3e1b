"""A serving rule changes as asked, names its prices by one number, and refuses what means nothing."""

import hashlib

import numpy as np
import pytest
from pydantic import ValidationError

from routecal.calib.errors import OutOfRange
from routecal.calib.extra_cost import ExtraCost, Prices
from routecal.calib.serving_rule import ServingRule


def test_a_threshold_and_prices_change_at_once() -> None:
    rule = ServingRule(threshold=0.5).at(threshold=0.3, prices=Prices(medium=1, large=20))
    assert (rule.threshold, rule.prices) == (0.3, Prices(medium=1, large=20))


def test_prices_are_named_by_their_json_with_sorted_keys() -> None:
    rule = ServingRule(threshold=0.5, extra_cost=ExtraCost(flat=0.5, per_token=0.1))
    cost = '{"flat": 0.5, "per_token": 0.1}'
    priced = rule.model_copy(update={"prices": Prices(medium=1, large=20, unit="USD")})
    for one, prices in ((rule, "null"), (priced, '{"large": 20.0, "medium": 1.0, "unit": "USD"}')):
        assert one.prices_sha256 == hashlib.sha256(f"[{prices}, {cost}]".encode()).hexdigest()


def test_without_a_guarantee_no_threshold_is_a_promised_one() -> None:
    assert not ServingRule(threshold=0.5).is_promised_threshold


def test_a_right_answer_may_be_worth_less_than_one_but_not_nothing() -> None:
    assert ServingRule(threshold=0.5, answer_value=0.2).answer_value == 0.2
    with pytest.raises(ValidationError, match="greater than 0"):
        ServingRule(threshold=0.5, answer_value=0.0)


def test_prices_without_end_are_refused_by_name() -> None:
    with pytest.raises(OutOfRange, match="price of the medium model"):
        Prices.of(np.inf, np.inf)
    with pytest.raises(OutOfRange, match="price of the large model"):
        Prices.of(1, np.inf)
