"""What an evaluation comes to: money first, and never more than was shown."""

import pytest

from routecal.calib.escalation import Saving, ThresholdPoint
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.summary import summarise
from routecal.calib.need import NOTHING_KEPT
from routecal.tasks.escalation_result import CALLS, CONFIDENCE, JOINT, Escalation, Promised
from routecal.tasks.escalation_verdict import rule_line
from routecal.tasks.evaluate import FINAL, Evaluation
from routecal.tasks.evaluation_verdict import headline, key_figures, next_steps
from routecal.tasks.operating_table import topic_verdict

HEAD = summarise([0.75] * 40 + [0.25] * 40, ([1] * 3 + [0]) * 10 + ([0] * 3 + [1]) * 10, n_replicates=50)
ONE_POINT = Promised(sentence="at most 1 point lost, with 95 %", holds=True)
POLICIES = {"all-large": (10.0, 0.8), "all-medium": (1.0, 0.5), "router alone": (2.0, 0.6)}


def evaluation(
    saved: tuple[float, float] = (0.12, 0.05),
    quality: tuple[float, float, float] = (-0.002, -0.008, 0.004),
    *,
    threshold: float = -0.6,
    rule: str = CONFIDENCE,
    large: float = 0.88,
    promise: Promised = ONE_POINT,
    unit: str = "USD",
    note: str = "",
    brier: Estimate | None = None,
    **changes: object,
) -> Evaluation:
    """A head that saves so much (value, lower end) at such a change of quality (value, low, high)."""
    point = ThresholdPoint(
        threshold=threshold, quality=0.798, cost=8.8, large=large, harmful_cheap=0, wasteful_large=0, downgraded=0.04
    )
    value, low, high = quality
    saving = Saving(
        n=80,
        level=0.95,
        margin=0.01,
        point=point,
        saving=Estimate(value=saved[0], low=saved[1], high=0.3),
        quality_difference=Estimate(value=value, low=low, high=high),
        non_inferior=low > -0.01,
        above_random=None,
        random_saving=0.03,
    )
    escalation = Escalation(
        unit=unit,
        margin=0.01,
        n_chosen_on=300,
        note=note,
        promise=promise,
        methods={rule: saving},
        policies=POLICIES,
        areas={JOINT: Estimate(value=0.156, low=0.1, high=0.2)},
    )
    head = HEAD.model_copy(update=changes)
    return Evaluation(methods={FINAL: head}, brier_difference=brier, escalation=escalation)


def test_who_serves_what_it_saves_and_what_is_promised_is_the_headline() -> None:
    found = evaluation(saved=(0.31, 0.28), quality=(-0.002, -0.007, 0.003), large=0.62)
    assert headline(found) == (
        "Send these 38 % to the medium model: saves 31 % [28, 30] of the cost at -0.2 points [-0.7, +0.3] against "
        "all-large; promise: at most 1 point lost, with 95 %; ECE 0.000 on 80 test queries"
    )
    assert next_steps(found, "/c") == ["Serve it: CalibratedRouter.from_pretrained('/c')."]
    assert "saves 2.4 % [0.1, 30.0] of" in headline(evaluation(saved=(0.024, 0.001)))


@pytest.mark.parametrize(("quality", "is_worse"), [((-0.002, -0.011, 0.004), False), ((-0.03, -0.05, -0.011), True)])
def test_a_quality_that_is_not_shown_is_not_claimed(quality: tuple[float, float, float], is_worse: bool) -> None:
    found = evaluation(quality=quality)
    assert ("(on test queries it is more than 1 point worse)" in headline(found)) == is_worse
    assert next_steps(found, "/c") == [
        "Label more queries: 300 chose the threshold and 80 measured it. Or allow a greater loss of quality than "
        "1 point (--at-most 0.01)."
    ]


def test_a_saving_that_may_be_nothing_is_called_that() -> None:
    assert "model: may save 12 % [0, 30] of the cost" in headline(evaluation(saved=(0.12, 0.0)))


@pytest.mark.parametrize("changes", [{"saved": (0.0004, 0.0)}, {"threshold": NOTHING_KEPT}])
def test_no_saving_is_no_success(changes: dict[str, object]) -> None:
    found = evaluation(**changes)  # type: ignore[arg-type]
    assert headline(found).startswith("Saves nothing: the large model has to serve 88.0% of test queries; ECE")
    assert next_steps(found, "/c")[0].startswith("Label more queries")


