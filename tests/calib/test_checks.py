import pickle

import numpy as np
import pytest

from routecal.calib.checks import EPS, checked, checked_p, logit
from routecal.calib.errors import InvalidLabel, InvalidProbability


def test_booleans_and_integers_are_taken_as_they_mean():
    p, y = checked([0, 1], [False, True])
    assert (p.dtype, y.dtype) == (np.float64, np.float64)
    assert y.tolist() == [0, 1]


def test_the_first_bad_row_is_named_and_the_error_pickles():
    with pytest.raises(InvalidProbability) as caught:
        checked_p([0.1, -0.5, 7.0], name="p_a")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.name, again.index, again.value) == ("p_a", 1, -0.5)


def test_signed_labels_are_refused():
    with pytest.raises(InvalidLabel, match=r"y\[0\] = -1"):
        checked([0.5, 0.5], [-1, 1])


def test_logit_is_finite_everywhere_and_odd():
    z = logit(np.array([0.0, 0.2, 0.8, 1.0]))
    assert z == pytest.approx(-z[::-1])
    assert z[-1] == pytest.approx(np.log((1 - EPS) / EPS))
