"""The demo's own queries, model and router: what `demo` runs on, and `calibrate` and nights for inputs named `demo`."""

from typing import Any, TypeVar

from flows.label import label_queries
from flows.night_params import RecalibrateParams
from flows.params import DEMO, CalibrateParams, DemoParams
from tasks.extract import Reading
from tasks.gemma import convert_gemma
from tasks.oracle.prompts import prompts_sha256
from tasks.oracle.spec import LocalOracle
from tasks.progress import underway
from tasks.queries import make_world_facts, set_apart
from tasks.router import check_base, train_router

MODEL = "Gemma-3-270M"
ROUTER_SHARE = 1 / 3

Inputs = TypeVar("Inputs", CalibrateParams, RecalibrateParams)


def demo_inputs(params: DemoParams) -> dict[str, Any]:
    """Parameters of `calibrate` that say on what; made once, found again."""
    with underway(f"convert {MODEL}"):
        gemma = convert_gemma()
    questions = make_world_facts(params.questions, params.seed)
    for_router, for_head = set_apart(questions, share=ROUTER_SHARE, salt="router")
    oracle = LocalOracle(name=MODEL, checkpoint=gemma, prompts_sha256=prompts_sha256())
    check_base(gemma, Reading())
    labels = label_queries(for_router, oracle, params.shard_size)
    with underway("train the router"):
        router = train_router(gemma, for_router, labels, Reading(), params.seed)
    return {
        "queries": for_head.uri,
        "router_path": router.uri,
        "oracle": "local",
        "local_model": gemma.uri,
        "local_model_name": MODEL,
        "shard_size": params.shard_size,
    }


def on_the_demo(params: Inputs) -> Inputs:
    """The same parameters with the demo's inputs if they name it, and its prices where none are given."""
    if (params.inbox if isinstance(params, RecalibrateParams) else params.queries) != DEMO:
        return params
    defaults = DemoParams(seed=params.seed)
    found = demo_inputs(defaults)
    if isinstance(params, RecalibrateParams):
        found["inbox"] = found.pop("queries")
    if params.medium_price is None and params.large_price is None:
        found |= {name: getattr(defaults, name) for name in ("medium_price", "large_price", "price_unit")}
    return params.model_copy(update=found)