def test_where_nothing_is_promised_it_says_what_can_be() -> None:
    instead = "At most 1 point lost, with 95 %, cannot be promised from 300 labelled queries: 2.4 points can"
    none = Promised(sentence=ONE_POINT.sentence, holds=False, instead=instead)
    found = evaluation(threshold=NOTHING_KEPT, large=1.0, promise=none)
    assert headline(found).startswith(f"Saves nothing: the large model has to serve all test queries. {instead}; ECE")
    assert {figure.name: figure.meaning for figure in key_figures(found)}["No promise"] == instead
    assert instead in next_steps(found, None)
    budget = Promised(sentence="no promise of quality: as far as 3 for 1,000 queries goes", holds=False)
    assert "; no promise of quality: as far as 3 for 1,000 queries goes; ECE" in headline(evaluation(promise=budget))


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        ((0.122, 0.09, 0.15), "above that"),
        ((-0.1, -0.2, -0.01), "below that"),
        ((0.1, -0.1, 0.2), "not shown to differ"),
    ],
)
def test_the_rule_is_named_and_held_against_the_other(difference: tuple[float, float, float], said: str) -> None:
    by_confidence, by_gain = evaluation().escalation, evaluation(rule=JOINT, threshold=0.043).escalation
    assert by_confidence is not None
    assert by_gain is not None
    assert rule_line(by_confidence).startswith("The decision is by confidence")
    value, low, high = difference
    ahead = by_gain.model_copy(update={"area_difference": Estimate(value=value, low=low, high=high)})
    assert said in rule_line(ahead)
    assert f"0.156 [0.100, 0.200], {said}" in rule_line(ahead)
    assert rule_line(by_gain).endswith("than the medium one.")
    figures = {figure.name: figure for figure in key_figures(evaluation(rule=JOINT, threshold=0.043))}
    assert (
        "by more than 0.043. 4.0% are sent down against the router's policy"
        in figures["Served by the large model"].meaning
    )
    assert figures["Area over random"].value == "0.156 [0.100, 0.200]"


@pytest.mark.parametrize(
    ("saved", "quality", "said"),
    [
        ((0.3, 0.1), (-0.002, -0.008, 0.004), "pays"),
        ((0.3, 0.0), (-0.002, -0.008, 0.004), "not shown"),
        ((0.3, 0.1), (-0.002, -0.02, 0.004), "not shown"),
        ((0.3, 0.1), (-0.03, -0.05, -0.011), "loses"),
        ((0.0, 0.0), (-0.03, -0.05, -0.01), "not shown"),
    ],
)
def test_a_topic_pays_only_where_that_is_shown(
    saved: tuple[float, float], quality: tuple[float, float, float], said: str
) -> None:
    escalation = evaluation(saved, quality).escalation
    assert escalation is not None
    assert topic_verdict(escalation.methods[CONFIDENCE]) == said


def test_calls_are_not_called_money() -> None:
    found = evaluation(unit=CALLS, note="no price is known")
    assert "saves 12 % [5, 30] of the calls of the large model" in headline(found)
    assert key_figures(found)[0].name == "Calls saved"
    assert next_steps(found, None) == ["Costs are not in money: no price is known."]


def test_money_comes_first_with_what_it_is_to_be_held_against() -> None:
    figures = {figure.name: figure for figure in key_figures(evaluation())}
    assert list(figures)[:4] == ["Cost saved", "Quality", "Promise", "Served by the large model"]
    assert figures["Promise"].value == "at most 1 point lost, with 95 %"
    assert "the 300 labelled queries" in figures["Promise"].meaning
    assert figures["Cost saved"].value == "12.0 [5.0, 30.0] %"
    assert "The router without confidence saves 80.0% at -20.0 points." in figures["Cost saved"].meaning
    assert "A random mix of the same quality saves 3.0%." in figures["Cost saved"].meaning
    assert "that at most 1 point is lost is shown" in figures["Quality"].meaning


@pytest.mark.parametrize(
    ("ece", "in_band", "said"),
    [
        (0.05, True, "at or below the target 0.05"),
        (0.051, True, "above the target 0.05"),
        (0.2, False, "does not explain it"),
        (0.2, True, "queries, explains it"),
    ],
)
def test_ece_is_held_against_its_target_and_against_noise(ece: float, in_band: bool, said: str) -> None:
    found = evaluation(ece=Estimate(value=ece, low=0, high=0.3), ece_in_noise_band=in_band)
    assert said in {figure.name: figure.meaning for figure in key_figures(found)}["Calibration error (ECE)"]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.2, -0.001, "Better than"), (0.001, 0.2, "Worse than"), (-0.1, 0.1, "Not shown to differ from")],
)
def test_brier_is_held_against_temperature_scaling(low: float, high: float, said: str) -> None:
    found = evaluation(brier=Estimate(value=0.0, low=low, high=high))
    assert f"{said} temperature scaling" in {f.name: f.meaning for f in key_figures(found)}["Brier score"]


def test_what_speaks_against_a_head_comes_before_serving_it() -> None:
    found = evaluation(auroc=Estimate(value=0.5, low=0.4, high=0.6))
    (said,) = next_steps(found, "/c")
    assert "not shown to tell right decisions from wrong ones" in said


def test_where_nothing_could_be_measured_the_reason_is_the_headline() -> None:
    escalation = Escalation(unit="USD", margin=0.01, n_chosen_on=9, note="no answer has a grade")
    found = Evaluation(methods={FINAL: HEAD}, brier_difference=None, escalation=escalation)
    assert headline(found).startswith("What escalating saves is not known (no answer has a grade); ECE")
    assert key_figures(found)[0].name == "Calibration error (ECE)"
