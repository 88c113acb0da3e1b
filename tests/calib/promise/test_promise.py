"""What is asked is carried out by the right walk, and where it cannot be had the sentence says what can."""

import numpy as np
import pytest
from pydantic import ValidationError

from routecal.calib.decision_errors import GradeUnknown
from routecal.calib.errors import CalibError, InvalidLabel, LengthMismatch, OutOfRange
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT
from routecal.calib.promise.promise import Promise, events_of, promised
from routecal.calib.promise.walks import harm_at_most, keep_at_most, loss_at_most

RNG = np.random.default_rng(0)
NEED = RNG.random(1000)
MEDIUM = (RNG.random(1000) < 1 - 0.4 * NEED).astype(int)
LARGE = np.maximum(MEDIUM, RNG.random(1000) < 0.5)
NEEDS_LARGE = LARGE > MEDIUM


def asked(risk: str, at_most: float = 0.1, probability: float | None = 0.95) -> Promise:
    return Promise.model_validate({"risk": risk, "at_most": at_most, "probability": probability})


@pytest.mark.parametrize(
    ("risk", "same"),
    [
        ("kept", keep_at_most(NEED, NEEDS_LARGE, level=0.1, delta=0.05)),
        ("harm", harm_at_most(NEED, LARGE > MEDIUM, level=0.1, delta=0.05)),
        ("loss", loss_at_most(NEED, MEDIUM - LARGE, level=0.1, delta=0.05)),
    ],
)
def test_each_risk_takes_its_own_walk(risk: str, same: object) -> None:
    found = promised(NEED, NEEDS_LARGE, MEDIUM, LARGE, asked(risk))
    assert found.walk == same
    assert found.walk.n_kept > 100
    assert found.n_at_risk == NEEDS_LARGE.sum()


def test_true_policies_are_enough_for_what_is_kept_and_for_nothing_else() -> None:
    assert promised(NEED, NEEDS_LARGE, None, None, asked("kept")).walk.n_kept > 100
    for risk in ("harm", "loss"):
        with pytest.raises(GradeUnknown, match="1000 of 1000 answers of the medium model have no grade"):
            promised(NEED, NEEDS_LARGE, None, None, asked(risk))
        with pytest.raises(InvalidLabel):
            promised(NEED, NEEDS_LARGE, MEDIUM * 2, LARGE, asked(risk))
        with pytest.raises(LengthMismatch, match="large_right has 2"):
            promised(NEED, NEEDS_LARGE, MEDIUM, [1, 0], asked(risk))


@pytest.mark.parametrize("risk", ["kept", "harm", "loss"])
def test_what_cannot_be_had_comes_with_what_can(risk: str) -> None:
    few = slice(0, 100)
    found = promised(NEED[few], NEEDS_LARGE[few], MEDIUM[few], LARGE[few], asked(risk, 0.02))
    assert found.walk.threshold == NOTHING_KEPT
    assert found.reachable is not None
    looser = promised(NEED[few], NEEDS_LARGE[few], MEDIUM[few], LARGE[few], asked(risk, found.reachable))
    assert looser.is_worthwhile
    assert "cannot be promised from 100 labelled queries" in str(found)
    assert f"{100 * found.reachable:.3g} " in str(found)


@pytest.mark.parametrize("risk", ["kept", "harm", "loss"])
@pytest.mark.parametrize("n", [1, 3, 400])
def test_a_large_model_that_is_never_needed(risk: str, n: int) -> None:
    found = promised(np.zeros(n), np.zeros(n), np.ones(n), np.ones(n), asked(risk, 0.01))
    if n == 400:
        assert (found.walk.threshold, found.walk.kept) == (ALL_KEPT, 1.0)
        assert str(found).endswith("100 % stay on the medium model; none of these queries needed the large model")
    else:
        assert found.walk.threshold == NOTHING_KEPT
        assert found.labels == pytest.approx(300, abs=6)


@pytest.mark.parametrize("risk", ["kept", "harm", "loss"])
def test_a_large_model_that_is_always_needed(risk: str) -> None:
    found = promised(np.zeros(300), np.ones(300), np.zeros(300), np.ones(300), asked(risk))
    assert (found.walk.threshold, found.reachable, found.labels) == (NOTHING_KEPT, None, None)
    assert str(found).endswith("nothing up to 50 % can, and 10 % is out of reach of any number of labels") or (
        risk == "loss" and str(found).endswith("and 10 points is out of reach of any number of labels")
    )


def test_a_share_too_small_to_pay_is_named() -> None:
    events = np.ones(1000, int)
    events[:70] = 0
    found = promised(np.arange(1000), events, 1 - events, np.ones(1000), asked("kept", 0.05))
    assert 59 <= found.walk.n_kept <= 70
    assert found.reachable is not None
    assert f"can be promised from 1,000 labelled queries for {100 * found.walk.kept:.1f} % of the queries only" in str(
        found
    )


def test_on_average_is_never_called_a_promise() -> None:
    for level in (0.1, 0.0005):
        words = str(promised(NEED, NEEDS_LARGE, MEDIUM, LARGE, asked("harm", level, None)))
        assert words.startswith("On average at most")
        assert "promise" not in words
    with pytest.raises(OutOfRange, match="only harm has a bound on average, not loss"):
        promised(NEED, NEEDS_LARGE, MEDIUM, LARGE, asked("loss", 0.1, None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"at_most": 0},
        {"at_most": 1},
        {"at_most": float("nan")},
        {"probability": 0.4},
        {"probability": 1},
        {"risk": "x"},
    ],
)
def test_what_cannot_be_asked_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Promise.model_validate({"risk": "loss", "at_most": 0.1, "probability": 0.95, **wrong})


def test_no_rows_are_refused() -> None:
    for risk in ("kept", "harm", "loss"):
        with pytest.raises(CalibError):
            promised([], [], [], [], asked(risk))


@pytest.mark.parametrize("risk", ["kept", "harm", "loss"])
def test_a_lower_probability_keeps_as_many_as_its_delta_does(risk: str) -> None:
    walk = {"kept": keep_at_most, "harm": harm_at_most, "loss": loss_at_most}[risk]
    events = events_of(NEEDS_LARGE, MEDIUM, LARGE, risk)  # type: ignore[arg-type]
    assert events.dtype == np.int64
    found = promised(NEED, NEEDS_LARGE, MEDIUM, LARGE, asked(risk, probability=0.8))
    assert found.walk == walk(NEED, events, level=0.1, delta=0.2)
    assert found.walk.n_kept > promised(NEED, NEEDS_LARGE, MEDIUM, LARGE, asked(risk)).walk.n_kept


def test_a_tenth_is_worthwhile_and_nothing_else_is_looked_for() -> None:
    need, wrong = np.where(np.arange(1000) < 100, 0.0, np.inf), np.arange(1000) >= 990
    found = promised(need, wrong, 1 - wrong, np.ones(1000), asked("harm"))
    assert (found.walk.kept, found.is_worthwhile, found.n_at_risk) == (0.1, True, 10)
    assert (found.reachable, found.labels) == (None, None)


def test_where_nothing_is_kept_the_rest_is_looked_for_only_if_asked() -> None:
    few = (NEED[:100], NEEDS_LARGE[:100], MEDIUM[:100], LARGE[:100], asked("harm", 0.001))
    found, short = promised(*few), promised(*few, instead=False)
    assert (found.n_at_risk, short.n_at_risk) == (NEEDS_LARGE[:100].sum(),) * 2
    assert found.reachable is not None
    assert (short.walk, short.reachable, short.labels) == (found.walk, None, None)
