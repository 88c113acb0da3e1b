"""Estimates of what did not serve hold the truth as often as they say, and are refused where nothing can be known."""

from typing import Any

import numpy as np
import pytest

from routecal.calib.errors import CalibError
from routecal.calib.feedback.off_policy import (
    Estimator,
    NoSupport,
    TooLittleSupport,
    WrongPropensities,
    value_of_rule,
)


def logged(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Decisions of a router that sees more than x, and both models' true means."""
    x = rng.random(n)
    p_large = 0.1 + 0.8 * x
    large = rng.random(n) < p_large
    medium_right, large_right = 0.9 - 0.6 * x, np.full(n, 0.85)
    right = np.where(large, large_right, medium_right) > rng.random(n)
    rule = (x > 0.5).astype(float)
    return {
        "given": {"large": large, "propensity": np.where(large, p_large, 1 - p_large), "reward": right, "rule": rule},
        "predicted": np.column_stack([medium_right + 0.1, large_right - 0.1]),
        "truth": float(np.where(rule == 1, large_right, medium_right).mean()),
    }


def test_three_estimates_of_a_small_log_by_hand() -> None:
    # Weights of the rule "always large": 2 where large served, else 0; 30 and more rows of each.
    large = np.tile([True, False], 40)
    reward = np.tile([1.0, 0.0, 0.0, 1.0], 20)
    given = (large, np.full(80, 0.5), reward, np.ones(80))
    assert value_of_rule(*given, estimator="ips").value == pytest.approx(0.5)
    assert value_of_rule(*given, estimator="snips").value == pytest.approx(0.5)
    # q of the large model is .4: .4 + 2 (r - .4) on its rows, .4 on the others; r is 1 on half of its rows
    predicted = np.tile([0.9, 0.4], (80, 1))
    assert value_of_rule(*given, estimator="dr", predicted=predicted).value == pytest.approx(0.4 + 0.5 * 2 * 0.1)


@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(estimator: Estimator) -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        made = logged(rng, 600)
        found = value_of_rule(**made["given"], predicted=made["predicted"], estimator=estimator)
        held += found.low <= made["truth"] <= found.high
    # 190 are meant; 3 standard errors are 9
    assert 179 <= held <= 199


def test_the_mean_of_what_was_served_is_wrong_where_the_estimates_are_right() -> None:
    made = logged(np.random.default_rng(1), 20_000)
    naive = float(made["given"]["reward"].mean())
    found = value_of_rule(**made["given"])
    assert abs(naive - made["truth"]) > 0.03
    assert abs(found.value - made["truth"]) < 0.02


def test_what_was_never_done_cannot_be_valued() -> None:
    made = logged(np.random.default_rng(2), 500)["given"]
    made["propensity"] = np.where(np.arange(500) < 100, 1.0, made["propensity"])
    wrong_way = int((made["large"][:100] != (made["rule"][:100] == 1)).sum())
    with pytest.raises(NoSupport, match=f"^{wrong_way} of 500 decisions could only go one way"):
        value_of_rule(**made)
    # The rule that served is known whatever its probabilities.
    assert value_of_rule(made["large"], np.ones(500), made["reward"], made["large"]).value == made["reward"].mean()


def test_a_rule_that_hardly_ever_was_followed_is_refused() -> None:
    large = np.arange(1000) < 20
    with pytest.raises(TooLittleSupport, match=r"worth 20\.0 decisions"):
        value_of_rule(large, np.where(large, 0.02, 0.98), large, np.ones(1000))


def test_probabilities_that_cannot_be_true_are_found() -> None:
    made = logged(np.random.default_rng(3), 2000)["given"]
    with pytest.raises(WrongPropensities, match="instead of 1"):
        value_of_rule(**made | {"propensity": np.full(2000, 0.9)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"propensity": np.zeros(100)},
        {"propensity": np.full(100, 1.2)},
        {"reward": np.full(100, np.nan)},
        {"rule": np.full(100, -0.1)},
        {"large": np.ones(99)},
        {"estimator": "dr"},
        {"estimator": "dr", "predicted": np.full((100, 2), np.inf)},
        {"estimator": "dr", "predicted": np.zeros((100, 3))},
    ],
)
def test_arguments_of_another_kind(wrong: dict[str, Any]) -> None:
    made = {"large": np.arange(100) % 2, "propensity": np.full(100, 0.5), "reward": np.ones(100), "rule": np.ones(100)}
    with pytest.raises(CalibError):
        value_of_rule(**made | wrong)
