"""What is offered where a promise cannot be had can be had."""

from functools import partial

import numpy as np

from routecal.calib.promise import reach
from routecal.calib.promise.walks import Walk, harm_at_most, keep_at_most


def harm(score: np.ndarray, events: np.ndarray, level: float) -> Walk:
    return harm_at_most(score, events, level=level, delta=0.05)


def test_the_smallest_level_keeps_a_tenth_and_the_next_smaller_does_not() -> None:
    events = np.arange(300) % 10 == 0
    level = reach.smallest_level(harm, np.arange(300), events)
    assert level is not None
    assert harm(np.arange(300), events, level).kept >= 0.1
    assert harm(np.arange(300), events, level / 1.11).kept < 0.1


def test_so_many_labels_are_needed_and_a_fifth_fewer_are_too_few() -> None:
    score, events = np.arange(100), np.zeros(100, int)
    n = reach.labels_needed(harm, score, events, 0.01)
    assert n == 300  # P(no harm in n | 1 %) <= .05 from 299 on, in steps of the rows there are


def test_where_the_safest_queries_are_not_safe_no_number_of_labels_helps() -> None:
    walk = partial(_keep, delta=0.05)
    assert reach.labels_needed(walk, np.arange(100), np.arange(100) % 4 == 0, 0.1) is None


def _keep(score: np.ndarray, events: np.ndarray, level: float, *, delta: float) -> Walk:
    return keep_at_most(score, events, level=level, delta=delta)


def from_level(least: float) -> reach.Walker:
    """A walk that keeps exactly a tenth from this level on."""
    return lambda need, events, level: Walk(0.0, 0.1 if level >= least else 0.0, 0, 0)


def from_rows(least: int) -> reach.Walker:
    """A walk that keeps exactly a tenth from so many rows on."""
    return lambda need, events, level: Walk(0.0, 0.1 if np.size(need) >= least else 0.0, 0, 0)


def test_levels_rise_by_a_tenth_from_a_thousandth_to_a_half() -> None:
    """Level i is .001 * 500^(i / 65), to two digits: …, .021, .023, .026, …, .45, .5."""
    for least, level in ((0.0, 0.001), (0.0011, 0.0011), (0.022, 0.023), (0.0231, 0.026), (0.451, 0.5), (0.5, 0.5)):
        assert reach.smallest_level(from_level(least), [0.0], [0]) == level
    assert reach.smallest_level(from_level(0.501), [0.0], [0]) is None


def test_labels_are_counted_in_steps_of_the_rows_up_to_20_000() -> None:
    for rows, least, n in ((1, 1, 1), (1, 7, 7), (10, 61, 70), (1, 20_000, 20_000), (15_000, 15_000, 15_000)):
        assert reach.labels_needed(from_rows(least), np.zeros(rows), np.zeros(rows), 0.1) == n
    for rows, least in ((1, 20_001), (15_000, 15_001), (20_001, 20_002)):
        assert reach.labels_needed(from_rows(least), np.zeros(rows), np.zeros(rows), 0.1) is None
