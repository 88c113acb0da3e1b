"""The gate lets in what is not worse, keeps out what is, and says why."""

import numpy as np
import pytest
from scipy.special import expit

from calib.errors import InvalidProbability, LengthMismatch
from calib.gate import GateRules, Verdict, decide


def world(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(q, y): the true rate of every row, and its outcome."""
    rng = np.random.default_rng(seed)
    q = expit(1.5 * rng.standard_normal(n))
    return q, (rng.random(n) < q).astype(float)


def test_the_same_head_is_promoted_and_every_reason_is_given() -> None:
    q, y = world(600)
    verdict = decide(q, q, y, slices={"all": np.ones(600, bool)})
    assert verdict.is_promoted
    assert verdict.brier_difference is not None
    assert verdict.brier_difference.value == 0
    assert len(verdict.reasons) == len(verdict.conditions) == 3


def test_a_worse_one_is_refused_for_the_condition_that_it_misses() -> None:
    q, y = world(1000)
    verdict = decide(1 - q, q, y)
    assert not verdict.is_promoted
    assert any("may be worse than that of the champion" in reason for reason in verdict.reasons)


def test_an_overconfident_one_misses_the_condition_on_ece_alone() -> None:
    q, y = world(3000)
    sharper = expit(1.35 * np.log(q / (1 - q)))
    verdict = decide(sharper, q, y, rules=GateRules(margin=0.05, target_ece=0.03))
    assert [c.is_met for c in verdict.conditions] == [True, False]
    assert "outside its noise band" in verdict.reasons[0]


def test_a_slice_has_a_veto_from_its_least_size_on() -> None:
    q, y = world(2000)
    part = np.arange(2000) < 300
    hurt = np.where(part, 1 - q, q)
    rules = GateRules(margin=0.25, target_ece=1.0)
    assert (
        "Brier on Complex_Query (n = 300) is significantly worse"
        in decide(hurt, q, y, slices={"Complex_Query": part}, rules=rules).reasons[0]
    )
    larger = rules.model_copy(update={"min_slice": 301})
    assert decide(hurt, q, y, slices={"Complex_Query": part}, rules=larger).is_promoted


def test_the_first_head_must_beat_every_constant() -> None:
    q, y = world(800)
    assert decide(q, None, y).is_promoted
    assert decide(q, None, y).champion == {}
    assert not decide(np.random.default_rng(1).permutation(q), None, y).is_promoted


def test_few_rows_decide_nothing() -> None:
    q, y = world(99)
    verdict = decide(q, q, y)
    assert not verdict.is_promoted
    assert verdict.reasons == ("the holdout has 99 rows, fewer than the 100 that a decision takes",)


def test_what_is_worse_by_the_margin_hardly_ever_passes() -> None:
    """At a true difference of exactly the margin the upper end lies below it in 2.5 % of nights."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(60):
        q = np.full(400, 0.7)
        y = (rng.random(400) < q).astype(float)
        p = np.clip(q + 0.1 * rng.choice([-1, 1], 400), 0, 1)  # costs .01
        passed += decide(p, q, y, rules=GateRules(margin=0.01, target_ece=1.0)).is_promoted
    assert passed <= 6


def test_a_verdict_survives_json() -> None:
    q, y = world(300)
    verdict = decide(q, q, y)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_wrong_input_is_named() -> None:
    q, y = world(200)
    with pytest.raises(InvalidProbability):
        decide(q + 1, q, y)
    with pytest.raises(LengthMismatch, match="slice short"):
        decide(q, q, y, slices={"short": np.ones(3, bool)})
