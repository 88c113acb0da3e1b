"""What cannot be counted is refused, with a sentence that says what to add."""

import pickle

import numpy as np
import pytest

from routecal.calib.decision_errors import GradeUnknown, InvalidCost, PriceUnknown
from routecal.calib.errors import CalibError, InvalidLabel, LengthMismatch, TooFewExamples
from routecal.calib.escalation import Outcomes

ONE = np.ones(1)


def test_silence_is_not_a_right_answer() -> None:
    grades = ["CORRECT", "INCORRECT", "NOT_ATTEMPTED"]
    found = Outcomes.of(grades, grades[::-1], medium_cost=[0.1, 0.2, 0.3], large_cost=2)
    assert found.medium_right.tolist() == [1, 0, 0]
    assert found.large_right.tolist() == [0, 0, 1]
    assert found.medium_cost.tolist() == [0.1, 0.2, 0.3]
    assert found.large_cost.tolist() == [2, 2, 2]
    assert found.where(np.array([False, True, True])).large_right.tolist() == [0, 1]


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_an_unknown_price_is_never_zero(unknown: float | None) -> None:
    with pytest.raises(
        PriceUnknown, match=r"2 of 3 answers of the large model.*large_cost_usd.*--large-price"
    ) as raised:
        Outcomes.of(["CORRECT"] * 3, ["CORRECT"] * 3, medium_cost=1, large_cost=[unknown, 0.0, unknown])
    assert (raised.value.model, raised.value.n_missing, raised.value.n) == ("large", 2, 3)
    with pytest.raises(PriceUnknown, match="medium"):
        Outcomes.of(["CORRECT"], ["CORRECT"], medium_cost=float("nan"), large_cost=1)


def test_a_price_of_zero_is_a_price() -> None:
    assert Outcomes.of(["CORRECT"], ["CORRECT"], medium_cost=0, large_cost=0).large_cost.tolist() == [0]


def test_a_missing_grade_is_no_wrong_answer() -> None:
    with pytest.raises(GradeUnknown, match="1 of 2 answers of the medium model"):
        Outcomes.of(["CORRECT", None], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=2)
    with pytest.raises(ValueError, match="PERHAPS"):
        Outcomes.of(["PERHAPS"], ["CORRECT"], medium_cost=1, large_cost=2)


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ((ONE * 2, ONE, ONE, ONE), InvalidLabel),
        ((ONE * np.nan, ONE, ONE, ONE), InvalidLabel),
        ((ONE, ONE, -ONE, ONE), InvalidCost),
        ((ONE, ONE, ONE, ONE * np.inf), InvalidCost),
        ((ONE, np.ones(2), ONE, ONE), LengthMismatch),
        ((np.ones(0),) * 4, TooFewExamples),
    ],
)
def test_nonsense_is_refused(columns: tuple[np.ndarray, ...], error: type[CalibError]) -> None:
    with pytest.raises(error) as raised:
        Outcomes(*columns)
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)
