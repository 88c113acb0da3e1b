"""Who is drawn for an audit, and that the sheet tells nobody whose answer it is."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.calib.policy import Grade
from routecal.tasks.oracle.audit.audit_errors import NothingToAudit, QueryUnknown, SampleTooSmall
from routecal.tasks.oracle.audit.audit_sample import AuditRow, allocate, draw_sample, graded_answers
from tests.tasks.oracle.audited import C, N, W, label, tables


def many() -> list[dict[str, Any]]:
    """400 labels: medium 300 C, 96 W, 4 N; large 390 C, 10 W."""
    return [label(i, C if i < 300 else W if i < 396 else N, C if i < 390 else W) for i in range(400)]


def test_rare_kinds_are_drawn_too() -> None:
    labels, queries = tables(many())
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    drawn = draw_sample(labels, queries, 100, seed=0)
    found = Counter(kinds[row.audit_id] for row in drawn)
    assert (len(drawn), len({row.audit_id for row in drawn})) == (100, 100)
    # an even share is 100 / (2 * 5) = 10, of N there are only 4; the other 56 go by what is left: 290, 86, 380 of 756
    # are 21.48, 6.37 and 28.15, and the largest remainder gets the one that is over
    assert found == {
        ("medium", C): 10 + 22,
        ("medium", W): 10 + 6,
        ("medium", N): 4,
        ("large", C): 10 + 28,
        ("large", W): 10,
    }


def test_the_sheet_is_blind() -> None:
    labels, queries = tables(many())
    drawn = draw_sample(labels, queries, 60, seed=1)
    assert AuditRow._fields == ("audit_id", "query", "reference", "answer", "human_grade")
    assert {row.human_grade for row in drawn} == {""}
    text = "\n".join(" ".join(row) for row in drawn)
    assert not [word for word in ("alpha", "beta", "zeta", "medium", "large", *Grade) if word in text]
    # nor does the order tell: the kinds are mixed
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    order = [kinds[row.audit_id] for row in drawn]
    assert order != sorted(order)
    assert sum(a != b for a, b in pairwise(order)) > 20


def test_a_row_shows_question_reference_and_aliases() -> None:
    labels, queries = tables([label(0, C, W)])
    rows = {row.answer: row for row in draw_sample(labels, queries, 2, seed=0)}
    assert rows["answer 0 one"][1:4] == ("Question q0?", "Lima | City of Kings", "answer 0 one")
    assert all(row.audit_id[0] == "a" and len(row.audit_id) == 16 for row in rows.values())


def test_the_seed_decides_and_the_order_of_the_rows_does_not() -> None:
    labels, queries = tables(many())
    drawn = draw_sample(labels, queries, 50, seed=3)
    assert draw_sample(labels.take(list(range(399, -1, -1))), queries, 50, seed=3) == drawn
    assert draw_sample(labels, queries, 50, seed=4) != drawn


def test_no_more_is_drawn_than_there_is() -> None:
    labels, queries = tables([label(i, C, W) for i in range(3)])
    assert len(draw_sample(labels, queries, 200, seed=0)) == 6
    with pytest.raises(SampleTooSmall, match="1 rows cannot hold one of each of the 2 kinds"):
        draw_sample(labels, queries, 1, seed=0)


def test_only_answers_that_people_can_read_and_judges_graded() -> None:
    rows = [
        label(0, N, C, medium_answer=None),
        label(1, N, C, medium_answer=" \n"),
        label(2, None, C),
        label(3, C, C),
        label(3, C, C),
    ]
    found = list(graded_answers(tables(rows)[0]))
    assert sorted((g.query_id, g.stratum[0]) for g in found) == [
        ("q0", "large"),
        ("q1", "large"),
        ("q2", "large"),
        ("q3", "large"),
        ("q3", "medium"),
    ]
    none = tables([label(0, None, None), label(1, C, C, medium_answer=None, large_answer=None)])
    with pytest.raises(NothingToAudit, match="none of the 2 labels"):
        draw_sample(*none, 10, seed=0)


def test_labels_of_other_queries() -> None:
    labels, queries = tables(many())
    with pytest.raises(QueryUnknown, match="the queries that were labelled"):
        draw_sample(labels, queries.slice(0, 1), 50, seed=0)


SIZES = st.dictionaries(
    st.tuples(st.sampled_from(["medium", "large"]), st.sampled_from(Grade)), st.integers(1, 5_000), min_size=1
)


@given(sizes=SIZES, more=st.integers(0, 9_000))
def test_shares_add_up_and_fit(sizes: dict[tuple[str, Grade], int], more: int) -> None:
    n = len(sizes) + more
    share = allocate(sizes, n)
    assert sum(share.values()) == min(n, sum(sizes.values()))
    assert all(1 <= share[kind] <= size for kind, size in sizes.items())
    assert all(share[kind] >= min(size, n // (2 * len(sizes))) for kind, size in sizes.items())
