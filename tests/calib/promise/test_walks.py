"""Walks go as far as their docstrings say, refuse what they cannot read, and break no more promises than delta."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from routecal.calib.errors import LengthMismatch, NonFinite, OutOfRange, TooFewExamples
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT
from routecal.calib.promise.exact_margin import passes
from routecal.calib.promise.walks import (
    Walk,
    harm_at_most,
    harm_on_average,
    keep_at_most,
    loss_at_most,
)

Walker = Callable[..., Walk]
WALKS: list[Walker] = [keep_at_most, harm_at_most, loss_at_most]


def test_harm_ends_at_the_first_harm_too_many() -> None:
    # P(at most 4 of 200 | 5 %) = .026, P(at most 5) = .062
    assert binom.cdf(4, 200, 0.05) <= 0.05 < binom.cdf(5, 200, 0.05)
    harm = np.zeros(200, int)
    harm[[10, 60, 61, 62, 90, 120]] = 1
    found = harm_at_most(np.arange(200), harm, level=0.05, delta=0.05)
    assert (found.n_kept, found.events, found.kept) == (90, 4, 0.45)
    assert 89 < found.threshold < 90


def test_the_risk_of_the_kept_is_first_asked_where_it_could_pass() -> None:
    # ceil(log .05 / log .9) = 29 rows without an error show 10 %; 28 do not
    assert keep_at_most(np.arange(28), np.zeros(28), level=0.1, delta=0.05).threshold == NOTHING_KEPT
    assert keep_at_most(np.arange(40), np.zeros(40), level=0.05, delta=0.05).threshold == NOTHING_KEPT
    assert keep_at_most(np.arange(59), np.zeros(59), level=0.05, delta=0.05).n_kept == 59


def test_several_starts_pass_a_bad_strict_end_and_share_delta() -> None:
    wrong = np.zeros(1000, int)
    wrong[:60:2] = 1  # the strictest 60 are wrong every other time
    loose = keep_at_most(np.arange(1000), wrong, level=0.2, delta=0.05)
    strict = keep_at_most(np.arange(1000), wrong, level=0.05, delta=0.05)
    assert (loose.kept, strict.threshold) == (1.0, NOTHING_KEPT)


def test_losses_stop_a_walk_that_later_gains_would_have_saved() -> None:
    difference = np.zeros(2000, int)
    difference[300:400] = -1
    difference[1000:1400] = 1
    found = loss_at_most(np.arange(2000), difference, level=0.01, delta=0.05)
    assert 300 <= found.n_kept < 330


def test_a_better_medium_model_keeps_all() -> None:
    found = loss_at_most(np.arange(300), np.ones(300, int), level=0.01, delta=0.05)
    assert (found.kept, found.threshold, found.events) == (1.0, ALL_KEPT, -300)


@pytest.mark.parametrize("walk", WALKS)
def test_rows_of_one_score_are_kept_together_or_not_at_all(walk: Walker) -> None:
    score = np.repeat([0.0, 1.0], 500)
    bad = np.zeros(1000, int)
    bad[500:] = np.tile([1, 0, 0, 0, 0], 100)
    found = walk(score, -bad if walk is loss_at_most else bad, level=0.05, delta=0.05)
    assert found.n_kept == 500


@pytest.mark.parametrize("walk", WALKS)
def test_a_need_of_infinity_is_never_kept(walk: Walker) -> None:
    need, events = np.where(np.arange(900) < 600, np.arange(900) % 7, np.inf), np.zeros(900, int)
    found = walk(need, events, level=0.05, delta=0.05)
    assert (found.threshold, found.n_kept, found.kept) == (ALL_KEPT, 600, 600 / 900)
    assert np.inf > found.threshold
    assert walk(np.full(900, np.inf), events, level=0.05, delta=0.05) == Walk(NOTHING_KEPT, 0.0, 0, 0)


def test_on_average_is_looser_than_with_probability() -> None:
    need, harm = np.arange(1000), np.arange(1000) % 10 == 0
    mean = harm_on_average(need, harm, level=0.05)
    # (49 + 1) / 1,001 is at most .05, one more is not
    assert (mean.events, mean.n_kept) == (49, 490)
    assert harm_at_most(need, harm, level=0.05, delta=0.05).n_kept < 400


@pytest.mark.parametrize("walk", WALKS)
def test_what_cannot_be_read_is_refused(walk: Walker) -> None:
    ok = {"level": 0.1, "delta": 0.05}
    with pytest.raises(TooFewExamples):
        walk([], [], **ok)
    with pytest.raises(LengthMismatch):
        walk([0.1, 0.2], [0], **ok)
    for unknown in (np.nan, -np.inf):
        with pytest.raises(NonFinite, match=r"need .* 1 of 2 rows \(first: 1\)"):
            walk([0.1, unknown], [0, 0], **ok)
    for name, value in (("level", 0.0), ("level", 1.0), ("delta", 0.0), ("delta", 0.6)):
        with pytest.raises(OutOfRange, match=name):
            walk([0.1], [0], **{**ok, name: value})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=400), st.sampled_from(WALKS))
def test_the_order_of_rows_and_a_monotone_change_of_the_score_keep_the_same_rows(
    rows: list[tuple[int, int]], walk: Walker
) -> None:
    score, bad = (np.array(column) for column in zip(*rows, strict=True))
    events = -bad if walk is loss_at_most else bad
    first: Walk = walk(score, events, level=0.1, delta=0.1)
    other: Walk = walk(np.exp(score[::-1] / 4.0), events[::-1], level=0.1, delta=0.1)
    assert (first.n_kept, first.events) == (other.n_kept, other.events)


@pytest.mark.parametrize("risk", ["harm", "loss"])
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(-1, 1)), min_size=1, max_size=300),
    st.sampled_from([0.05, 0.1, 0.3]),
)
def test_a_walk_ends_right_before_the_first_threshold_that_fails(
    risk: str, rows: list[tuple[int, int]], level: float
) -> None:
    need, value = (np.array(column) for column in zip(*rows, strict=True))
    n, harm, won = len(rows), (value < 0).astype(int), (value > 0).astype(int)

    def fails(kept: np.ndarray) -> bool:
        if risk == "harm":
            return bool(binom.cdf(harm[kept].sum(), n, level) > 0.1)
        return not passes(won[kept].sum(), harm[kept].sum(), n, margin=level, delta=0.1)

    n_kept = 0
    for t in [-1, *np.unique(need)]:
        if fails(need <= t):
            break
        n_kept = int((need <= t).sum())
    walk, events = (harm_at_most, harm) if risk == "harm" else (loss_at_most, value)
    assert walk(need, events, level=level, delta=0.1).n_kept == n_kept


@pytest.mark.parametrize("walk", WALKS)
def test_a_promise_is_broken_no_more_often_than_delta(walk: Walker) -> None:
    """Kept queries are worse the looser the threshold, and the truth is known: 400 draws of 300 rows."""
    rng, level, broken = np.random.default_rng(0), 0.1, 0
    for _ in range(400):
        score = rng.random(300)
        bad = rng.random(300) < 0.3 * score  # among the kept up to t: .15 t; per query: .15 t²
        found = walk(score, -bad.astype(int) if walk is loss_at_most else bad, level=level, delta=0.05)
        t = min(max(found.threshold, 0.0), 1.0)
        broken += (0.15 * t if walk is keep_at_most else 0.15 * t * t) > level
    assert broken / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_the_start_that_leads_furthest_counts() -> None:
    wrong = np.zeros(1000, int)
    wrong[100:140] = 1  # too many of 140, few enough of 340
    assert keep_at_most(np.arange(1000), wrong, level=0.2, delta=0.05).n_kept == 1000


def test_the_first_threshold_keeps_a_fiftieth() -> None:
    assert keep_at_most(np.arange(1000), np.arange(1000) >= 20, level=0.5, delta=0.05).n_kept == 20


def test_of_three_starts_each_passes_at_a_third_of_delta() -> None:
    """One threshold keeps all rows: ten wrong of 60 to 120 pass 20 % from a certain number on."""
    for n in range(60, 121):
        found = keep_at_most(np.zeros(n), np.arange(n) < 10, level=0.2, delta=0.05)
        assert (found.n_kept > 0) == (binom.cdf(10, n, 0.2) <= 0.05 / 3)


def test_a_probability_of_delta_itself_passes() -> None:
    wrong = np.arange(100) < 1
    delta = float(binom.cdf(1, 100, 0.05))
    for walk in (keep_at_most, harm_at_most):
        assert walk(np.zeros(100), wrong, level=0.05, delta=delta).n_kept == 100
        assert walk(np.zeros(100), wrong, level=0.05, delta=np.nextafter(delta, 0)).n_kept == 0


@pytest.mark.parametrize(("n", "n_kept"), [(98, 39), (99, 49)])
def test_on_average_one_harm_more_than_there_are_is_counted(n: int, n_kept: int) -> None:
    # every tenth query is harmed; (4 + 1) / 99 is above .05, (4 + 1) / 100 is not
    assert harm_on_average(np.arange(n), np.arange(n) % 10 == 9, level=0.05).n_kept == n_kept


def test_gains_do_not_make_up_for_too_few_rows() -> None:
    # sqrt(n m / (1 - m)) = 1.589 of 250 rows without a loss is below 1.645: the walk ends where it starts
    assert loss_at_most(np.arange(250), np.ones(250), level=0.01, delta=0.05) == Walk(NOTHING_KEPT, 0.0, 0, 0)


def test_between_two_neighbouring_numbers_the_lower_one_is_kept() -> None:
    need = np.repeat([1.0, np.nextafter(1.0, 2.0)], 300)
    found = harm_at_most(need, need > 1.0, level=0.05, delta=0.05)
    assert (found.threshold, found.n_kept) == (1.0, 300)
