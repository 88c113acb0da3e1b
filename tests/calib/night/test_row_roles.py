"""Whole nights, the newest first: as many as memory holds, as few as a window needs."""

from collections.abc import Iterator

import pytest

from routecal.calib.night.head_health import Health
from routecal.calib.night.query_drift import Drift
from routecal.calib.night.row_roles import DRIFTED_WINDOW, judged_on, may_teach, memory, missing, window


@pytest.mark.parametrize(("at_most", "nights"), [(99, 1), (100, 1), (299, 1), (300, 2), (599, 2), (600, 3), (9999, 3)])
def test_memory_is_the_newest_nights_that_fit_and_always_the_newest_one(at_most: int, nights: int) -> None:
    assert memory([100, 200, 300], at_most=at_most) == nights


def test_memory_ends_at_the_first_night_that_does_not_fit() -> None:
    assert memory([100, 500, 1], at_most=200) == 1


@pytest.mark.parametrize(("at_least", "nights"), [(1, 1), (30, 1), (31, 2), (90, 2), (91, 3), (9999, 3)])
def test_a_window_is_as_few_of_the_newest_nights_as_have_the_rows_or_all(at_least: int, nights: int) -> None:
    assert window([30, 60, 90], at_least=at_least) == nights


def test_a_window_reads_no_older_night_than_it_needs() -> None:
    read = []

    def sizes() -> Iterator[int]:
        for rows in (50, 60, 70):
            read.append(rows)
            yield rows

    assert window(sizes(), at_least=100) == 2
    assert read == [50, 60]


def test_heads_are_judged_on_few_rows_where_queries_drifted_and_on_all_that_were_asked_for_else() -> None:
    drift = Drift(column="confidence", statistic=0.4, p_value=1e-9, is_found=True, n_before=500, n_now=500)
    drifted, well = Health(n=500, drift=drift), Health(n=500)
    assert DRIFTED_WINDOW == 200
    assert [judged_on(1000, health) for health in (drifted, well, None)] == [200, 1000, 1000]
    assert judged_on(150, drifted) == 150


def test_no_nights_are_no_rows() -> None:
    assert memory([], at_most=100) == window([], at_least=100) == 0


def test_what_is_missing_is_told_in_rows_and_in_queries() -> None:
    """16 rows are missing, three of ten queries are held out: 53.3 queries, rounded up to tens."""
    assert missing(84, held_out_frac=0.3) == (
        "84 of the 100 held-out rows that a decision takes are labelled; about 60 more queries have to be"
    )
    assert missing(97, held_out_frac=0.3) is not None
    assert "about 10 more" in str(missing(97, held_out_frac=0.3))
    assert "about 20 more" in str(missing(96, held_out_frac=0.3))
    assert "about 340 more" in str(missing(0, held_out_frac=0.3))


def test_nothing_is_missing_from_the_least_number_on() -> None:
    assert missing(99, held_out_frac=0.3) is not None
    assert missing(100, held_out_frac=0.3) is None
    assert missing(100, held_out_frac=0.3, needed=101) is not None


@pytest.mark.parametrize(
    ("is_doubted", "is_accepted", "teaches"),
    [(False, False, True), (False, True, True), (True, False, False), (True, True, True)],
)
def test_doubted_rows_teach_only_where_a_person_settled_the_doubt(
    is_doubted: bool, is_accepted: bool, teaches: bool
) -> None:
    assert may_teach(is_doubted=is_doubted, is_accepted=is_accepted) is teaches
