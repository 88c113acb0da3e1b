"""What is wrong with a head is said in words: each sentence where it is true, and nowhere else."""

from typing import Any

import pytest

from routecal.calib.metrics import Estimate
from routecal.calib.metrics.summary import Summary, summarise
from routecal.tasks.evaluate import FINAL, Evaluation, Slices
from routecal.tasks.evaluation_verdict import head_warnings

BASE = summarise([0.9, 0.8, 0.2, 0.3] * 10, [1, 1, 0, 0] * 10, n_replicates=50)
GOOD = {
    "auroc": Estimate(value=0.7, low=0.6, high=0.8),
    "brier_skill": Estimate(value=0.1, low=0.05, high=0.2),
    "accuracy": 0.605,
}


def said(policies: dict[str, int] | None = None, **other: Any) -> list[str]:
    """The findings on a good head, but for what is given."""
    head = BASE.model_copy(update={**GOOD, **other})
    parts: dict[str, Summary] = {name: head.model_copy(update={"n": n}) for name, n in (policies or {}).items()}
    slices = Slices(method=FINAL, tables={"router's policy": parts}) if policies else None
    bad = BASE.model_copy(update={"auroc": Estimate(value=0.3, low=0.2, high=0.4)})
    return head_warnings(Evaluation(methods={"entropy": bad, FINAL: head}, brier_difference=None, slices=slices))


def test_of_a_head_that_is_worth_something_nothing_is_said() -> None:
    assert said({"Standard_Query": 20, "Complex_Query": 20}) == []
    assert said(auroc=None, brier_skill=None) == []
    assert said(auroc=Estimate(value=0.7, low=0.501, high=0.8)) == []
    assert said(brier_skill=Estimate(value=0.1, low=0.001, high=0.2)) == []


def test_a_router_that_sends_everything_one_way_is_named() -> None:
    (one,) = said({"Complex_Query": 40})
    assert one == (
        "The router says Complex_Query to all 40 test queries (the large model): it does not route. Check the names of "
        "its labels (id2label), or use another router."
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.5, 0.7, "not shown to tell right decisions from wrong ones: AUROC 0.450 [0.500, 0.700]"),
        (0.4, 0.5, "not shown to tell right decisions from wrong ones"),
        (0.4, 0.499, "The confidence is higher where the router is wrong than where it is right: AUROC 0.450"),
    ],
)
def test_an_auroc_that_may_be_chance_or_is_below_it_is_said(low: float, high: float, words: str) -> None:
    (one,) = said(auroc=Estimate(value=0.45, low=low, high=high))
    assert words in one


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0, 0.1, "is not shown to be better than a constant confidence of 0.605 for every query: Brier skill -0.100"),
        (-0.2, 0.0, "is not shown to be better than a constant"),
        (-0.2, -0.01, "is worse than a constant confidence of 0.605 for every query: its Brier score is 10.0% higher."),
    ],
)
def test_a_head_no_better_than_a_constant_is_said_to_be_so(low: float, high: float, words: str) -> None:
    (one,) = said(brier_skill=Estimate(value=-0.1, low=low, high=high))
    assert one.startswith(f"«{FINAL}»")
    assert words in one


def test_few_labels_are_said_once() -> None:
    assert said(level=0.99) == [
        "There are fewer than 100 labelled examples: intervals are widened to 99%. Label more queries before you rely "
        "on a number."
    ]
