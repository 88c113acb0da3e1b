import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from routecal.calib.checkpoint_errors import CheckpointMissing, HeadUnusable
from routecal.calib.head import ConfidenceHead, Ensemble, HeadConfig, load
from routecal.calib.recalibrate import RECALIBRATORS
from routecal.calib.recalibrate.platt import Platt
from tests.calib.made import examples

ROWS = examples(300)


def made(seed: int = 3, **kw) -> ConfidenceHead:
    head = ConfidenceHead(HeadConfig(width=6, hidden_units=8, **kw), seed=seed)
    head.fit_inputs(ROWS.hidden, ROWS.logits, ROWS.y)
    return head


def test_save_and_load_give_the_same_confidence(tmp_path):
    head, lineage = made(residual=False), {"sha256": ["ab", "cd"], "n": 3, "metrics": {"ece": 0.02}}
    head.save_pretrained(tmp_path / "new" / "head", recalibrator=Platt(0.5, 0.1), lineage=lineage)
    loaded = load(tmp_path / "new" / "head")
    expected = head.confidence(ROWS.hidden, ROWS.logits)
    assert (loaded.head.confidence(ROWS.hidden, ROWS.logits) == expected).all()
    assert (loaded.confidence(ROWS.hidden, ROWS.logits) == Platt(0.5, 0.1)(expected)).all()
    assert loaded.recalibrator == Platt(0.5, 0.1)
    assert loaded.config["lineage"] == lineage
    assert bool(loaded.head.heads[0].fitted)
    assert "6 wide" in (tmp_path / "new" / "head" / "README.md").read_text()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "kind",
    [{}, {"pca": 3, "router_outputs": True}, {"residual": False, "dropout": 0.3, "hidden_units": 5}],
    ids=["plain", "inputs", "shape"],
)
def test_every_tensor_and_hyperparameter_survives(tmp_path, kind, dtype):
    head = ConfidenceHead(HeadConfig(**{"width": 6, **kind}), seed=1).to(dtype)
    head.fit_inputs(ROWS.hidden, ROWS.logits, ROWS.y)
    torch.nn.init.normal_(head.last.weight, generator=torch.Generator().manual_seed(0))
    again = ConfidenceHead.from_pretrained(head.save_pretrained(tmp_path))
    assert again.config == head.config
    assert json.loads((tmp_path / "config.json").read_text())["head"].keys() == HeadConfig.model_fields.keys()
    assert again.state_dict().keys() == head.state_dict().keys()
    for name, tensor in head.state_dict().items():
        assert again.state_dict()[name].dtype == tensor.dtype
        assert torch.equal(again.state_dict()[name], tensor)


def test_an_ensemble_survives_in_one_folder(tmp_path):
    ensemble = Ensemble([made(seed, residual=False, pca=2) for seed in range(3)], folds=3)
    ensemble.save_pretrained(tmp_path, recalibrator=Platt(0.5, 0.1), lineage={})
    loaded = load(tmp_path)
    assert (loaded.head.members, loaded.head.folds) == (3, 3)
    expected = ensemble.confidence(ROWS.hidden, ROWS.logits)
    np.testing.assert_array_equal(loaded.confidence(ROWS.hidden, ROWS.logits), Platt(0.5, 0.1)(expected))
    np.testing.assert_array_equal(
        loaded.head.spread(ROWS.hidden, ROWS.logits), ensemble.spread(ROWS.hidden, ROWS.logits)
    )
    assert "Ensemble.from_pretrained" in (tmp_path / "README.md").read_text()


def test_heads_of_the_first_version_still_load(tmp_path):
    """They had neither the later options nor members and metrics."""
    head = made(residual=False)
    head.save_pretrained(tmp_path, recalibrator=Platt(1.0, 0.0), lineage={"stage": "sft"})
    old = {
        "head": {"width": 6, "hidden_units": 8, "dropout": 0.1, "residual": False},
        "recalibrator": {"name": "platt", "slope": 1.0, "intercept": 0.0},
        "lineage": {"stage": "sft"},
    }
    (tmp_path / "config.json").write_text(json.dumps(old))
    assert set(load_file(tmp_path / "head.safetensors")) == {
        *("first.weight", "first.bias", "last.weight", "last.bias"),
        *("mean", "std", "platt", "fitted"),
    }
    expected = head.confidence(ROWS.hidden, ROWS.logits)
    np.testing.assert_array_equal(load(tmp_path).head.confidence(ROWS.hidden, ROWS.logits), expected)
    assert ConfidenceHead.from_pretrained(tmp_path).lineage == {"stage": "sft"}


