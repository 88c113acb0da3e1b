"""The numbers that a night decides by: defaults, ranges, both sides of each limit, and the statistics behind them."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import chi2_contingency, ttest_ind

from routecal.calib.metrics import Estimate, intervals, noise_floor, paired_difference
from routecal.calib.night import outcome_shift, promotion_gate
from routecal.calib.night.action import judgement
from routecal.calib.night.candidate import Contender, choose_candidate
from routecal.calib.night.head_health import examine
from routecal.calib.night.outcome_shift import OutcomeShift
from routecal.calib.night.promotion_gate import Condition, GateRules, GateVerdict, Served, decide
from routecal.calib.recalibrate import Identity
from routecal.calib.recalibrate.registry import RECALIBRATORS

DUE = ("it is old",)


def heads(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(candidate, champion, y): a calibrated head, one that is off, and outcomes."""
    rng = np.random.default_rng(0)
    p = rng.random(n)
    return p, np.clip(p + 0.1 * rng.standard_normal(n), 0, 1), (rng.random(n) < p).astype(float)


def test_nobody_is_asked_unless_approval_is_required() -> None:
    passed = GateVerdict(n=500, conditions=(Condition(is_met=True, reason="it is better"),))
    assert not judgement(passed, (), require_approval=False).asks
    assert not judgement(passed, ("outcomes moved",), require_approval=False).asks


def test_the_gate_s_rules_unless_others_are_given() -> None:
    rules = GateRules()
    assert (rules.brier_margin, rules.target_ece, rules.level, rules.min_rows, rules.min_slice) == (
        0.01,
        0.05,
        0.95,
        100,
        200,
    )


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("brier_margin", (1e-9, 0.25), (0.0, 0.2501)),
        ("target_ece", (1e-9, 1.0), (0.0, 1.0001)),
        ("level", (0.5, 0.999), (0.4999, 1.0)),
        ("min_rows", (30,), (29,)),
        ("min_slice", (30,), (29,)),
    ],
)
def test_rules_out_of_range_are_refused(name: str, allowed: tuple[float, ...], refused: tuple[float, ...]) -> None:
    for value in allowed:
        assert getattr(GateRules(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError):
            GateRules(**{name: value})


def test_a_verdict_s_numbers_are_those_of_two_thousand_replicates_at_the_level_and_seed_given() -> None:
    p, other, y = heads(400)
    part = np.arange(400) < 250
    off = np.clip(p + 0.15, 0, 1)
    for seed in range(5):  # the ends of ECE's interval lie on a grid, so two seeds may well agree
        how = {"level": 0.9, "n_replicates": 2000, "seed": seed}
        verdict = decide(p, other, y, slices={"part": part}, rules=GateRules(level=0.9), seed=seed)
        assert verdict.brier_difference == paired_difference("brier", p, other, y, **how)
        assert verdict.candidate == intervals(p, y, metrics=("ece", "brier"), **how)
        assert verdict.champion == intervals(other, y, metrics=("ece", "brier"), **how)
        worse = decide(off, other, y, rules=GateRules(level=0.9), seed=seed)
        assert worse.candidate == intervals(off, y, metrics=("ece", "brier"), **how)
    assert verdict.n == 400
    assert f"{paired_difference('brier', p[part], other[part], y[part], **how):+.4f}" in verdict.conditions[-1].reason
    assert decide(p, other, y) == decide(p, other, y, seed=0)


def test_a_head_that_is_not_better_misses_the_condition_of_that_name() -> None:
    for value, is_met in ((-1e-9, True), (0.0, False)):
        found = promotion_gate._better(Estimate(value=value, low=-0.1, high=0.1), ())
        assert (found.name, found.is_met) == ("better", is_met)


def test_a_first_head_is_measured_by_the_best_constant_and_by_no_champion() -> None:
    p, _, y = heads(400)
    assert "than that of the best constant" in decide(p, None, y).conditions[0].reason
    off = np.clip(p + 0.2, 0, 1)
    (ece,) = [c for c in decide(off, None, y).conditions if c.name == "ece"]
    assert not ece.is_met
    assert "champion" not in ece.reason
    assert [c.name for c in decide(p[:50], None, y[:50]).conditions] == ["rows"]


def test_what_is_no_worse_is_said_to_be_so_and_what_may_be_worse_too() -> None:
    for high, words in ((0.009, "is not worse"), (0.01, "may be worse")):
        reason = promotion_gate._brier(Estimate(value=0.0, low=-0.01, high=high), "the champion", GateRules()).reason
        assert reason.startswith(f"Brier {words} than that of the champion: +0.0000 [-0.0100,")
        assert ("lies below the margin 0.01" in reason) is (high < 0.01)


def test_the_noise_band_of_ece_is_that_of_the_gate_s_level() -> None:
    p, _, _ = heads(400)
    end = noise_floor(p, level=0.6).high
    worse = Estimate(value=0.0, low=0.0, high=0.0)
    for value, is_met in ((end, True), (np.nextafter(end, 1), False)):
        own = Estimate(value=value, low=0.0, high=1.0)
        assert promotion_gate._ece(p, own, worse, GateRules(level=0.6)).is_met is is_met
        assert promotion_gate._ece(p, own, None, GateRules(level=0.6)).is_met is is_met


def test_more_is_escalated_where_the_printed_percentages_say_so() -> None:
    assert promotion_gate._cost(Served(0.25, 0.0), Served(0.2449, 0.0)) != ()  # 25 % and 24 %
    assert promotion_gate._cost(Served(0.2449, 0.0), Served(0.24, 0.0)) == ()  # 24 % and 24 %


def test_health_is_measured_with_the_seed_given_and_nothing_is_escalated_without_a_threshold() -> None:
    p, _, y = heads(150)
    off = np.clip(p + 0.15, 0, 1)
    for seed in range(5):
        found, measured = examine(off, y, seed=seed), intervals(off, y, metrics=("ece", "brier"), seed=seed)
        assert (found.ece, found.brier) == (measured["ece"], measured["brier"])
    assert found.noise_high == noise_floor(off).high
    assert found.escalated == 0.0
    for n in range(110, 150, 5):
        assert examine(off[:n], y[:n]) == examine(off[:n], y[:n], seed=0)


def surely(loss: float, n: int = 40) -> tuple[list[float], list[int]]:
    """(p, y) whose every squared error is `loss`."""
    return [1 - float(np.sqrt(loss))] * n, [1] * n


def shift(before: float, now: float, *, n: int = 40) -> OutcomeShift:
    return outcome_shift.outcome_shift(surely(before, n), surely(now, n), ["a"] * n, ["a"] * n)


def test_a_loss_that_rose_by_more_than_three_hundredths_is_a_shift() -> None:
    assert shift(0.2, 0.231).is_found
    assert not shift(0.2, 0.229).is_found
    assert not shift(0.231, 0.2).is_found
    assert not shift(0.2, 0.2).is_found


def test_a_loss_that_rose_by_just_the_least_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_shift, "LEAST_LOSS", 0.25)
    assert not shift(0.0, 0.25).is_found


