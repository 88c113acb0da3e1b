import numpy as np
import pytest

from routecal.calib.errors import InvalidProbability, LengthMismatch
from tests.calib.made import examples

MADE = examples(6)


def with_target(target):
    return type(MADE)(
        MADE.hidden, MADE.logits, MADE.policy, MADE.true_policy, MADE.split, target=np.asarray(target, np.float32)
    )


def test_soft_targets_follow_their_rows_and_leave_y_alone():
    soft = with_target([0, 0.2, 0.4, 0.6, 0.8, 1])
    kept = soft.where(np.array([False, True, False, False, True, True]))
    np.testing.assert_array_equal(kept.target, np.array([0.2, 0.8, 1], np.float32))
    np.testing.assert_array_equal(soft.y, MADE.y)
    assert MADE.where(MADE.y == 1).target is None


@pytest.mark.parametrize("bad", [-0.1, 1.5, np.nan])
def test_targets_that_are_no_shares_are_refused(bad):
    with pytest.raises(InvalidProbability, match=r"target\[2\]"):
        with_target([0, 1, bad, 0, 0, 1])


def test_targets_of_other_rows_are_refused():
    with pytest.raises(LengthMismatch, match="target has 5"):
        with_target([0.5] * 5)
