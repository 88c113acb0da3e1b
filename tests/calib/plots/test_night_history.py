"""The trend over nights: each night at its date, and nothing on the axis that is no night."""

from datetime import datetime, timedelta

import pytest
from matplotlib.dates import date2num

from routecal.calib.plots import NightPoint, nights
from routecal.calib.plots.night_history import TICKS

FIRST = datetime(2026, 11, 29, 2)


def points(n: int) -> list[NightPoint]:
    return [NightPoint(FIRST + timedelta(days=i), 0.03, 0.06, 0.2, is_promoted=i == 0) for i in range(n)]


def test_one_night_is_one_date_on_an_axis_of_a_day() -> None:
    figure = nights(points(1))
    panel = figure.axes[1]
    figure.canvas.draw()
    assert [label.get_text() for label in panel.get_xticklabels()] == ["2026-11-29"]
    low, high = panel.get_xlim()
    assert high - low == pytest.approx(1)
    assert (low + high) / 2 == pytest.approx(date2num(FIRST))


@pytest.mark.parametrize("n", [2, 8, 9, 60])
def test_dates_are_those_of_nights_the_first_and_the_last_among_them(n: int) -> None:
    figure = nights(points(n))
    at = figure.axes[1].get_xticks()
    assert set(at) <= {date2num(point.at) for point in points(n)}
    assert (len(at), at[0], at[-1]) == (min(n, TICKS), date2num(FIRST), date2num(points(n)[-1].at))
    low, high = figure.axes[1].get_xlim()
    assert low < at[0]
    assert at[-1] < high


def test_the_legend_stands_outside_of_the_panels() -> None:
    figure = nights(points(3))
    figure.canvas.draw()
    (legend,) = figure.legends
    assert not [axes for axes in figure.axes if axes.get_legend()]
    top = legend.get_window_extent().y1
    assert all(axes.get_window_extent().y0 >= top for axes in figure.axes)


def test_there_must_be_a_night() -> None:
    with pytest.raises(ValueError, match="at least one night"):
        nights([])
