"""A guarantee survives JSON to the last bit, and is void as soon as anything that it rests on is another."""

import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from routecal.calib.need import ALL_KEPT, NOTHING_KEPT
from routecal.calib.promise.guarantee import Bound, Guarantee
from routecal.calib.promise.promise import Promise, promised

PARTS = ("head", "router", "template", "needs", "labels", "prices", "policy_map")
BOUND = Bound(**{part: f"{i}" * 64 for i, part in enumerate(PARTS)})
AT = datetime(2026, 11, 29, 21, 5, 7, 123456, tzinfo=timezone(timedelta(hours=2)))


def guarantee(at_most: float = 0.01, probability: float | None = 0.95) -> Guarantee:
    risk = "loss" if probability else "harm"
    asked = Promise.model_validate({"risk": risk, "at_most": at_most, "probability": probability})
    found = promised(np.arange(1540) / 7, np.zeros(1540), np.ones(1540), np.ones(1540), asked)
    walk = found.walk
    return Guarantee(promise=asked, n=found.n, threshold=walk.threshold, kept=walk.kept, bound=BOUND, made_at=AT)


def test_it_says_what_was_promised() -> None:
    made = guarantee()
    assert str(made) == "At most 1 point of quality lost against all-large, with 95 % over the draw of 1,540 labels"
    assert (made.n, made.kept, made.threshold, made.made_at) == (1540, 1.0, ALL_KEPT, AT)
    assert made.made_at.tzinfo is UTC


@given(st.one_of(st.floats(allow_nan=False), st.sampled_from([NOTHING_KEPT, ALL_KEPT, 0.1 + 0.2])))
def test_json_gives_every_threshold_back(threshold: float) -> None:
    made = guarantee().model_copy(update={"threshold": threshold})
    text = made.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert Guarantee.model_validate_json(text) == made


def test_what_is_not_a_guarantee_is_refused() -> None:
    good = guarantee().model_dump()
    for wrong in ({"threshold": float("nan")}, {"n": 0}, {"kept": 1.1}, {"surprise": 1}):
        with pytest.raises(ValidationError):
            Guarantee.model_validate({**good, **wrong})
    with pytest.raises(ValidationError):
        BOUND.model_validate({**BOUND.model_dump(), "head": "not a hash"})
    with pytest.raises(ValidationError, match="a bound on average is no guarantee"):
        guarantee(probability=None)


@pytest.mark.parametrize("part", PARTS)
def test_it_is_void_when_a_part_is_another(part: str) -> None:
    why = guarantee().void_because(BOUND.model_copy(update={part: "f" * 64}))
    assert why is not None
    names = {"template": "prompt template", "needs": "needs of the labelled queries", "policy_map": "policy map"}
    assert names.get(part, part) in why
    assert f"(sha256 ffffffffffff instead of {getattr(BOUND, part)[:12]})" in why
    assert ("are others" if part in ("needs", "labels", "prices") else "is another one") in why


def test_it_holds_until_an_alarm() -> None:
    assert guarantee().void_because(BOUND) is None
    assert guarantee().void_because(BOUND, alarm="the errors doubled") == "no guarantee: the errors doubled"


def test_a_guarantee_of_one_row_that_keeps_nothing_can_be_read() -> None:
    made = Guarantee.model_validate({**guarantee().model_dump(), "n": 1, "kept": 0.0, "threshold": NOTHING_KEPT})
    assert str(made).endswith("over the draw of 1 label")


def test_hashes_of_what_it_does_not_rest_on_are_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        Bound.model_validate({**BOUND.model_dump(), "surprise": "a" * 64})