def test_thirty_rows_on_a_side_are_enough_for_a_shift() -> None:
    assert shift(0.0, 1.0, n=30).is_found
    assert not outcome_shift.outcome_shift(surely(0, 29), surely(1, 40), ["a"] * 29, ["a"] * 40).is_found


def test_a_rise_is_judged_by_welch_s_one_sided_test() -> None:
    rng = np.random.default_rng(0)
    p, q = 0.5 + 0.2 * rng.random(40), 0.2 + 0.5 * rng.random(90)  # sizes and variances differ
    was, is_now = (1 - p) ** 2, (1 - q) ** 2
    alpha = float(ttest_ind(is_now, was, equal_var=False, alternative="greater").pvalue)
    for level, is_found in ((alpha, False), (np.nextafter(alpha, 1), True)):
        found = outcome_shift.outcome_shift((p, [1] * 40), (q, [1] * 90), ["a"] * 40, ["a"] * 90, alpha=level)
        assert found.is_found is is_found
    assert is_now.mean() - was.mean() > 0.03
    assert found.reasons == (
        f"the serving head's Brier rose from {was.mean():.3f} on 40 rows to {is_now.mean():.3f} on 90 new ones",
    )


def mixed(before: dict[str, int], now: dict[str, int], **alpha: float) -> OutcomeShift:
    """The shift of outcomes that are so many of each name; the head's loss stays."""
    names = [[name for name, n in side.items() for _ in range(n)] for side in (before, now)]
    return outcome_shift.outcome_shift(surely(0.1, len(names[0])), surely(0.1, len(names[1])), *names, **alpha)


def test_a_mix_that_moved_by_more_than_a_tenth_is_a_shift() -> None:
    # from 500 of 1,000 to 611 or 589 of 1,000: 11.1 and 8.9 points; both far beyond chance at 10,000 rows
    half = {"a": 5000, "b": 5000}
    assert mixed(half, {"a": 6110, "b": 3890}).reasons == (
        "11% of the outcomes moved, most of all a: 50% before, 61% now",
    )
    assert not mixed(half, {"a": 5890, "b": 4110}).is_found


def test_a_mix_that_moved_by_just_the_least_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_shift, "LEAST_SHARE", 0.25)
    assert not mixed({"a": 500, "b": 500}, {"a": 750, "b": 250}).is_found


def test_the_outcome_that_moved_most_is_named() -> None:
    # a: 40 to 30 %, b: 40 to 25 %, c: 20 to 45 %
    found = mixed({"a": 400, "b": 400, "c": 200}, {"a": 300, "b": 250, "c": 450})
    assert found.reasons == ("25% of the outcomes moved, most of all c: 20% before, 45% now",)


def test_a_mix_is_judged_by_a_chi_squared_test() -> None:
    alpha = float(chi2_contingency([[30, 20], [20, 30]]).pvalue)
    assert not mixed({"a": 30, "b": 20}, {"a": 20, "b": 30}, alpha=alpha).is_found
    assert mixed({"a": 30, "b": 20}, {"a": 20, "b": 30}, alpha=np.nextafter(alpha, 1)).is_found


def test_chance_explains_a_shift_down_to_one_in_a_thousand() -> None:
    p_values = [float(chi2_contingency([[60, 40], [n, 100 - n]]).pvalue) for n in (36, 35)]
    assert p_values[0] > 0.001 > p_values[1]
    assert not mixed({"a": 60, "b": 40}, {"a": 36, "b": 64}).is_found
    assert mixed({"a": 60, "b": 40}, {"a": 35, "b": 65}).is_found


def test_a_recalibrator_is_fitted_without_a_fifth_of_tonight_s_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []

    def fit(p: np.ndarray, y: np.ndarray) -> Identity:
        seen.append(p.tolist())
        return Identity()

    monkeypatch.setitem(RECALIBRATORS, Identity().name, fit)
    # the first row is of another night: it has a part in every fit
    p, is_judged = np.arange(11) / 10, np.arange(11) > 0
    choose_candidate({"a": Contender(p, np.arange(11) % 2.0, is_judged, Identity())})
    left_out = [{0.1, 0.6}, {0.2, 0.7}, {0.3, 0.8}, {0.4, 0.9}, {0.5, 1.0}]
    assert [set(p.tolist()) - set(rows) for rows in seen] == left_out
