"""The demo's own queries, model and router: what `demo` runs on, and `calibrate` for queries named `demo`."""

from typing import Any

from flows.label import label_queries
from flows.params import CalibrateParams, DemoParams
from tasks.extract import Reading
from tasks.gemma import convert_gemma
from tasks.oracle.prompts import prompts_sha256
from tasks.oracle.spec import LocalOracle
from tasks.queries import make_world_facts, set_apart
from tasks.router import train_router

# A name that stands for the demo's in place of a file of queries.
DEMO = "demo"
MODEL = "Gemma-3-270M"
ROUTER_SHARE = 1 / 3


def demo_inputs(params: DemoParams) -> dict[str, Any]:
    """Parameters of `calibrate` that say on what; made once, found again."""
    gemma = convert_gemma()
    questions = make_world_facts(params.questions, params.seed)
    for_router, for_head = set_apart(questions, share=ROUTER_SHARE, salt="router")
    oracle = LocalOracle(name=MODEL, checkpoint=gemma, prompts_sha256=prompts_sha256())
    labels = label_queries(for_router, oracle, params.shard_size)
    router = train_router(gemma, for_router, labels, Reading(), params.seed)
    return {
        "queries": for_head.uri,
        "router_path": router.uri,
        "oracle": "local",
        "local_model": gemma.uri,
        "local_model_name": MODEL,
        "shard_size": params.shard_size,
    }


def on_the_demo(params: CalibrateParams) -> CalibrateParams:
    """The same parameters with the demo's inputs, and its prices where none are given."""
    defaults = DemoParams(seed=params.seed)
    prices = {name: getattr(defaults, name) for name in ("medium_price", "large_price", "price_unit")}
    given = params.medium_price is not None or params.large_price is not None
    return params.model_copy(update=demo_inputs(defaults) | ({} if given else prices))