def test_an_incomplete_folder_is_named(tmp_path):
    made().save_pretrained(tmp_path, recalibrator=Platt(1, 0), lineage={})
    (tmp_path / "head.safetensors").unlink()
    with pytest.raises(CheckpointMissing, match=r"head\.safetensors"):
        load(tmp_path)
    with pytest.raises(CheckpointMissing):
        load(tmp_path / "nowhere")


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def tensors(folder, **changes):
    found = {**load_file(folder / "head.safetensors"), **changes}
    save_file({name: t for name, t in found.items() if t is not None}, folder / "head.safetensors")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: (f / "config.json").write_text("{half"), "config.json is not JSON"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json is not JSON"),
        (lambda f: (f / "config.json").write_text('{"model_type": "gemma3"}'), "another kind of model's"),
        (lambda f: (f / "config.json").write_text("[1]"), "another kind of model's"),
        (lambda f: edit(f, head={"width": 6, "depth": 3}), "depth: Extra inputs are not permitted"),
        (lambda f: edit(f, head={"hidden_units": 8}), "width: Field required"),
        (lambda f: edit(f, head={"width": 7, "hidden_units": 8}), "size mismatch for first.weight"),
        (lambda f: edit(f, head=3), "TypeError"),
        (lambda f: edit(f, recalibrator={"name": "wishful"}), "'wishful' is not a known recalibrator"),
        (lambda f: edit(f, recalibrator={"name": "platt", "slop": 1}), "recalibrator cannot be built"),
        (lambda f: edit(f, recalibrator=None), "recalibrator cannot be built"),
        (lambda f: edit(f, recalibrator={"name": "temperature", "temperature": "hot"}), "recalibrator cannot be built"),
        (lambda f: edit(f, folds=3), "multiple of the 3 folds"),
        (lambda f: edit(f, folds="few"), "ValueError"),
        (lambda f: edit(f, members=2), "belongs to none of 2 members"),
        (lambda f: edit(f, members="two"), "members is 'two', not a count"),
        (lambda f: edit(f, members=0), "members is 0, not a count"),
        (lambda f: (f / "head.safetensors").write_bytes(b""), "head.safetensors is damaged"),
        (
            lambda f: (f / "head.safetensors").write_bytes((f / "head.safetensors").read_bytes()[:-9]),
            "head.safetensors is damaged",
        ),
        (lambda f: tensors(f, mean=None), "KeyError: 'mean'"),
        (lambda f: tensors(f, platt=None), 'Missing key.* "platt"'),
        (lambda f: tensors(f, std=torch.full((6,), torch.nan)), "holds NaN or infinity in std"),
    ],
)
def test_a_damaged_or_foreign_folder_says_what_is_wrong(tmp_path, damage, reason):
    made().save_pretrained(tmp_path, recalibrator=Platt(1, 0), lineage={})
    damage(tmp_path)
    with pytest.raises(HeadUnusable, match=reason) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_serving_a_head_imports_nothing_that_only_fitting_needs(tmp_path):
    for name, fit in RECALIBRATORS.items():
        recalibrator = fit(np.linspace(0.1, 0.9, 50), np.arange(50) % 3 > 0)
        made(start="outputs", pca=3).save_pretrained(tmp_path / name, recalibrator=recalibrator, lineage={})
    needless = {"scipy.stats", "scipy.optimize", "sklearn", "matplotlib", "transformers", "huggingface_hub"}
    needless |= {"pandas", "pyarrow", "duckdb", "fsspec", "prefect", "routecal.calib.metrics"}
    code = (
        "import sys, pathlib, numpy; from routecal import CalibratedRouter; from routecal.calib.head import load;"
        f"heads = [load(folder) for folder in pathlib.Path({str(tmp_path)!r}).iterdir()];"
        "p = [head.confidence(numpy.ones((1, 6)), numpy.ones((1, 3))).item() for head in heads];"
        f"print(len(p), 0 < min(p) <= max(p) < 1, sorted({needless!r} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(len(RECALIBRATORS)), "True", "[]"]
