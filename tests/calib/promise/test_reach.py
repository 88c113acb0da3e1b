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
