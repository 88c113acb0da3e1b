"""Training curves: every term, the reward, the validation score, the spread; one or two stages."""

import pytest

from routecal.calib.plots import render, training_curves
from tests.calib.plots.made import PNG, logs


@pytest.mark.parametrize("records", [logs("sft", 40) + logs("rl", 40), logs("sft", 1), logs("rl", 3)])
def test_training_curves_of_one_or_two_stages(records: list) -> None:
    image = render(training_curves(records))
    assert image.startswith(PNG)
    assert len(image) < 200_000


def test_every_term_of_the_loss_is_a_line() -> None:
    figure = training_curves(logs("sft", 8, mse=0.2) + logs("rl", 16, policy=0.1, ranking=0.3))
    terms, reward, brier, spread = figure.axes
    lines = {line.get_label(): line for line in terms.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["mse", "policy", "ranking"]
    assert lines["policy"].get_xdata().tolist() == list(range(9, 25))
    assert len({line.get_linestyle() for line in lines.values()}) == 3
    assert [line.get_label() for line in reward.lines if not line.get_label().startswith("_")] == ["RL"]
    sft = next(line for line in brier.lines if line.get_label() == "SFT")
    assert sft.get_xydata().tolist() == [[8, pytest.approx(0.1993)]]
    assert [a.get_ylabel() for a in figure.axes] == [
        "loss terms",
        "mean reward",
        "validation Brier",
        "std of p in batch",
    ]
    assert spread.get_xlabel() == "step"


def test_a_panel_without_numbers_says_so() -> None:
    figure = training_curves(logs("sft", 4))
    assert [text.get_text() for text in figure.axes[1].texts] == ["none in this run"]


def test_a_change_that_is_noise_looks_flat() -> None:
    low, high = training_curves(logs("sft", 16)).axes[2].get_ylim()  # changes by .0008
    assert high - low >= 0.005 - 1e-12


def test_no_records_no_curves() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        training_curves([])
