"""Cells: nothing that is chosen or fitted depends on a test label, and the predictions are those of the test rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from routecal.calib.examples import Examples
from routecal.calib.router.pooling import DEFAULT as LAST
from routecal.calib.trial import ablation
from routecal.calib.trial.methods import DEFAULT, METHODS
from routecal.storage.artifact import Artifact, read_metadata, read_table
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.benchmark import fit_cells
from routecal.tasks.benchmark.features import load_features
from routecal.tasks.benchmark.fit_cells import choose_block, fit_cell, fit_router
from tests.tasks.benchmark.conftest import Small
from tests.tasks.benchmark.made import permuted

FEW = {name: ablation.VARIANTS[name] for name in (ablation.REFERENCE, "SFT twice")}


def cell(small: Small, rows: Artifact, group: str, *, router: Artifact | None = None, **changes: Any) -> Artifact:
    one = small.sets[0]
    how = {"targets": {one.name: rows}, "division": 0, "seed": 0, "block": LAST} | changes
    return fit_cell.fn(
        name=one.name,
        kind="regularised",
        group=group,
        labels=1000,
        rows=rows,
        features=small.features,
        router=router or small.router,
        **how,
    )


def predicted(artifact: Artifact) -> dict[tuple[str, str, str], float]:
    """p by (target, method, query)."""
    table = read_table(artifact)
    keys = zip(*(table[name].to_pylist() for name in ("target", "method", "query_id")), strict=True)
    return dict(zip(keys, table["p"].to_pylist(), strict=True))


def correct(artifact: Artifact) -> list[bool]:
    return read_table(artifact)["is_correct"].to_pylist()


def weights(router: Artifact) -> np.ndarray:
    return np.load(local_folder(router) / "weights.npy")


@pytest.mark.parametrize("group", [*METHODS, ablation.GROUP])
def test_no_test_label_changes_a_prediction(small: Small, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "VARIANTS", FEW)
    rows = small.sets[0].rows
    as_is, dealt_anew = (cell(small, r, group) for r in (rows, permuted(rows, "test")))
    assert predicted(as_is) == predicted(dealt_anew)
    assert correct(as_is) != correct(dealt_anew)


def test_labels_of_the_labelled_part_do(small: Small) -> None:
    rows = small.sets[0].rows
    as_is, dealt_anew = (predicted(cell(small, r, "heads")) for r in (rows, permuted(rows, "labelled")))
    assert as_is.keys() == dealt_anew.keys()
    assert as_is != dealt_anew


@pytest.mark.parametrize("kind", ["regularised", "overconfident"])
def test_the_router_is_made_of_its_own_part_alone(small: Small, kind: str) -> None:
    one = small.sets[0]
    made = {
        part: fit_router.fn(one.name, kind, 0, permuted(one.rows, part), small.features)
        for part in ("test", "labelled", "router")
    }
    plain = fit_router.fn(one.name, kind, 0, one.rows, small.features)
    assert [made[part].sha256 == plain.sha256 for part in made] == [True, True, False]


def test_the_overconfident_router_is_surer_than_it_is_right(small: Small) -> None:
    one = small.sets[0]
    table = read_table(one.rows)
    test = table.filter(np.array(table["part"].to_pylist()) == "test")
    hidden = load_features(small.features).of(test["query_id"].to_pylist())
    sure = {}
    for kind in ("regularised", "overconfident"):
        logits = hidden @ weights(fit_router.fn(one.name, kind, 0, one.rows, small.features)).T
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
        sure[kind] = float((q.max(axis=1) / q.sum(axis=1)).mean())
    assert sure["overconfident"] > sure["regularised"] + 0.05


def test_the_block_is_chosen_without_test_labels(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Examples] = []
    choose = fit_cells.blocks_of.choose_blocks
    monkeypatch.setattr(fit_cells.blocks_of, "choose_blocks", lambda b, e, **how: seen.append(e) or choose(b, e, **how))
    one = small.sets[0]
    chosen = [
        choose_block.fn(one.name, "regularised", 0, 0, 1000, rows, small.features, small.router)
        for rows in (one.rows, permuted(one.rows, "test"))
    ]
    assert chosen[0] == chosen[1]
    assert chosen[0] in load_features(small.features).blocks
    assert np.array_equal(seen[0].y, seen[1].y)
    assert set(seen[0].split.tolist()) == {"train", "calibration", "validation"}


def test_what_is_predicted_carries_no_true_policy(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Examples] = []

    def fit(labelled: Examples, *, seed: int) -> dict[str, Callable[[Examples], np.ndarray]]:
        return {"spy": lambda examples: seen.append(examples) or np.full(len(examples), 0.5)}

    monkeypatch.setattr(fit_cells, "_fit_of", lambda group: fit)
    found = read_table(cell(small, small.sets[0].rows, "heads"))
    assert set(seen[0].true_policy.tolist()) == {0}
    assert 0 < sum(found["is_correct"].to_pylist()) < found.num_rows


def test_predictions_are_of_the_test_rows_of_every_target(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_cells, "SHIFTED_ROWS", 40)
    first, second = small.sets
    found = cell(small, first.rows, "baselines", targets={first.name: first.rows, second.name: second.rows})
    table = read_table(found)
    for one, n in ((first, None), (second, 40)):
        rows = read_table(one.rows)
        test = {
            q for q, part in zip(rows["query_id"].to_pylist(), rows["part"].to_pylist(), strict=True) if part == "test"
        }
        own = {key[2] for key in predicted(found) if key[0] == one.name}
        assert own <= test
        assert len(own) == (n or len(test))
    assert set(table["method"].to_pylist()) >= {"constant", "max_prob", "temperature", "probe"}
    assert read_metadata(found)["set"] == first.name


def test_a_seed_draws_and_trains_anew_and_repeats_itself(small: Small) -> None:
    rows = small.sets[0].rows
    first, again, other = (cell(small, rows, "heads", seed=seed) for seed in (0, 0, 1))
    assert first == again
    ours = [[p for key, p in predicted(a).items() if key[1] == DEFAULT] for a in (first, other)]
    assert ours[0] != ours[1]


def test_another_block_is_another_prediction_by_the_same_router(small: Small) -> None:
    rows = small.sets[0].rows
    last, inner = (cell(small, rows, "baselines", block=block) for block in (LAST, "hidden_L1_mean"))
    assert correct(last) == correct(inner)
    a, b = predicted(last), predicted(inner)
    assert all(a[key] == b[key] for key in a if key[1] == "max_prob")
    assert any(a[key] != b[key] for key in a if key[1] == "probe")
