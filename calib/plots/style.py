"""How every figure looks, and how it becomes bytes.

Figures are made without pyplot: no global state, no display, safe in threads. The colours are Okabe & Ito's without
their green, so that nothing is told by red against green; every curve also has a line style and a marker of its own,
so that a grey print can be read.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

Format = Literal["png", "svg", "pdf"]
LineStyle = str | tuple[int, tuple[float, ...]]

DPI = 110
COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES: tuple[LineStyle, ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
# One look per method in every figure, whatever else is drawn beside it; the others take what is left.
METHODS = {"SFT + RL + recalibration": 0, "temperature": 1, "SFT": 2, "entropy": 3, "max_prob": 4}
GREY = "#6b6b6b"
# What a file would otherwise say about when and by whom it was made: the same figure must be the same bytes.
_UNDATED: dict[Format, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class SeriesStyle(NamedTuple):
    """Colour, marker and line style of one curve."""

    colour: str
    marker: str
    line: LineStyle


def series_style(i: int) -> SeriesStyle:
    """The look of the i-th curve; six are different in colour, marker and line, then they come round again.

    >>> series_style(0)
    SeriesStyle(colour='#0072B2', marker='o', line='-')
    """
    k = i % len(COLOURS)
    return SeriesStyle(COLOURS[k], MARKERS[k], LINES[k])


def series_styles(names: Sequence[str]) -> list[SeriesStyle]:
    """The look of each curve: that of its method where it is one of METHODS, else the first that none of them has.

    >>> [found.colour for found in series_styles(["entropy", "mine"])] == [COLOURS[3], COLOURS[0]]
    True
    """
    taken = {METHODS[name] for name in names if name in METHODS}
    free = [i for i in range(len(COLOURS)) if i not in taken] or list(range(len(COLOURS)))
    others = {name: i for i, name in enumerate(name for name in names if name not in METHODS)}
    return [series_style(METHODS[name] if name in METHODS else free[others[name] % len(free)]) for name in names]


def draw_curve(
    axes: Axes,
    i: int,
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    style: SeriesStyle,
    *,
    above: float = 2,
    width: float = 1.7,
) -> None:
    """The i-th of several curves that cross one another, above what has a lower number; markers of two seldom meet."""
    axes.plot(
        x,
        y,
        label=name,
        color=style.colour,
        linestyle=style.line,
        linewidth=width,
        marker=style.marker,
        markersize=5,
        markevery=(0.05 + 0.02 * i, 0.15),
        zorder=above,
    )


def blank(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, which lays itself out."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def plain_axes(panels: Sequence[Axes]) -> None:
    """Take away what carries no information: two of the four edges, and the grid's weight."""
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)


def render(figure: Figure, fmt: Format = "png") -> bytes:
    """The figure as bytes, the same bytes every time; a PNG of any figure of this package is below 200 KB.

    Args:
        figure: as any function of this package draws it.
        fmt: png at DPI dots per inch; svg and pdf are vectors, for paper.

    >>> render(blank(1, 1))[1:4]
    b'PNG'
    """
    buffer = BytesIO()
    if fmt == "png":
        FigureCanvasAgg(figure)  # attaches itself
    # Ids in SVG files are random unless they are salted.
    with matplotlib.rc_context({"svg.hashsalt": "routecal"}):
        figure.savefig(buffer, format=fmt, metadata=_UNDATED[fmt])
    return _fewer_colours(buffer) if fmt == "png" else buffer.getvalue()


def _fewer_colours(png: BytesIO) -> bytes:
    """The same picture with a palette: a third of the bytes, so that a report with five of them stays small."""
    packed = BytesIO()
    # By octree: the median cut, the default, lets a colour of few pixels go, such as that of a single marker.
    image = Image.open(png).convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    image.save(packed, format="png", optimize=True)
    return packed.getvalue()
