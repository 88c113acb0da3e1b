"""The reliability diagram draws the bins that metrics count, and a band and a histogram beside them."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from routecal.calib.errors import InvalidProbability
from routecal.calib.metrics import reliability_bins
from routecal.calib.plots import before_after, reliability_diagram, render
from routecal.calib.plots.reliability_diagram import FEW
from routecal.calib.plots.style import COLOURS
from tests.calib.plots.made import PNG, P, Y


def test_a_full_diagram_fits_a_data_uri() -> None:
    curves = {f"method {i}": (P ** (1 + i / 3), Y) for i in range(len(COLOURS))}
    image = render(reliability_diagram(curves, title="All of them"))
    assert image.startswith(PNG)
    assert len(image) < 200_000


def test_points_are_the_bins() -> None:
    figure = reliability_diagram({"head": (P, Y)}, title="Here")
    top, below = figure.axes
    bins = reliability_bins(P, Y, n_bins=10)
    many = bins.n >= FEW
    assert 0 < many.sum() < len(many)
    drawn, hollow = top.containers
    np.testing.assert_allclose(drawn.lines[0].get_xydata(), np.stack([bins.mean_p, bins.accuracy], axis=1)[many])
    assert len(hollow.lines[0].get_xydata()) == (~many).sum()
    ends = np.array([segment[:, 1] for segment in drawn.lines[2][0].get_segments()])
    np.testing.assert_allclose(ends, np.stack([bins.low, bins.high], axis=1)[many])
    assert len([c for c in top.collections if isinstance(c, PolyCollection)]) == len(bins.n)  # the band, by bin
    heights = below.patches[0].get_data().values
    assert heights.sum() == pytest.approx(1)
    assert heights[-1] == pytest.approx(bins.n[-1] / len(P))
    assert (top.get_title(), below.get_xlabel()) == ("Here", "confidence p   (n = 2,000)")
    (legend,) = figure.legends
    assert [text.get_text().split("  ")[0] for text in legend.get_texts()] == [
        "95% of bins fall here if the last curve is calibrated", "head"
    ]  # fmt: skip


@pytest.mark.parametrize("p", [[0.0, 1.0, 0.5], [0.7, 0.7, 0.7]])
def test_edges_and_constants_can_be_drawn(p: list[float]) -> None:
    assert render(reliability_diagram({"head": (p, [0, 1, 1])}, n_bins=5)).startswith(PNG)


def test_what_is_not_a_probability_is_refused() -> None:
    with pytest.raises(InvalidProbability):
        reliability_diagram({"head": ([2.0], [1])})
    with pytest.raises(ValueError, match="at least one curve"):
        reliability_diagram({})


def test_no_histogram_is_cut_off() -> None:
    """The second one stands twice as high as the first."""
    figure = reliability_diagram({"spread": (np.linspace(0, 1, 2000), Y), "narrow": (np.full(2000, 0.55), Y)})
    below = figure.axes[1]
    assert below.get_ylim()[0] == 0
    assert below.get_ylim()[1] >= 1


def test_before_and_after_share_their_axes() -> None:
    figure = before_after((P**0.3, Y), (P, Y), names=("raw", "calibrated"))
    left, right, left_below, right_below = figure.axes
    assert left.get_title().startswith("raw\nECE 0.1")
    assert right.get_title().startswith("calibrated\nECE 0.0")
    assert left.get_ylim() == right.get_ylim()
    assert left_below.get_ylim() == right_below.get_ylim()
    assert len(left.containers) == len(right.containers) == 2
    image = render(before_after((P**0.3, Y), (P, Y)))
    assert image.startswith(PNG)
    assert len(image) < 100_000
