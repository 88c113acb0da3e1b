"""The forest plot: many differences with their intervals, one row each, several metrics side by side."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from routecal.calib.metrics import Estimate
from routecal.calib.plots.style import GREY, blank, plain_axes, series_style


def forest_plot(
    labels: Sequence[str],
    differences: Mapping[str, Sequence[Estimate | None]],
    *,
    lower_is_better: Mapping[str, bool] | None = None,
    title: str = "",
) -> Figure:
    """Differences to a reference, with intervals: one row per variant, one panel per metric, the reference at 0.

    Filled markers are intervals that leave out 0, hollow ones those that hold it, so "no difference found" is seen
    without colour. One interval in twenty leaves out 0 by chance at level .95: with many rows expect some.

    Args:
        labels: (r,) one per row, from the top.
        differences: metric -> (r,) variant minus reference; None where it is undefined, which leaves the place empty.
        lower_is_better: by metric; an arrow then says which way is better.
        title: above the panels.

    Raises:
        ValueError: no rows, no metrics, or a metric with another number of rows.

    >>> len(forest_plot(["no RL"], {"brier": [Estimate(value=0.01, low=-0.01, high=0.03)]}).axes)
    1
    """
    if not labels or not differences:
        raise ValueError("a forest plot needs at least one row and one metric")
    for metric, found in differences.items():
        if len(found) != len(labels):
            raise ValueError(f"{metric} has {len(found)} differences for {len(labels)} rows")
    longest = max(map(len, labels))
    figure = blank(0.075 * longest + 2.6 * len(differences) + 0.6, 1.1 + 0.27 * len(labels))
    panels = figure.subplots(1, len(differences), sharey=True, squeeze=False)[0]
    for i, (panel, (metric, found)) in enumerate(zip(panels, differences.items(), strict=True)):
        panel.axvline(0, color=GREY, linewidth=1)
        for row, estimate in enumerate(found):
            if estimate is None:
                continue
            sure = estimate.low > 0 or estimate.high < 0
            panel.plot([estimate.low, estimate.high], [row, row], color=series_style(i).colour, linewidth=1.5)
            panel.plot(
                [estimate.value],
                [row],
                color=series_style(i).colour,
                marker=series_style(i).marker,
                markersize=6,
                markerfacecolor=series_style(i).colour if sure else "white",
                linestyle="",
            )
        panel.set_title(metric, fontsize=10)
        if lower_is_better and metric in lower_is_better:
            panel.set_xlabel("← better" if lower_is_better[metric] else "better →", fontsize=9)
        panel.margins(x=0.12)
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    if title:
        figure.suptitle(title, fontsize=11)
    plain_axes(list(panels))
    return figure
