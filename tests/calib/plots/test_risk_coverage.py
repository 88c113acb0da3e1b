"""Risk-coverage curves by hand."""

import numpy as np
import pytest

from routecal.calib.plots import render, risk_coverage
from routecal.calib.plots.risk_coverage import surest
from tests.calib.plots.made import PNG, P, Y


def test_by_hand() -> None:
    p, y = np.array([0.1, 0.9, 0.5, 0.7]), np.array([1.0, 1.0, 0.0, 0.0])
    coverage, risk = surest(p, y)  # surest first: right, wrong, wrong, right
    assert np.interp([0.25, 0.5, 0.75, 1.0], coverage, risk) == pytest.approx([0, 1 / 2, 2 / 3, 2 / 4])
    assert coverage[0] == pytest.approx(0.02)
    assert (np.diff(coverage) > 0).all()


def test_ties_do_not_depend_on_the_order_of_rows() -> None:
    p, y = np.round(P, 1), Y
    shuffled = np.random.default_rng(1).permutation(len(p))
    np.testing.assert_allclose(surest(p, y)[1], surest(p[shuffled], y[shuffled])[1])
    constant = surest(np.full(len(y), 0.3), y)[1]
    np.testing.assert_allclose(constant, 1 - y.mean())


def test_one_line_per_method_and_the_best_ordering() -> None:
    figure = risk_coverage({"noise": (P[::-1], Y), "head": (P, Y)})
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["noise", "head", "perfect ordering"]
    noise, head, best = (line.get_ydata() for line in axes.lines)
    assert noise[-1] == pytest.approx(head[-1]) == pytest.approx(best[-1]) == pytest.approx(1 - Y.mean())
    middle = len(head) // 2
    assert best[middle] <= head[middle] < noise[middle]
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    image = render(risk_coverage({"head": (P, Y)}))
    assert image.startswith(PNG)
    assert len(image) < 100_000


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="at least one curve"):
        risk_coverage({})
