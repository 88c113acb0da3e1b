"""The judge's accuracy and kappa by hand, against scikit-learn, and over labels whose truth is known."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from routecal.calib.policy import Grade
from routecal.tasks.oracle.audit.audit_errors import (
    AuditIdTwice,
    AuditIdUnknown,
    HumanGradeUnknown,
    KindUngraded,
    TooFewGraded,
)
from routecal.tasks.oracle.audit.audit_sample import AuditRow, draw_sample, graded_answers
from routecal.tasks.oracle.audit.judge_accuracy import accuracy_of, cohen_kappa, score_judge
from tests.tasks.oracle.audited import C, W, label, tables


def made(n: int, *, error: float, seed: int) -> tuple[pa.Table, pa.Table, dict[str, Grade]]:
    """(labels, queries, audit_id -> what people would say): the judge errs with that probability."""
    rng = np.random.default_rng(seed)
    grades = [[list(Grade)[rng.choice(3, p=p)] for p in ([0.6, 0.3, 0.1], [0.85, 0.1, 0.05])] for _ in range(n)]
    labels, queries = tables([label(i, *pair) for i, pair in enumerate(grades)])
    truth = {}
    for graded in graded_answers(labels):
        others = [grade for grade in Grade if grade != graded.stratum[1]]
        truth[graded.audit_id] = others[rng.integers(2)] if rng.random() < error else graded.stratum[1]
    return labels, queries, truth


def filled(rows: list[AuditRow], truth: dict[str, Grade]) -> list[AuditRow]:
    return [row._replace(human_grade=truth[row.audit_id].value) for row in rows]


def test_by_hand() -> None:
    # medium: 8 C and 4 W; large: 12 C
    labels, queries = tables([label(i, C if i < 8 else W, C) for i in range(12)])
    by_kind: dict[object, list[AuditRow]] = {}
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    for row in sorted(draw_sample(labels, queries, 24, seed=0)):
        by_kind.setdefault(kinds[row.audit_id], []).append(row)
    # people grade four of each kind; one medium C and one medium W they see otherwise
    human = {("medium", C): "CCCI", ("medium", W): "IIIN", ("large", C): "CCCC"}
    sheet = [
        row._replace(human_grade=g) for kind, gs in human.items() for row, g in zip(by_kind[kind], gs, strict=False)
    ]
    blank = by_kind["large", C][4:]
    found = score_judge(sheet + blank, labels)
    assert (found.n_graded, found.n_blank, found.n_answers) == (12, 8, 24)
    assert found.counted == ((7, 1, 0), (0, 3, 1), (0, 0, 0))
    # a row of medium C stands for 8/4 = 2 answers, of medium W for 1, of large C for 12/4 = 3
    assert found.confusion == ((3 * 2 + 4 * 3, 2, 0), (0, 3, 1), (0, 0, 0))
    assert found.accuracy.value == pytest.approx(21 / 24)
    assert found.by_role["medium"].value == pytest.approx(9 / 12)
    assert found.by_role["large"].value == 1
    # chance: (20 * 18 + 4 * 5 + 0 * 1) / 24^2 = 380 / 576
    assert found.kappa.value == pytest.approx((21 / 24 - 380 / 576) / (1 - 380 / 576))
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed: int) -> None:
    labels, queries, truth = made(300, error=0.2, seed=seed)
    sheet = filled(draw_sample(labels, queries, 120, seed=seed), truth)
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    sizes = {kind: list(kinds.values()).count(kind) for kind in set(kinds.values())}
    seen = [kinds[row.audit_id] for row in sheet]
    weights = [sizes[kind] / seen.count(kind) for kind in seen]
    judge, human = [kind[1].value for kind in seen], [row.human_grade for row in sheet]
    found = score_judge(sheet, labels)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(judge, human, sample_weight=weights), abs=1e-12)
    assert found.accuracy.value == pytest.approx(accuracy_score(judge, human, sample_weight=weights), abs=1e-12)
    assert sum(map(sum, found.confusion)) == pytest.approx(600)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    labels, queries, truth = made(1000, error=0.15, seed=7)
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    real = np.mean([truth[audit_id] == kind[1] for audit_id, kind in kinds.items()])
    estimates = [
        score_judge(filled(draw_sample(labels, queries, 200, seed=s), truth), labels).accuracy for s in range(40)
    ]
    # weighting back leaves no bias: the mean of 40 lies within three of its standard errors
    values = np.array([e.value for e in estimates])
    assert abs(values.mean() - real) < 3 * values.std() / np.sqrt(40)
    # 95 % of 40 are 38; 33 or fewer would happen once in 100 times
    assert sum(e.low <= real <= e.high for e in estimates) >= 34


def test_an_unweighted_share_would_be_wrong() -> None:
    """The judge errs only where grades are rare, and these are drawn more often than they occur."""
    labels, queries = tables([label(i, W if i < 20 else C, C) for i in range(400)])
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    sheet = [
        row._replace(human_grade="C" if kinds[row.audit_id] == ("medium", W) else kinds[row.audit_id][1].value)
        for row in draw_sample(labels, queries, 60, seed=0)
    ]
    found = score_judge(sheet, labels)
    assert found.accuracy.value == pytest.approx(780 / 800)
    assert np.trace(found.counted) / found.n_graded < 0.9


def test_rows_have_no_order_and_a_level_has_a_width() -> None:
    labels, queries, truth = made(100, error=0.3, seed=1)
    sheet = filled(draw_sample(labels, queries, 60, seed=1), truth)
    assert score_judge(sheet, labels) == score_judge(sheet[::-1], labels)
    wide, narrow = (score_judge(sheet, labels, level=level).accuracy for level in (0.99, 0.5))
    assert wide.low < narrow.low <= narrow.value <= narrow.high < wide.high


def test_kappa_of_one_grade_alone_is_undefined() -> None:
    labels, queries = tables([label(i, C, C) for i in range(20)])
    sheet = [row._replace(human_grade="C") for row in draw_sample(labels, queries, 20, seed=0)]
    found = score_judge(sheet, labels)
    assert (found.accuracy.value, found.kappa) == (1, None)
    assert np.isnan(cohen_kappa(np.diag([5.0, 0, 0])))
    assert accuracy_of(np.eye(3)) == cohen_kappa(np.eye(3)) == 1


@pytest.mark.parametrize(
    "spelled",
    ["C", "c", " correct ", "Correct", "I", "incorrect", "N", "not attempted", "Not-Attempted", "NOT_ATTEMPTED"],
)
def test_grades_as_people_write_them(spelled: str) -> None:
    labels, queries = tables([label(i, C, C) for i in range(20)])
    first, *rest = draw_sample(labels, queries, 20, seed=0)
    found = score_judge([first._replace(human_grade=spelled), *(row._replace(human_grade="C") for row in rest)], labels)
    column = "CIN".index(spelled.strip()[0].upper())
    assert found.counted[0][column] == (20 if column == 0 else 1)


def sheet_of(n: int) -> tuple[list[AuditRow], pa.Table]:
    labels, queries = tables([label(i, C, W if i < 5 else C) for i in range(20)])
    kinds = {graded.audit_id: graded.stratum for graded in graded_answers(labels)}
    rows = sorted(draw_sample(labels, queries, 40, seed=0), key=lambda row: (kinds[row.audit_id] != ("large", W), row))
    return [row._replace(human_grade=kinds[row.audit_id][1].value) for row in rows[:n]], labels


def test_refusals() -> None:
    sheet, labels = sheet_of(40)
    with pytest.raises(HumanGradeUnknown, match=r"2 rows have a human_grade that is not a grade .first: 'maybe'"):
        score_judge([sheet[0]._replace(human_grade="maybe"), sheet[1]._replace(human_grade="CC"), *sheet[2:]], labels)
    with pytest.raises(AuditIdUnknown, match=r"1 rows are of no answer in these labels .first: audit_id 'a0'"):
        score_judge([sheet[0]._replace(audit_id="a0"), *sheet[1:]], labels)
    with pytest.raises(AuditIdTwice, match="occurs twice"):
        score_judge([*sheet, sheet[0]], labels)
    few = [row._replace(human_grade=" ") for row in sheet[9:]]
    with pytest.raises(TooFewGraded, match="graded 9 rows"):
        score_judge(sheet[:9] + few, labels)
    with pytest.raises(KindUngraded, match="the 5 answers of the large model that the judge found INCORRECT"):
        score_judge(sheet[5:], labels)
    # an answer that has changed since is another answer
    other, _ = tables([label(i, C, W if i < 5 else C, medium_answer="new") for i in range(20)])
    with pytest.raises(AuditIdUnknown):
        score_judge(sheet, other)
