"""The cost-quality plane holds what it was given, each line under its name."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from routecal.calib.escalation import CostQuality
from routecal.calib.plots import Band, cost_quality, render
from tests.calib.plots.made import PNG

RANDOM = CostQuality(np.array([1.0, 10.0]), np.array([0.5, 0.8]))
ORACLE = CostQuality(np.array([1.0, 4.0]), np.array([0.5, 0.85]))
HEAD = CostQuality(np.array([2.0, 6.0, 10.0]), np.array([0.6, 0.78, 0.8]))
ENTROPY = CostQuality(np.array([2.0, 7.0, 10.0]), np.array([0.6, 0.72, 0.8]))


def test_every_line_point_and_band_is_there() -> None:
    figure = cost_quality(
        {"entropy": ENTROPY, "head": HEAD},
        random=RANDOM,
        oracle=ORACLE,
        points={"all-medium": (1.0, 0.5), "all-large": (10.0, 0.8)},
        chosen=(6.0, 0.78),
        bands={"head": Band(HEAD.cost, HEAD.quality - 0.02, HEAD.quality + 0.02)},
        thin=("entropy",),
        unit="relative",
    )
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["head"].get_xydata(), np.stack(HEAD, axis=1))
    np.testing.assert_array_equal(lines["random mix"].get_xydata(), np.stack(RANDOM, axis=1))
    # money beyond the perfect oracle buys nothing: its line goes on level to the right end
    assert lines["perfect oracle"].get_xydata().tolist() == [[1, 0.5], [4, 0.85], [10, 0.85]]
    assert lines["threshold in use"].get_xydata().tolist() == [[6, 0.78]]
    assert [text.get_text() for text in axes.texts] == ["all-medium", "all-large"]
    (band,) = axes.collections
    assert band.get_label() == "interval of head"
    assert band.get_facecolor()[0][:3].tolist() == pytest.approx(to_rgb(lines["head"].get_color()))
    assert lines["entropy"].get_linewidth() < lines["head"].get_linewidth()
    assert axes.get_xlabel() == "cost per query (relative)"
    assert len({lines[name].get_linestyle() for name in ("head", "entropy")}) == 2


def test_a_png_of_thousands_of_thresholds_is_small() -> None:
    many = CostQuality(np.linspace(1, 10, 5000), np.linspace(0.5, 0.8, 5000))
    image = render(cost_quality({"head": many}, random=RANDOM, oracle=ORACLE))
    assert image.startswith(PNG)
    assert len(image) < 100_000


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="at least one curve"):
        cost_quality({}, random=RANDOM, oracle=ORACLE)
