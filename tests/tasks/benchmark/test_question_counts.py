"""Resamples of questions: one for all divisions, of as many rows as each has, alike in sets that share them."""

import numpy as np

from routecal.calib.comparison import paired_counts
from routecal.tasks.benchmark.question_counts import counts_by_division, seed_of
from tests.tasks.benchmark.test_results import store_rows

IDS = [f"q{i:03}" for i in range(90)]
TESTED = [IDS[:50], IDS[30:80]]


def counts(tested: list[list[str]], *, target: str = "a", relatives: int = 1) -> list[np.ndarray]:
    rows = [store_rows(IDS, tested=own) for own in tested]
    found = counts_by_division(tested, target, "a", [rows] * relatives)
    return [np.concatenate(chunks) for chunks in found]


def test_every_division_keeps_its_number_of_rows_and_a_shared_query_its_draws() -> None:
    first, second = counts(TESTED)
    assert first.shape == second.shape == (1000, 50)
    assert (first.sum(axis=1) == 50).all()
    assert (second.sum(axis=1) == 50).all()
    assert np.array_equal(first[:, 30:], second[:, :20])
    assert not np.array_equal(first[:, :20], second[:, :20])
    assert abs(first.var() - 1) < 0.1


def test_one_division_has_the_resamples_of_before_there_were_divisions() -> None:
    (found,) = counts(TESTED[:1])
    empty = np.empty(0, np.int64)
    before = paired_counts([(np.arange(50), seed_of("a")), (empty, seed_of("a"))])
    assert np.array_equal(found, np.concatenate(list(before)))


def test_sets_of_a_family_draw_what_they_share_alike() -> None:
    own, other = counts(TESTED, relatives=2), counts(TESTED, target="b", relatives=2)
    assert all(np.array_equal(a, b) for a, b in zip(own, other, strict=True))
    rows, elsewhere = ([store_rows(IDS, tested=one) for one in tested] for tested in (TESTED, [IDS[:10], IDS[:10]]))
    mine, theirs = (
        [np.concatenate(c) for c in counts_by_division(TESTED, target, "a", [rows, elsewhere])] for target in "ab"
    )
    assert np.array_equal(mine[0][:, :10], theirs[0][:, :10])
    assert not np.array_equal(mine[0][:, 10:], theirs[0][:, 10:])
