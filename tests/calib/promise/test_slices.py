"""Slices share delta, are chosen by size alone, and what is not covered is said."""

import numpy as np
import pytest

from routecal.calib.errors import LengthMismatch, OutOfRange
from routecal.calib.promise.promise import Promise
from routecal.calib.promise.slices import promised_slices
from routecal.calib.promise.walks import harm_at_most, loss_at_most

ASKED = Promise(risk="harm", at_most=0.05, probability=0.95)
TOPIC = np.repeat(["law", "art", "tax"], [400, 300, 60])
NEED = np.random.default_rng(1).random(760)
HARM = (np.random.default_rng(2).random(760) < NEED / 4).astype(int)


def slices(topic: np.ndarray = TOPIC, harm: np.ndarray = HARM, asked: Promise = ASKED):  # type: ignore[no-untyped-def]
    return promised_slices(NEED, harm, 1 - harm, np.ones(760), list(topic), asked)


def test_every_slice_is_walked_at_its_share_of_delta() -> None:
    found = slices()
    assert [(one.name, one.n) for one in found.each] == [("law", 400), ("art", 300), ("tax", 60)]
    for one in found.each[:2]:
        own = one.name == TOPIC
        assert one.walk == harm_at_most(NEED[own], HARM[own], level=0.05, delta=0.025)
        assert one.walk.n_kept > 0


def test_a_slice_too_small_for_its_share_of_delta_is_left_out_and_the_others_do_not_pay_for_it() -> None:
    found = slices()
    # 60 rows could pass at delta .05 (59), not at a third of it (80)
    assert (found.n_tested, found.each[2].walk, found.least) == (2, None, 80)
    assert "not covered for want of 80 labels: tax (60)" in str(found)
    assert "Bonferroni over the 2 slices tested" in str(found)


def test_labels_decide_nothing_about_which_slices_are_tested() -> None:
    asked = Promise(risk="kept", at_most=0.05, probability=0.95)
    harmless, harmful = (slices(harm=np.full(760, value), asked=asked) for value in (0, 1))
    assert harmless.n_tested == harmful.n_tested == 2
    assert (len(harmless.covered), len(harmful.covered)) == (2, 0)
    assert "in no slice" in str(harmful)
    assert "the large model serves all of law (400) and art (300)" in str(harmful)


def test_slices_all_too_small() -> None:
    found = slices(topic=np.arange(760).astype(str))
    assert (found.n_tested, found.covered, found.least) == (0, (), 59)


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(LengthMismatch, match="slice_of has 2"):
        promised_slices(NEED, HARM, 1 - HARM, np.ones(760), ["a", "b"], ASKED)
    with pytest.raises(OutOfRange, match="slices have no bound on average"):
        slices(asked=Promise(risk="harm", at_most=0.05, probability=None))


def test_all_slices_hold_at_once_as_often_as_promised() -> None:
    """Harm rises with need alike in both slices; 400 draws of 300 rows; a slice is broken where t² / 8 > .05."""
    rng, broken = np.random.default_rng(0), 0
    for _ in range(400):
        need = rng.random(300)
        harm = (rng.random(300) < need / 4).astype(int)
        found = promised_slices(need, harm, 1 - harm, np.ones(300), ["a"] * 150 + ["b"] * 150, ASKED)
        broken += any(one.walk is not None and min(one.walk.threshold, 1) > 0.4**0.5 for one in found.each)
    assert 0.02 <= broken / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_a_promise_of_all_holds_by_itself_only_where_a_slice_s_own_walk_goes_as_far() -> None:
    """Half of the queries of one slice lose; those of the other never do; a third is too small to say."""
    need, slices = np.tile(np.arange(400.0), 2), ["safe"] * 400 + ["risky"] * 400
    harm = np.concatenate([np.zeros(400), (np.arange(400) % 2).astype(float)])
    need, slices, harm = np.append(need, np.zeros(9)), slices + ["small"] * 9, np.append(harm, np.zeros(9))
    asked = Promise(risk="harm", at_most=0.1, probability=0.95)
    rows = (np.zeros(809), 1 - harm, harm)
    found = promised_slices(need, *rows, slices, asked)
    assert found.at(200.0) == (
        "Holds in safe (400) by itself too (Bonferroni over the 2 slices tested); not shown in risky (400); "
        f"not covered for want of {found.least} labels: small (9)"
    )
    # with a strict threshold both hold, and it is each slice's own walk that says how far
    risky = next(one.walk for one in found.each if one.name == "risky")
    assert risky is not None
    assert "Holds in risky (400) and safe (400)" in found.at(risky.threshold)
    assert "not shown in risky" in found.at(np.nextafter(risky.threshold, np.inf))


def test_each_slice_counts_what_was_asked() -> None:
    large = (np.arange(760) % 9 > 0).astype(int)
    found = promised_slices(NEED, HARM, 1 - HARM, large, list(TOPIC), ASKED.model_copy(update={"risk": "loss"}))
    for one in found.each[:2]:
        own = one.name == TOPIC
        assert one.walk == loss_at_most(NEED[own], (1 - HARM - large)[own], level=0.05, delta=0.025)


def test_a_single_slice_of_as_few_rows_as_can_pass_has_all_of_delta() -> None:
    # 59 rows without a harm pass 5 % at a delta of .05, not of .025
    rows = np.zeros(69)
    found = promised_slices(rows, rows, rows, rows, ["law"] * 59 + ["tax"] * 10, ASKED)
    assert (found.n_tested, [one.n for one in found.covered]) == (1, [59])
    assert found.at(np.inf) == "Is shown in no slice by itself; not shown in law (59); not covered for want of 72 " + (
        "labels: tax (10)"
    )
