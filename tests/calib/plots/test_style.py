"""Looks that a grey print keeps apart, and bytes that are the same every time."""

from pathlib import Path

import pytest
from matplotlib.colors import to_rgb

from calib import plots
from calib.plots.style import COLOURS, LINES, MARKERS, look, render
from tests.calib.plots.made import P, Y


def test_six_looks_differ_in_three_ways() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(set(LINES)) == 6
    assert len({look(i) for i in range(6)}) == 6
    assert look(6) == look(0)


def test_no_colour_is_green() -> None:
    for colour in COLOURS:
        red, green, blue = to_rgb(colour)
        assert not (green > red + 0.1 and green > blue + 0.1), colour


@pytest.mark.parametrize(("fmt", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_is_the_same_bytes(fmt: plots.Format, magic: bytes) -> None:
    first, again = (render(plots.reliability_figure({"head": (P, Y)}), fmt) for _ in range(2))
    assert first.startswith(magic)
    assert first == again
    assert b"Matplotlib v" not in first


def test_pyplot_is_never_imported() -> None:
    for file in Path(plots.__file__).parent.glob("*.py"):
        assert "pyplot" not in file.read_text(encoding="utf-8").replace("without pyplot", "")
