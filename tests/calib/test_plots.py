import inspect

import numpy as np
import pytest

from calib import plots
from calib.errors import InvalidProbability
from calib.plots import COLOURS, reliability_diagram, training_curves
from calib.training import StepLog

RNG = np.random.default_rng(0)
P = RNG.beta(6, 2, 2000)
Y = (RNG.random(2000) < P).astype(float)
PNG = b"\x89PNG\r\n"


def logs(stage, n):
    return [
        StepLog(
            stage=stage,
            step=i + 1,
            epoch=i // 8 + 1,
            loss=0.2,
            terms={},
            reward=0.8 if stage == "rl" else None,
            mean_p=0.7,
            std_p=0.1 + i / 1000,
            validation_brier=0.2 - i / 10_000 if i % 8 == 7 else None,
        )
        for i in range(n)
    ]


def test_a_full_diagram_fits_a_data_uri():
    curves = {f"method {i}": (P ** (1 + i / 3), Y) for i in range(len(COLOURS))}
    image = reliability_diagram(curves, title="All of them")
    assert image.startswith(PNG)
    assert len(image) < 200_000


@pytest.mark.parametrize("p", [[0.0, 1.0, 0.5], [0.7, 0.7, 0.7]])
def test_edges_and_constants_can_be_drawn(p):
    assert reliability_diagram({"head": (p, [0, 1, 1])}, n_bins=5).startswith(PNG)


def test_what_is_not_a_probability_is_refused():
    with pytest.raises(InvalidProbability):
        reliability_diagram({"head": ([2.0], [1])})
    with pytest.raises(ValueError, match="at least one curve"):
        reliability_diagram({})


@pytest.mark.parametrize("records", [logs("sft", 40) + logs("rl", 40), logs("sft", 1), logs("rl", 3)])
def test_training_curves_of_one_or_two_stages(records):
    image = training_curves(records)
    assert image.startswith(PNG)
    assert len(image) < 200_000


def test_no_records_no_curves():
    with pytest.raises(ValueError, match="at least one step"):
        training_curves([])


def test_pyplot_is_never_imported():
    assert "import matplotlib.pyplot" not in (source := inspect.getsource(plots))
    assert "import pyplot" not in source
