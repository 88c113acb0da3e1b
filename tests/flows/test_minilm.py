"""The tests on the real MiniLM, from the package of the extra `encoder`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.flows.calibrate import calibrate
from routecal.flows.params import CalibrateParams, TrainRouterParams
from routecal.flows.train import train_router_flow
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.base_models import base_folder
from routecal.tasks.errors import ExtraMissing
from tests.tasks.made import outcome_rows, texts, write_jsonl


@pytest.fixture(scope="module")
def encoder() -> Path:
    try:
        return Path(base_folder("minilm"))
    except ExtraMissing:
        pytest.skip("the extra `encoder` is not installed")


@pytest.mark.slow
@pytest.mark.usefixtures("states", "plain_report")
def test_the_real_minilm_becomes_a_router_that_serves_with_a_confidence(encoder: Path, tmp_path: Path) -> None:
    asked = texts(260)
    # decided by a word, but for a random fifth
    noise = np.random.default_rng(0).random(len(asked)) < 0.2
    policies = [POLICIES[int(("odd" in text) != flip)].value for text, flip in zip(asked, noise, strict=True)]
    few = write_jsonl(tmp_path / "few.jsonl", outcome_rows(asked[:80], policies[:80]))
    everything = write_jsonl(tmp_path / "all.jsonl", outcome_rows(asked, policies))
    router = train_router_flow(TrainRouterParams(queries=few, base_model="minilm"))
    folder = local_folder(router)
    found = calibrate(CalibrateParams(queries=everything, router_path=str(folder), epochs=2, hidden_units=8))
    assert found.evaluation.methods["SFT + RL"].accuracy > 0.6

    # the states that it decides by are the encoder's sentence embeddings, as normalised
    model, tokenizer = AutoModel.from_pretrained(encoder).eval(), AutoTokenizer.from_pretrained(encoder)
    batch = tokenizer(asked[:40], padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = model(**batch)[0]
    mask = batch["attention_mask"][:, :, None]
    embedding = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    read = FrozenRouter(folder).read([*asked[:40], "word " * 600])
    cosine = (read.hidden[:40] * embedding).sum(1) / np.linalg.norm(read.hidden[:40], axis=1)
    assert cosine.min() > 0.999
    # and of a query that is too long, the start and the end are read
    assert read.n_tokens[-1] == 512
    assert read.truncated.tolist() == [False] * 40 + [True]

    decisions = CalibratedRouter.from_pretrained(local_folder(found.calibrated)).route(asked[:40])
    assert [POLICIES[i] for i in read.policy[:40]] == [d.policy for d in decisions]
