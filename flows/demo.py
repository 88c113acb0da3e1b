"""Flow `demo`: the whole pipeline on world facts and a real Gemma, ending in the same `calibrate` a user runs."""

from prefect import flow

from flows.calibrate import calibrate
from flows.evaluate import Evaluated
from flows.label import label_queries
from flows.params import CalibrateParams, DemoParams, EscalationParams, HeadParams
from tasks import runs
from tasks.extract import Reading
from tasks.gemma import convert_gemma
from tasks.oracle.prompts import prompts_sha256
from tasks.oracle.spec import LocalOracle
from tasks.queries import make_world_facts, set_apart
from tasks.router import train_router

MODEL = "Gemma-3-270M"
ROUTER_SHARE = 1 / 3


@flow(name="demo", flow_run_name="demo on {params.questions} world facts")
def demo(params: DemoParams) -> Evaluated:
    """Prepare questions, a model and a router; then calibrate that router."""
    runs.start("demo")
    gemma = convert_gemma()
    questions = make_world_facts(params.questions, params.seed)
    for_router, for_head = set_apart(questions, share=ROUTER_SHARE, salt="router")
    oracle = LocalOracle(name=MODEL, checkpoint=gemma, prompts_sha256=prompts_sha256())
    labels = label_queries(for_router, oracle, params.shard_size)
    router = train_router(gemma, for_router, labels, Reading(), params.seed)
    chosen = {name: getattr(params, name) for form in (HeadParams, EscalationParams) for name in form.model_fields}
    return calibrate(
        CalibrateParams(
            queries=for_head.uri,
            router_path=router.uri,
            oracle="local",
            local_model=gemma.uri,
            local_model_name=MODEL,
            shard_size=params.shard_size,
            **chosen,
        )
    )


if __name__ == "__main__":
    from flows.cli import restart

    restart("demo")
