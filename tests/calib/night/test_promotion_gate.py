"""The gate lets in what is better, or no worse where a renewal is due; keeps out what is worse; and says why."""

import numpy as np
import pytest
from scipy.special import expit

from routecal.calib.errors import InvalidProbability, LengthMismatch
from routecal.calib.metrics import Estimate, noise_floor
from routecal.calib.night import promotion_gate
from routecal.calib.night.promotion_gate import Condition, GateRules, GateVerdict, Served, decide, served

DUE = ("it is old",)


def world(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(q, y): the true rate of every row, and its outcome."""
    rng = np.random.default_rng(seed)
    q = expit(1.5 * rng.standard_normal(n))
    return q, (rng.random(n) < q).astype(float)


def condition(verdict: GateVerdict, name: str) -> Condition:
    """The first condition of that name."""
    return next(c for c in verdict.conditions if c.name == name)


def test_the_same_head_is_promoted_only_where_a_renewal_is_due_and_every_reason_is_given() -> None:
    q, y = world(600)
    slices = {"all": np.ones(600, bool)}
    verdict = decide(q, q, y, slices=slices, renewal=DUE)
    assert verdict.is_promoted
    assert verdict.brier_difference is not None
    assert verdict.brier_difference.value == 0
    assert [c.name for c in verdict.conditions] == ["brier", "better", "ece", "slice"]
    assert len(verdict.reasons) == 4
    assert verdict.reasons[1] == "no worse is enough, for the champion is renewed: it is old"
    other = decide(q, q, y, slices=slices)
    assert not other.is_promoted
    assert other.reasons == (
        "Brier is not lower than the champion's on these rows (+0.0000 [+0.0000, +0.0000]), and nothing calls for "
        "renewal",
    )


def test_a_better_head_is_promoted_without_a_reason_to_renew() -> None:
    q, y = world(1000)
    verdict = decide(q, np.clip(q + 0.15, 0, 1), y)
    assert verdict.is_promoted
    assert condition(verdict, "better").reason == "Brier is lower than the champion's on these rows"


def test_a_renewal_lets_in_nothing_that_may_be_worse_by_the_margin() -> None:
    q, y = world(1000)
    verdict = decide(1 - q, q, y, renewal=DUE)
    assert not condition(verdict, "brier").is_met
    assert not verdict.is_promoted


@pytest.mark.parametrize(
    ("value", "high", "is_not_worse", "is_better"),
    [
        (-0.001, 0.0099, True, True),
        (0.0, 0.0099, True, False),
        (0.001, 0.0099, True, False),
        (-0.001, 0.01, False, True),
    ],
)
def test_better_lies_below_zero_and_no_worse_ends_below_the_margin(
    value: float, high: float, is_not_worse: bool, is_better: bool
) -> None:
    difference = Estimate(value=value, low=-0.02, high=high)
    assert promotion_gate._brier(difference, "the champion", GateRules()).is_met is is_not_worse
    assert promotion_gate._better(difference, ()).is_met is is_better
    assert promotion_gate._better(difference, DUE).is_met


def test_a_worse_one_is_refused_for_the_condition_that_it_misses() -> None:
    q, y = world(1000)
    verdict = decide(1 - q, q, y)
    assert not verdict.is_promoted
    assert any("may be worse than that of the champion" in reason for reason in verdict.reasons)


def test_an_overconfident_one_misses_the_condition_on_ece_alone() -> None:
    q, y = world(3000)
    sharper = expit(1.35 * np.log(q / (1 - q)))
    verdict = decide(sharper, q, y, renewal=DUE, rules=GateRules(brier_margin=0.05, target_ece=0.03))
    assert {c.name: c.is_met for c in verdict.conditions} == {"brier": True, "better": True, "ece": False}
    assert "outside its noise band" in verdict.reasons[0]
    assert "the champion's is 0.0" in verdict.reasons[0]


def test_an_ece_that_is_no_worse_than_the_champion_s_passes_however_large() -> None:
    """Both far outside the noise band and above the target: the candidate is none the worse for it, up to a tie."""
    q, y = world(3000)
    rules = GateRules(brier_margin=0.05, target_ece=0.03)
    sharper, sharpest = (expit(k * np.log(q / (1 - q))) for k in (1.5, 1.6))
    for candidate, champion, is_met in (
        (sharper, sharpest, True),
        (sharper, sharper, True),
        (sharpest, sharper, False),
    ):
        found = condition(decide(candidate, champion, y, rules=rules), "ece")
        assert found.is_met is is_met
        assert ("not above the champion's" in found.reason) is is_met


def test_an_ece_passes_below_the_target_by_its_upper_end_or_inside_its_noise_band() -> None:
    q, _ = world(1000)
    floor = noise_floor(q).high
    worse = Estimate(value=0.0, low=0.0, high=0.0)  # a champion that no candidate can match

    def passes(value: float, high: float) -> bool:
        own = Estimate(value=value, low=0.0, high=high)
        return promotion_gate._ece(q, own, worse, GateRules(target_ece=0.05)).is_met

    assert passes(floor + 0.001, 0.0499)
    assert not passes(floor + 0.001, 0.05)
    assert passes(floor, 0.2)


def test_a_slice_has_a_veto_from_its_least_size_on() -> None:
    q, y = world(2000)
    part = np.arange(2000) < 300
    hurt = np.where(part, 1 - q, q)
    rules = GateRules(brier_margin=0.25, target_ece=1.0)
    assert (
        "Brier on Complex_Query (n = 300) is significantly worse"
        in decide(hurt, q, y, slices={"Complex_Query": part}, renewal=DUE, rules=rules).reasons[0]
    )
    for least, n in ((300, 1), (301, 0)):
        larger = rules.model_copy(update={"min_slice": least})
        verdict = decide(hurt, q, y, slices={"Complex_Query": part}, renewal=DUE, rules=larger)
        assert sum(c.name == "slice" for c in verdict.conditions) == n
        assert verdict.is_promoted is (n == 0)


def test_a_slice_is_worse_only_beyond_what_is_found_by_chance_on_as_many_slices() -> None:
    """116 of a slice's 200 rows lose .09 and 84 gain it: 2.3 standard errors, significant alone and not one of five."""
    y, champion = np.ones(1000), np.full(1000, 0.5)
    slices = {f"slice {k}": np.arange(1000) // 200 == k for k in range(5)}
    first = np.where(np.arange(200) < 116, 1 - np.sqrt(0.25 + 0.09), 1 - np.sqrt(0.25 - 0.09))
    candidate = np.concatenate([first, champion[200:]])
    rules = GateRules(brier_margin=0.25, target_ece=1.0)
    alone = decide(candidate, champion, y, slices={"slice 0": slices["slice 0"]}, rules=rules)
    assert not condition(alone, "slice").is_met
    assert "slice 0 (n = 200) is significantly worse" in condition(alone, "slice").reason
    of_slices = [c for c in decide(candidate, champion, y, slices=slices, rules=rules).conditions if c.name == "slice"]
    assert all(c.is_met for c in of_slices)
    assert all(f"slice {k} (n = 200) is not significantly worse" in c.reason for k, c in enumerate(of_slices))


def test_a_promotion_that_escalates_more_says_so_with_both_shares() -> None:
    q, y = world(600)

    def told(candidate: float, champion: float) -> tuple[str, ...]:
        both = (Served(candidate, 0.0412), Served(champion, 0.05))
        return decide(q, q, y, renewal=DUE, decisions=both).facts

    assert told(0.31, 0.24) == (
        "it costs more: 31% of the held-out queries are escalated, 24% by the champion; 4.1% are kept and wrong, 5.0% "
        "with the champion",
    )
    assert told(0.24, 0.24) == told(0.2449, 0.24) == told(0.2, 0.24) == ()
    promoted = decide(q, q, y, renewal=DUE, decisions=(Served(0.31, 0.0), Served(0.24, 0.0)))
    assert promoted.reasons[-1].startswith("it costs more")
    refused = decide(q, q, y, decisions=(Served(0.31, 0.0), Served(0.24, 0.0)))
    assert not any("costs more" in reason for reason in refused.reasons)


def test_what_is_served_wrongly_is_what_is_kept_and_should_not_be() -> None:
    assert served([True, False, False], [True, True, True]) == served([1, 0, 0], [1, 1, 1]) == Served(1 / 3, 2 / 3)
    with pytest.raises(LengthMismatch):
        served([True], [True, False])


def test_the_first_head_must_beat_every_constant() -> None:
    q, y = world(800)
    assert decide(q, None, y).is_promoted
    assert decide(q, None, y).champion == {}
    assert not decide(np.random.default_rng(1).permutation(q), None, y).is_promoted
    assert [c.name for c in decide(q, None, y).conditions] == ["brier", "ece"]


def test_few_rows_decide_nothing() -> None:
    q, y = world(99)
    verdict = decide(q, q, y)
    assert not verdict.is_promoted
    assert verdict.reasons == ("the holdout has 99 rows, fewer than the 100 that a decision takes",)
    q, y = world(100)
    assert decide(q, q, y, renewal=DUE).is_promoted


def test_what_is_worse_by_the_margin_hardly_ever_passes() -> None:
    """At a true difference of exactly the margin the upper end lies below it in 2.5 % of nights."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(60):
        q = np.full(400, 0.7)
        y = (rng.random(400) < q).astype(float)
        p = np.clip(q + 0.1 * rng.choice([-1, 1], 400), 0, 1)  # costs .01
        passed += decide(p, q, y, renewal=DUE, rules=GateRules(brier_margin=0.01, target_ece=1.0)).is_promoted
    assert passed <= 6


def test_a_verdict_survives_json() -> None:
    q, y = world(300)
    verdict = decide(q, q, y)
    assert GateVerdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_wrong_input_is_named() -> None:
    q, y = world(200)
    with pytest.raises(InvalidProbability):
        decide(q + 1, q, y)
    with pytest.raises(LengthMismatch, match="slice short"):
        decide(q, q, y, slices={"short": np.ones(3, bool)})
