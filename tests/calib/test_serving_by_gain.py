"""A folder with an outcome head decides by the gain of the large model; prices change without training."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import FeatureMismatch, HeadUnusable, NoOutcomeHead
from routecal.calib.decision import Decision
from routecal.calib.errors import OutOfRange
from routecal.calib.extra_cost import ExtraCost, Prices
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.outcome.outcome_folder import CONFIG, WEIGHTS
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.policy import Policy
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.conftest import ASKED, BLOCKS, READ
from tests.calib.packed import change, trained


@pytest.fixture
def folder(wide_router: FrozenRouter, outcome_head: OutcomeHead, tmp_path: Path) -> Path:
    pack(trained(wide_router), serving(wide_router), tmp_path / "packed", outcome_head)
    return tmp_path / "packed"


def serving(wide_router: FrozenRouter, **changes: object) -> Serving:
    return Serving(
        router=str(wide_router.path), **READ, threshold=0.05, decides_by="gain", head_version="abc", **changes
    )


def gains(wide_router: FrozenRouter, head: OutcomeHead) -> np.ndarray:
    """What the head says of features as they are stored."""
    output = wide_router.read(ASKED)
    blocks = {name: output.blocks[name].astype(np.float16).astype(np.float32) for name in BLOCKS}
    return head.cells.gain(head.probabilities(blocks, output.logits))


def large(decisions: list[Decision]) -> list[bool]:
    return [decision.served_by == "large" for decision in decisions]


def test_the_large_model_serves_where_the_gain_is_above_the_threshold_whatever_the_policy(
    wide_router: FrozenRouter, outcome_head: OutcomeHead, folder: Path
) -> None:
    gain = gains(wide_router, outcome_head)
    threshold = float(np.median(gain))
    decisions = CalibratedRouter.from_pretrained(folder, threshold=threshold).route(ASKED)
    assert [d.gain for d in decisions] == pytest.approx(gain.tolist(), abs=1e-6)
    assert [d.escalate for d in decisions] == large(decisions) == (gain > threshold).tolist()
    assert all(d.large_right - d.medium_right == pytest.approx(d.gain) for d in decisions)
    kept = Counter(d.policy for d in decisions if d.served_by == "medium")
    by_confidence = CalibratedRouter.from_pretrained(change_to(folder, decides_by="confidence")).route(ASKED)
    assert [d.confidence for d in by_confidence] == [d.confidence for d in decisions]
    assert [d.gain for d in by_confidence] == [d.gain for d in decisions]  # told all the same
    assert kept[Policy.COMPLEX] > 0 == sum(d.served_by == "medium" for d in by_confidence if d.policy is Policy.COMPLEX)


def change_to(folder: Path, **serving: object) -> Path:
    change(folder, **serving)
    return folder


def test_a_dear_query_must_gain_more(wide_router: FrozenRouter, outcome_head: OutcomeHead, folder: Path) -> None:
    gain, n_tokens = gains(wide_router, outcome_head), wide_router.read(ASKED).n_tokens
    cost = ExtraCost(flat=0.1, per_token=0.02)
    routed = CalibratedRouter.from_pretrained(change_to(folder, extra_cost=cost.model_dump())).route(ASKED)
    assert large(routed) == (gain > 0.05 * (0.1 + 0.02 * n_tokens)).tolist() != (gain > 0.05).tolist()


@pytest.mark.parametrize(("threshold", "served"), [(-np.inf, {True}), (np.inf, {False})])
def test_all_large_and_all_medium_survive_json(
    wide_router: FrozenRouter, outcome_head: OutcomeHead, tmp_path: Path, threshold: float, served: set[bool]
) -> None:
    pack(trained(wide_router), serving(wide_router).at(threshold=threshold, prices=None), tmp_path, outcome_head)
    assert "Infinity" not in (tmp_path / "config.json").read_text()
    assert set(large(CalibratedRouter.from_pretrained(tmp_path).route(ASKED))) == served


def test_prices_move_a_threshold_that_the_value_of_an_answer_chose_and_no_other(folder: Path) -> None:
    def threshold(**options: object) -> float:
        return CalibratedRouter.from_pretrained(folder, **options).serving.threshold

    change(folder, extra_cost={"flat": 0.5, "per_token": 0.1})
    assert threshold(prices=(1, 20)) == 0.05
    assert CalibratedRouter.from_pretrained(folder).serving.extra_cost == ExtraCost(flat=0.5, per_token=0.1)
    assert CalibratedRouter.from_pretrained(folder, prices=(1, 20)).serving.extra_cost == ExtraCost()  # prices are flat
    change(folder, answer_value=200.0, prices={"medium": 1, "large": 11})
    assert threshold(prices=(1, 21)) == threshold(prices=Prices(medium=1, large=21)) == 0.1
    assert threshold(prices=(1, 21), threshold=0.3) == 0.3
    for prices in ((20, 20), (0, 0), (-1, 3), (1, np.nan), Prices(medium=20, large=20)):
        with pytest.raises(OutOfRange, match=r"^price of the"):
            threshold(prices=prices)


@pytest.mark.parametrize("value", [float("nan"), -0.1])
def test_thresholds_that_mean_nothing(wide_router: FrozenRouter, value: float) -> None:
    with pytest.raises(ValueError, match="a threshold"):
        Serving(router=str(wide_router.path), threshold=value)


def test_without_an_outcome_head_nothing_is_decided_by_the_gain(wide_router: FrozenRouter, folder: Path) -> None:
    with pytest.raises(NoOutcomeHead):
        pack(trained(wide_router), serving(wide_router), folder)
    (folder / CONFIG).unlink()
    with pytest.raises(NoOutcomeHead, match=r"packed holds no joint outcome head.*or decide by confidence"):
        CalibratedRouter.from_pretrained(folder)
    change(folder, decides_by="confidence")
    (decision,) = CalibratedRouter.from_pretrained(folder).route(ASKED[:1])
    assert (decision.gain, decision.medium_right, decision.large_right) == (None, None, None)


def test_a_damaged_outcome_head_and_a_router_that_does_not_read_its_blocks(folder: Path) -> None:
    change(folder, layers=[-1])
    with pytest.raises(FeatureMismatch, match="hidden_L1_mean"):
        CalibratedRouter.from_pretrained(folder)
    (folder / WEIGHTS).write_bytes(b"not tensors")
    with pytest.raises(HeadUnusable):
        CalibratedRouter.from_pretrained(folder)


def test_two_outcome_heads_are_two_versions(folder: Path) -> None:
    change(folder, head_version="")
    versions = {CalibratedRouter.from_pretrained(folder).serving.head_version}
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"lineage": {"of": "another"}}))
    versions.add(CalibratedRouter.from_pretrained(folder).serving.head_version)
    assert len(versions) == 2


def test_what_serves_loads_nothing_that_only_training_needs() -> None:
    code = (
        "import sys, routecal; routecal.CalibratedRouter; print({'sklearn', 'scipy.optimize', 'scipy.stats', 'prefect',"
        " 'pyarrow', 'matplotlib', 'routecal.calib.metrics', 'routecal.calib.escalation'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
