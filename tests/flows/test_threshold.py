"""Another threshold for heads that are trained: chosen on labelled rows, measured on test rows, packed and served."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.packed_folder import serving_in
from routecal.calib.policy import DEFAULT_MAP
from routecal.flows import cli
from routecal.flows.calibrate import calibrate
from routecal.flows.cli_options import parse
from routecal.flows.evaluate import Evaluated
from routecal.flows.params import CalibrateParams
from routecal.flows.threshold import NewThreshold, threshold
from routecal.flows.threshold_params import ThresholdParams
from routecal.storage.artifact import read_table
from routecal.storage.folder_artifact import local_folder
from routecal.storage.query_identity import query_id
from routecal.tasks import runs
from routecal.tasks.errors import NoJointOutcomes
from tests.flows.conftest import States, of
from tests.flows.refusal import Capture

pytestmark = pytest.mark.usefixtures("plain_report")


@pytest.fixture
def calibrated(params: CalibrateParams, states: States) -> Evaluated:
    """A run that there is; what it did is forgotten."""
    done = calibrate(params.model_copy(update={"medium_price": 1.0, "large_price": 20.0, "price_unit": "cents"}))
    states.clear()
    return done


def chosen(**asked: Any) -> NewThreshold:
    found = threshold(ThresholdParams(**asked))
    assert isinstance(found, NewThreshold)
    return found


def gains() -> dict[str, np.ndarray]:
    """By split, the gain of every query."""
    table = read_table(runs.newest_artifact("outcome_predictions"))
    split = np.array(table["split"].to_pylist())
    return {name: table["gain"].to_numpy()[split == name] for name in np.unique(split)}


def test_a_call_rate_is_kept_on_the_labelled_rows_and_served_as_chosen(
    calibrated: Evaluated, asked: list[str], states: States, tmp_path: Path
) -> None:
    found = chosen(call_rate=0.3, output_dir=str(tmp_path / "mine"))
    assert set(of(states, "Completed")) == {"escalate", "pack again"}  # nothing is trained or read
    assert found.data == f"heads, labels and predictions of run {calibrated.run_id}"
    by_split = gains()
    labelled = np.concatenate([gain for name, gain in by_split.items() if name != "test"])
    assert found.threshold is not None
    at = found.threshold
    assert 0.3 - 1 / len(labelled) < (labelled > at).mean() <= 0.3
    saving = found.escalation.methods[str(found.escalation.rule)]
    assert saving.point.large == pytest.approx((by_split["test"] > at).mean())
    assert found.escalation.unit == "cents"  # the prices that the folder was packed with

    assert found.calibrated is not None
    before, after = (serving_in(local_folder(one)) for one in (calibrated.calibrated, found.calibrated))
    assert (after.decides_by, after.threshold, after.head_version) == ("gain", at, before.head_version)
    assert after.prices == before.prices
    assert after.prices is not None
    routed = CalibratedRouter.from_pretrained(tmp_path / "mine").route(asked)
    said = {row["query_id"]: row for row in read_table(runs.newest_artifact("outcome_predictions")).to_pylist()}
    test = [(d, row) for d, text in zip(routed, asked, strict=True) if (row := said[query_id(text)])["split"] == "test"]
    clear = [(d.served_by == "large", row["gain"] > at) for d, row in test if abs(row["gain"] - at) > 2e-3]
    assert len(clear) > 50
    assert all(is_large == should for is_large, should in clear)


def test_the_policy_map_names_the_models_and_stays_until_another_is_given(
    calibrated: Evaluated, asked: list[str]
) -> None:
    assert calibrated.calibrated is not None
    before = serving_in(local_folder(calibrated.calibrated))
    assert before.policy_map == DEFAULT_MAP
    named = {"Standard_Query": "flash", "Complex_Query": "pro", "Ambiguous_Query": "pro"}
    words = ["--policy-map", ",".join(f"{policy}={model}" for policy, model in named.items())]
    found = threshold(parse(ThresholdParams, "threshold", [*words, "--risk", "kept", "--at-most", "0.5"]).params)
    again = chosen(risk="harm", at_most=0.3)
    assert found.calibrated is not None
    assert again.calibrated is not None
    routed = CalibratedRouter.from_pretrained(local_folder(found.calibrated)).route(asked)
    assert {(d.served_by, d.model) for d in routed} == {("medium", "flash"), ("large", "pro")}
    assert {d.no_guarantee for d in routed} == {""}
    assert serving_in(local_folder(again.calibrated)).policy_map.models == named
    back = chosen(call_rate=0.5, policy_map={"Ambiguous_Query": "medium"})
    assert back.escalation.policy_map == DEFAULT_MAP


def test_promises_are_walked_anew_and_the_command_prints_what_comes(calibrated: Evaluated, capsys: Capture) -> None:
    kept = [
        1 - found.escalation.methods[str(found.escalation.rule)].point.large
        for found in (chosen(risk="harm", at_most=level) for level in (0.02, 0.1, 0.3))
    ]
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]

    # one that cannot be had leaves all to the large model, and says what can
    found = chosen(risk="loss", at_most=0.001)
    assert found.escalation.methods[str(found.escalation.rule)].point.large == 1.0
    assert found.verdict.startswith("Saves nothing: the large model has to serve all test queries")
    assert found.calibrated is not None
    router = CalibratedRouter.from_pretrained(local_folder(found.calibrated))
    assert {d.served_by for d in router.route(["a?", "b?"])} == {"large"}

    assert cli.main(["threshold", "--call-rate", "0.5"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(("Send these", "Saves nothing"))
    assert "calibrated router  " in out
    assert cli.main(["threshold", "--call-rate", "0.5", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"verdict", "threshold", "calibrated", "escalation"} <= set(printed)


def test_words_of_money_without_prices_are_one_sentence(params: CalibrateParams, states: States) -> None:
    calibrate(params)
    found = chosen(answer_value=3)
    assert found.calibrated is None
    assert found.threshold is None
    assert "--call-rate" in found.verdict


def test_a_run_without_joint_outcomes_is_refused(params: CalibrateParams, states: States) -> None:
    with pytest.raises(NoJointOutcomes, match=r"no run here has predictions of an outcome head.*`routecal calibrate`"):
        chosen()
    done = calibrate(params.model_copy(update={"outcome_layers": ()}))
    with pytest.raises(NoJointOutcomes, match=f"the run {done.run_id} has no predictions of an outcome head"):
        chosen(run=done.run_id)
