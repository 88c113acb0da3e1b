"""Looks that a grey print keeps apart, and bytes that are the same every time."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from routecal.calib import plots
from routecal.calib.escalation import CostQuality
from routecal.calib.plots.style import COLOURS, LINES, MARKERS, METHODS, render, series_style, series_styles
from routecal.tasks.evaluate import ESCALATED, FINAL
from routecal.tasks.figures import BEFORE, DRAWN
from tests.calib.plots.made import P, Y, logs


def test_six_looks_differ_in_three_ways() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(set(LINES)) == 6
    assert len({series_style(i) for i in range(6)}) == 6
    assert series_style(6) == series_style(0)


def test_a_method_looks_the_same_whatever_is_drawn_beside_it() -> None:
    assert set(METHODS) >= {*DRAWN, *ESCALATED, BEFORE, FINAL}
    assert len(set(METHODS.values())) == len(METHODS)
    for names in (DRAWN, ESCALATED, (BEFORE, FINAL), (FINAL,), ("mine", FINAL, "yours")):
        assert [found for name, found in zip(names, series_styles(names), strict=True) if name in METHODS] == [
            series_style(METHODS[name]) for name in names if name in METHODS
        ]
        assert len(set(series_styles(names))) == len(names)


def test_figures_of_all_kinds_draw_a_method_in_its_look() -> None:
    ends = CostQuality(np.array([1.0, 9.0]), np.array([0.5, 0.8]))
    rows = dict.fromkeys(("entropy", "temperature", FINAL), (P, Y))
    drawn = {
        "reliability": plots.reliability_diagram(rows).axes[0].containers[-2].lines[0],
        "risk": plots.risk_coverage(rows).axes[0].lines[2],
        "cost": plots.cost_quality(dict.fromkeys(rows, ends), random=ends, oracle=ends).axes[0].lines[4],
        "after": plots.before_after((P, Y), (P, Y), names=(BEFORE, FINAL)).axes[1].containers[0].lines[0],
    }
    own = series_style(METHODS[FINAL])
    for kind, line in drawn.items():
        assert (line.get_color(), line.get_marker()) == (own.colour, own.marker), kind


def test_a_stage_of_training_is_drawn_in_the_colour_of_its_head() -> None:
    panel = plots.training_curves(logs("sft", 4) + logs("rl", 4)).axes[3]
    assert {line.get_label(): line.get_color() for line in panel.lines if not line.get_label().startswith("_")} == {
        "SFT": series_style(METHODS["SFT"]).colour,
        "RL": series_style(METHODS[FINAL]).colour,
    }


def test_no_colour_is_green() -> None:
    for colour in COLOURS:
        red, green, blue = to_rgb(colour)
        assert not (green > red + 0.1 and green > blue + 0.1), colour


@pytest.mark.parametrize(("fmt", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_is_the_same_bytes(fmt: plots.Format, magic: bytes) -> None:
    first, again = (render(plots.reliability_diagram({"head": (P, Y)}), fmt) for _ in range(2))
    assert first.startswith(magic)
    assert first == again
    assert b"Matplotlib v" not in first


def test_the_palette_keeps_the_colour_of_a_single_marker() -> None:
    ends = CostQuality(np.array([1.0, 9.0]), np.array([0.5, 0.8]))
    curves = {f"method {i}": CostQuality(ends.cost, ends.quality + i / 100) for i in range(6)}
    image = Image.open(BytesIO(render(plots.cost_quality(curves, random=ends, oracle=ends, chosen=(5.0, 0.6)))))
    assert image.mode == "P"
    pixels = np.asarray(image.convert("RGB"), int).reshape(-1, 3)
    for colour in COLOURS:
        wanted = np.round(255 * np.array(to_rgb(colour)))
        assert (np.abs(pixels - wanted).max(axis=1) <= 2).sum() > 20, colour


def test_pyplot_is_never_imported() -> None:
    for file in Path(plots.__file__).parent.glob("*.py"):
        assert "pyplot" not in file.read_text(encoding="utf-8").replace("without pyplot", "")
