"""A decision comes with a guarantee only as long as everything is what it was given for, and says why not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from routecal.calib import heads_digest
from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.extra_cost import Prices
from routecal.calib.heads_digest import heads_sha256
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.outcome.outcome_folder import WEIGHTS
from routecal.calib.packed_folder import Serving, bound_to, pack
from routecal.calib.policy import PolicyMap
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.guarantee import Bound, Guarantee
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.folder_digest import folder_digest
from tests.calib.conftest import ASKED, READ
from tests.calib.packed import trained

PROMISE = Promise(risk="loss", at_most=0.01, probability=0.95)
NAMED = {"Standard_Query": "flash", "Complex_Query": "pro", "Ambiguous_Query": "pro"}
SENTENCE = "At most 1 point of quality lost against all-large, with 95 % over the draw of 400 labels"


def guaranteed(serving: Serving, router: FrozenRouter, outcome_head: OutcomeHead, threshold: float) -> Serving:
    bound = bound_to(serving, trained(router), outcome_head, folder_digest(router.path))
    guarantee = Guarantee(
        promise=PROMISE,
        n=400,
        threshold=threshold,
        kept=0.3,
        bound=Bound(needs="a" * 64, labels="b" * 64, **bound),
        made_at=datetime(2026, 11, 29, tzinfo=UTC),
    )
    return serving.model_copy(update={"guarantee": guarantee})


@pytest.fixture
def packed(wide_router: FrozenRouter, outcome_head: OutcomeHead, tmp_path: Path) -> Callable[..., Path]:
    """Packs with a promise for a threshold of the need."""

    def build(need: float = 0.05, **rule: Any) -> Path:
        rule = {"decides_by": "gain", "threshold": need} | rule
        serving = Serving(router=str(wide_router.path), **READ, prices=Prices(medium=1, large=20), **rule)
        serving = guaranteed(serving, wide_router, outcome_head, need)
        pack(trained(wide_router), serving, tmp_path / "packed", outcome_head)
        return tmp_path / "packed"

    return build


def no_guarantee(folder: Path, **options: Any) -> str:
    """What all decisions say, checked against the guarantee that they carry."""
    (said,) = {(d.no_guarantee, d.guarantee) for d in CalibratedRouter.from_pretrained(folder, **options).route(ASKED)}
    assert (said[1] is None) == bool(said[0])
    assert said[1] is None or str(said[1]) == SENTENCE
    return said[0]


@pytest.mark.parametrize(
    ("need", "rule"),
    [
        (0.05, {}),
        (-np.inf, {}),
        (np.inf, {}),
        (1 / 3, {}),
        (-0.75, {"decides_by": "confidence", "threshold": 0.75}),
        (-np.inf, {"decides_by": "confidence", "threshold": np.nextafter(1, 2)}),
        (np.inf, {"decides_by": "confidence", "threshold": 0.0}),
    ],
)
def test_it_holds_where_all_is_as_it_was(packed: Callable[..., Path], need: float, rule: dict[str, Any]) -> None:
    folder = packed(need, **rule)
    json.loads((folder / "config.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert no_guarantee(folder) == ""


def change(folder: Path, *path: str | int, value: Any) -> None:
    """Set one value of config.json."""
    config = json.loads((folder / "config.json").read_text())
    at = config
    for name in path[:-1]:
        at = at[name]
    assert at[path[-1]] != value
    at[path[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


def damage_outcome_head(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(data))


SERVED = ("lineage", "serving")
MAP = (*SERVED, "policy_map", "models")


@pytest.mark.parametrize(
    ("meddle", "why"),
    [
        (damage_outcome_head, "the head is another one"),
        (lambda folder: change(folder, "recalibrator", "slope", value=0.5), "the head is another one"),
        (lambda folder: change(folder, *SERVED, "prices", "large", value=30), "the prices are others"),
        (lambda folder: change(folder, *MAP, "Ambiguous_Query", value="large"), "the policy map is another one"),
        (lambda folder: change(folder, *MAP, "Complex_Query", value="pro"), "the policy map is another one"),
        (lambda folder: change(folder, *SERVED, "extra_cost", "per_token", value=0.1), "the prices are others"),
        (lambda folder: change(folder, *SERVED, "guarantee", "bound", "router", value="c" * 64), "router is another"),
        (lambda folder: change(folder, *SERVED, "guarantee", "bound", "template", value="c" * 64), "prompt template"),
        (lambda folder: change(folder, *SERVED, "threshold", value=0.06), "the threshold is not the promised one"),
        (lambda folder: change(folder, *SERVED, "guarantee", value=None), "the folder was packed without one"),
    ],
)
def test_it_is_void_where_something_changed(
    packed: Callable[..., Path], meddle: Callable[[Path], None], why: str
) -> None:
    folder = packed()
    meddle(folder)
    said = no_guarantee(folder)
    assert said.startswith("no guarantee: ")
    assert why in said


def test_a_folder_and_a_guarantee_that_name_no_map_have_the_default_one(packed: Callable[..., Path]) -> None:
    folder = packed()
    config = json.loads((folder / "config.json").read_text())
    for part in (config["lineage"]["serving"], config["lineage"]["serving"]["guarantee"]["bound"]):
        del part["policy_map"]
    (folder / "config.json").write_text(json.dumps(config))
    assert no_guarantee(folder) == ""
    change(folder, *SERVED, value=config["lineage"]["serving"] | {"policy_map": {"models": NAMED}})
    assert "the policy map is another one" in no_guarantee(folder)


def test_another_map_is_packed_promised_and_served(packed: Callable[..., Path]) -> None:
    by_confidence = {"decides_by": "confidence", "threshold": 0.0, "policy_map": PolicyMap(models=NAMED)}
    folder = packed(np.inf, **by_confidence)
    assert no_guarantee(folder) == ""
    routed = CalibratedRouter.from_pretrained(folder).route(ASKED)
    assert [d.model for d in routed] == [NAMED[d.policy] for d in routed]


def test_another_threshold_or_price_of_the_caller_s_voids_it(packed: Callable[..., Path]) -> None:
    folder = packed()
    assert no_guarantee(folder, threshold=0.05) == ""
    assert "the threshold is not the promised one" in no_guarantee(folder, threshold=0.04)
    assert no_guarantee(folder, prices=(1, 20)) == ""
    assert "the prices are others" in no_guarantee(folder, prices=(1, 21))


def test_an_alarm_voids_it_until_it_is_taken_back(packed: Callable[..., Path]) -> None:
    router = CalibratedRouter.from_pretrained(packed())
    router.alarm = "the medium model was replaced"
    (decision,) = router.route(ASKED[:1])
    assert (decision.guarantee, decision.no_guarantee) == (None, "no guarantee: the medium model was replaced")
    router.alarm = ""
    assert str(router.route(ASKED[:1])[0].guarantee) == SENTENCE


def test_heads_are_named_by_their_numbers(wide_router: FrozenRouter, outcome_head: OutcomeHead) -> None:
    head, cells = trained(wide_router), outcome_head.cells
    turned = Cells(cells.medium[::-1], cells.large[::-1], cells.policy[::-1])
    names = [heads_sha256(head, one) for one in (None, outcome_head, OutcomeHead(turned, outcome_head.readers))]
    assert len(set(names)) == 3
    assert heads_sha256(trained(wide_router), outcome_head) == names[1]


def test_beside_an_outcome_head_the_numbers_of_the_confidence_head_count_too(
    wide_router: FrozenRouter, outcome_head: OutcomeHead
) -> None:
    head = trained(wide_router)
    before = heads_sha256(head, outcome_head)
    with torch.no_grad():
        next(iter(head.head.parameters())).add_(1.0)
    assert heads_sha256(head, outcome_head) != before


def test_the_order_in_which_a_recalibrator_is_written_does_not_count(
    wide_router: FrozenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, names = trained(wide_router), set()
    for stored in ({"slope": 1, "name": "platt"}, {"name": "platt", "slope": 1}):
        monkeypatch.setattr(heads_digest, "to_json", lambda recalibrator, stored=stored: stored)
        names.add(heads_sha256(head, None))
    assert len(names) == 1
