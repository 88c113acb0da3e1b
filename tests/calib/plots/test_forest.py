"""The forest plot: rows from the top, one panel per metric, hollow where the interval holds 0."""

import pytest

from routecal.calib.metrics import Estimate
from routecal.calib.plots import forest_plot, render
from tests.calib.plots.made import PNG

ROWS = ["SFT only", "linear reward", "no residual"]
BRIER = [
    Estimate(value=0.0, low=-0.01, high=0.01),
    Estimate(value=0.05, low=0.03, high=0.07),
    Estimate(value=-0.02, low=-0.03, high=-0.01),
]
AUROC = [Estimate(value=0.01, low=-0.01, high=0.03), None, Estimate(value=0.02, low=0.01, high=0.03)]


def test_rows_panels_and_what_is_hollow() -> None:
    figure = forest_plot(
        ROWS, {"brier": BRIER, "auroc": AUROC}, lower_is_better={"brier": True, "auroc": False}, title="Ablation"
    )
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ROWS
    assert left.yaxis_inverted()
    assert [a.get_title() for a in figure.axes] == ["brier", "auroc"]
    assert (left.get_xlabel(), right.get_xlabel()) == ("← better", "better →")
    zero, *drawn = left.lines
    assert zero.get_xdata() == [0, 0]
    assert [line.get_xydata().tolist() for line in drawn[::2]] == [
        [[e.low, row], [e.high, row]] for row, e in enumerate(BRIER)
    ]
    assert [line.get_markerfacecolor() == "white" for line in drawn[1::2]] == [True, False, False]
    assert len(right.lines) == 1 + 2 * 2  # the undefined row is left empty


def test_dozens_of_rows_stay_small() -> None:
    rows = [f"variant {i}" for i in range(40)]
    image = render(forest_plot(rows, {"brier": BRIER * 13 + BRIER[:1], "ece": [None] * 40}))
    assert image.startswith(PNG)
    assert len(image) < 200_000


def test_rows_and_differences_must_fit() -> None:
    with pytest.raises(ValueError, match="brier has 3 differences for 1 rows"):
        forest_plot(["one"], {"brier": BRIER})
    with pytest.raises(ValueError, match="at least one row"):
        forest_plot([], {"brier": []})
