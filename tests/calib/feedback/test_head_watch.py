"""Alarms against a serving head come where it is wrong, and hardly ever where it is not."""

from itertools import product

import numpy as np
import pytest

from routecal.calib.feedback.head_watch import MARGIN, UNLIKE, Graded, HeadWatch
from routecal.calib.promise.asked import Promise
from routecal.calib.settings import Risk


def keys(watch: HeadWatch) -> list[str]:
    return [HeadWatch.key(finding) for finding in watch.findings()]


def test_a_calibrated_head_has_no_alarm_in_ten_thousand_grades_whoever_chooses_them() -> None:
    rng, watch = np.random.default_rng(0), HeadWatch.of(None)
    said = rng.beta(4, 2, 30_000)
    # People grade what looks wrong: they choose by what the head said, not by what came out.
    said = said[rng.random(len(said)) < 1 - said]
    for p in said[:10_000]:
        watch = watch.after(Graded(is_kept=True, said=float(p), medium=float(rng.random() < p)))
    assert watch.of_medium.n > 9_000
    assert keys(watch) == []


@pytest.mark.parametrize("worse", [0.1, 0.3])
def test_a_medium_model_that_got_worse_is_seen(worse: float) -> None:
    rng, watch, seen = np.random.default_rng(1), HeadWatch.of(None), []
    for i in range(3_000):
        p = float(rng.beta(4, 2))
        right = rng.random() < max(p - worse * (i >= 500), 0)
        watch = watch.after(Graded(is_kept=True, said=p, medium=float(right)))
        if keys(watch):
            seen.append(i)
            break
    assert len(seen) == 1
    assert 500 < seen[0] < 500 + 60 / worse**2
    assert "the medium model is wrong more often than the head says" in next(watch.findings())


def test_only_kept_decisions_by_the_rule_of_which_both_answers_are_graded_speak_of_the_promise() -> None:
    watch = HeadWatch.of(Promise(risk="harm", at_most=0.05))
    for is_kept, is_ruled, medium, large in product((False, True), (False, True), (0.0, None), (1.0, None)):
        if is_kept and is_ruled and medium is not None and large is not None:
            continue
        watch = watch.after(Graded(is_kept, medium=medium, large=large, needs_large=True, is_ruled=is_ruled))
    assert watch.of_promise is not None
    assert watch.of_promise.n == 0
    watch = watch.after(Graded(True, medium=0.0, large=1.0, needs_large=True))
    assert watch.of_promise is not None
    assert (watch.of_promise.n, watch.lost) == (1, 1.0)


@pytest.mark.parametrize(
    ("risk", "row", "loss"),
    [
        ("kept", Graded(True, medium=0.0, large=0.0, needs_large=True), 1.0),
        ("kept", Graded(True, medium=0.0, large=1.0, needs_large=False), 0.0),
        ("harm", Graded(True, medium=0.0, large=1.0, needs_large=True), 1.0),
        ("harm", Graded(True, medium=0.0, large=0.0, needs_large=True), 0.0),
        ("harm", Graded(True, medium=1.0, large=1.0, needs_large=False), 0.0),
        ("loss", Graded(True, medium=0.0, large=1.0), 1.0),
        ("loss", Graded(True, medium=1.0, large=0.0), -1.0),
        ("loss", Graded(True, medium=0.25, large=0.75), 0.5),
    ],
)
def test_what_each_promise_counts(risk: Risk, row: Graded, loss: float) -> None:
    assert HeadWatch.of(Promise(risk=risk, at_most=0.1)).after(row).lost == loss


@pytest.mark.parametrize("risk", ["harm", "loss"])
def test_a_promise_per_query_is_watched_per_kept_query(risk: Risk) -> None:
    # 4 % per query of which 40 % are kept: 10 % of the kept ones may be lost.
    rng = np.random.default_rng(2)
    for lost, is_alarmed in ((0.08, False), (0.25, True)):
        watch = HeadWatch.of(Promise(risk=risk, at_most=0.04))
        for _ in range(2_000):
            hit = float(rng.random() < lost)
            watch = watch.after(Graded(True, medium=1 - hit, large=1.0, needs_large=bool(hit)), kept_share=0.4)
        assert bool(keys(watch)) == is_alarmed
        assert watch.of_promise is not None
        assert watch.of_promise.level == pytest.approx(0.1)


def test_a_share_of_kept_queries_near_none_is_no_level_above_one() -> None:
    watch = HeadWatch.of(Promise(risk="harm", at_most=0.05)).after(Graded(True, medium=0.0, large=1.0), kept_share=0.0)
    assert watch.of_promise is not None
    assert watch.of_promise.level == 0.999


def test_other_queries_are_seen_and_a_few_unlike_ones_are_none() -> None:
    rng, watch = np.random.default_rng(3), HeadWatch.of(None)
    for _ in range(20_000):
        watch = watch.after_query(bool(rng.random() < UNLIKE / 3))
    assert keys(watch) == []
    for _ in range(400):
        watch = watch.after_query(bool(rng.random() < 0.3))
    assert keys(watch) == ["queries are other ones"]


def test_false_alarms_at_the_very_margin_are_as_rare_as_they_say() -> None:
    rng, alarmed = np.random.default_rng(4), 0
    for _ in range(200):
        watch = HeadWatch.of(None)
        for p in rng.uniform(0.3, 0.9, 300):
            watch = watch.after(Graded(True, said=float(p), medium=float(rng.random() < p - MARGIN)))
        alarmed += watch.of_medium.broken_after is not None
    # At most .025, which five standard errors exceed by .055.
    assert alarmed / 200 <= 0.025 + 5 * (0.025 * 0.975 / 200) ** 0.5
