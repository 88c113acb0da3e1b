"""What the demo runs on: its own queries, router and model."""

from typing import NamedTuple

from flows.demo_params import DemoInputs
from flows.label import label_queries
from tasks.extract import Reading
from tasks.gemma import convert_gemma
from tasks.oracle.prompts import prompts_sha256
from tasks.oracle.spec import LocalOracle
from tasks.progress import underway
from tasks.queries import make_world_facts, set_apart
from tasks.router import check_base, train_router

MODEL = "Gemma-3-270M"
ROUTER_SHARE = 1 / 3


class Inputs(NamedTuple):
    """The parameters of `calibrate` that say what it runs on.

    Attributes:
        queries: for the head; the router has learned from others.
        router_path: folder of the router.
        local_model: folder of the model that answers.
        local_model_name: what the report calls it.
    """

    queries: str
    router_path: str
    local_model: str
    local_model_name: str = MODEL


def demo_inputs(params: DemoInputs, *, seed: int) -> Inputs:
    """Make questions, model and router; a second run finds them made."""
    with underway(f"convert {MODEL}"):
        gemma = convert_gemma()
    questions = make_world_facts(params.questions, seed)
    for_router, for_head = set_apart(questions, share=ROUTER_SHARE, salt="router")
    oracle = LocalOracle(name=MODEL, checkpoint=gemma, prompts_sha256=prompts_sha256())
    check_base(gemma, Reading())
    labels = label_queries(for_router, oracle, params.shard_size)
    with underway("train the router"):
        router = train_router(gemma, for_router, labels, Reading(), seed)
    return Inputs(queries=for_head.uri, router_path=router.uri, local_model=gemma.uri)
