"""Sharing heads: local folders need no network; the real Hub client talks to a Hub on loopback."""

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, constants
from huggingface_hub.errors import HfHubHTTPError

from routecal.calib.checkpoint_errors import CheckpointMissing, HeadUnusable
from routecal.calib.head import ConfidenceHead, Ensemble, HeadConfig
from routecal.calib.recalibrate import Identity
from routecal.calib.recalibrate.platt import Platt
from tests.calib.head.hub_server import TOKEN, serving
from tests.calib.made import examples

ROWS = examples(200)
REPO = "someone/a-head"


def made(seed: int = 3, **kw) -> ConfidenceHead:
    head = ConfidenceHead(HeadConfig(width=6, hidden_units=8, residual=False, **kw), seed=seed)
    head.fit_inputs(ROWS.hidden, ROWS.logits, ROWS.y)
    return head


@pytest.fixture
def offline(monkeypatch):
    """Any request of the Hub client fails."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving() as running:
        yield running


@pytest.mark.usefixtures("offline")
def test_a_local_folder_round_trips_offline_with_all_that_belongs_to_it(tmp_path):
    head = made()
    folder = head.save_pretrained(
        tmp_path / "head", recalibrator=Platt(0.5, 0.1), lineage={"training": {"lr": 0.1}}, metrics={"brier": 0.125}
    )
    again = ConfidenceHead.from_pretrained(str(folder))
    assert isinstance(again, ConfidenceHead)
    raw = head.confidence(ROWS.hidden, ROWS.logits)
    np.testing.assert_array_equal(again.confidence(ROWS.hidden, ROWS.logits), Platt(0.5, 0.1)(raw))
    assert (again.config, again.lineage, again.metrics) == (head.config, {"training": {"lr": 0.1}}, {"brier": 0.125})
    # what was read is what is written again, to the byte
    for name in ("config.json", "head.safetensors", "README.md"):
        assert (again.save_pretrained(tmp_path / "copy") / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.usefixtures("offline")
def test_offline_and_nowhere_is_said(tmp_path):
    with pytest.raises(CheckpointMissing, match="HF_HUB_OFFLINE"):
        ConfidenceHead.from_pretrained("someone/not-there", cache_dir=tmp_path)
    with pytest.raises(CheckpointMissing, match="neither a folder here nor a name of the Hub"):
        ConfidenceHead.from_pretrained("./heads/of/mine", cache_dir=tmp_path)


def test_the_card_is_one_the_hub_can_read(tmp_path):
    made().save_pretrained(tmp_path, metrics={"brier": 0.125, "ece: 10 bins": 0.02})
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.library_name == "routecal"
    assert "calibration" in data.tags
    assert data.metrics == ["brier", "ece: 10 bins"]
    assert [(r.metric_type, r.metric_value) for r in data.eval_results] == [("brier", 0.125), ("ece: 10 bins", 0.02)]
    made().save_pretrained(tmp_path)
    assert ModelCard.load(tmp_path / "README.md").data.metrics is None


@pytest.mark.filterwarnings("default")  # the Hub client's, should its protocol move on
def test_pushed_and_pulled_again_over_http(hub, tmp_path, monkeypatch):
    head = made(pca=3)
    url = head.push_to_hub(
        REPO, recalibrator=Platt(2.0, 0.0), metrics={"brier": 0.1}, private=True, token=TOKEN, endpoint=hub.url
    )
    assert url == f"{hub.url}/{REPO}/commit/{hub.sha(REPO)}"
    assert hub.repositories[REPO].keys() == {"config.json", "head.safetensors", "README.md"}
    assert hub.messages == ["Upload a confidence head"]
    assert hub.visibility == {REPO: "private"}

    again = ConfidenceHead.from_pretrained(REPO, cache_dir=tmp_path, endpoint=hub.url)
    expected = Platt(2.0, 0.0)(head.confidence(ROWS.hidden, ROWS.logits))
    np.testing.assert_array_equal(again.confidence(ROWS.hidden, ROWS.logits), expected)
    assert not any("README" in request and "resolve" in request for request in hub.requests)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # now from the cache alone
    n_requests = len(hub.requests)
    cached = ConfidenceHead.from_pretrained(REPO, cache_dir=tmp_path, endpoint=hub.url)
    assert torch.equal(cached.first.weight, head.first.weight)
    assert len(hub.requests) == n_requests


@pytest.mark.filterwarnings("default")
def test_what_the_hub_refuses_is_an_error(hub, tmp_path):
    with pytest.raises(HfHubHTTPError, match="401"):
        made().push_to_hub(REPO, token="hf_of_somebody_else", endpoint=hub.url)
    with pytest.raises(CheckpointMissing, match="404"):
        ConfidenceHead.from_pretrained("someone/not-there", cache_dir=tmp_path, endpoint=hub.url)


def test_an_ensemble_is_one_folder_and_says_so(tmp_path):
    ensemble = Ensemble([made(0, router_outputs=True), made(1, router_outputs=True)])
    ensemble.save_pretrained(tmp_path, recalibrator=Platt(0.5, 0.0))
    again = Ensemble.from_pretrained(tmp_path)
    assert again.members == 2
    expected = Platt(0.5, 0.0)(ensemble.confidence(ROWS.hidden, ROWS.logits))
    np.testing.assert_array_equal(again.confidence(ROWS.hidden, ROWS.logits), expected)
    with pytest.raises(HeadUnusable, match=r"ensemble of 2 heads: open it with Ensemble\.from_pretrained"):
        ConfidenceHead.from_pretrained(tmp_path)
    made().save_pretrained(tmp_path / "one")
    assert Ensemble.from_pretrained(tmp_path / "one").members == 1
    assert Ensemble.from_pretrained(tmp_path / "one").recalibrator == Identity()
