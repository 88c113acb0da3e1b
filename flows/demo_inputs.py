"""What the demo runs on: its own queries, router and model."""

from typing import Any, NamedTuple

from routecal.calib.settings import Reading
from routecal.flows.demo_params import DemoInputs
from routecal.storage.artifact import Artifact
from routecal.tasks.gemma import convert_gemma
from routecal.tasks.make_router import check_base, train_router
from routecal.tasks.oracle import LocalOracle, label_work, prompts_sha256, run_work
from routecal.tasks.progress import underway
from routecal.tasks.queries import make_world_facts, set_apart

MODEL = "Gemma-3-270M"
ROUTER_SHARE = 1 / 3


class Inputs(NamedTuple):
    """What the demo makes.

    Attributes:
        queries: for the head; the router has learned from others.
        router: learned from answers of the model.
        model: answers, with and without a fact sheet.
    """

    queries: Artifact
    router: Artifact
    model: Artifact

    @property
    def params(self) -> dict[str, Any]:
        """Those of `calibrate` and of a night that say which router and which oracle."""
        return {
            "router_path": self.router.uri,
            "oracle": "local",
            "local_model": self.model.uri,
            "local_model_name": MODEL,
        }


def demo_inputs(params: DemoInputs, *, seed: int) -> Inputs:
    """Make questions, model and router; a second run finds them made."""
    with underway(f"convert {MODEL}"):
        gemma = convert_gemma()
    questions = make_world_facts(params.questions, seed)
    for_router, for_head = set_apart(questions, share=ROUTER_SHARE, salt="router")
    oracle = LocalOracle(name=MODEL, checkpoint=gemma, prompts_sha256=prompts_sha256())
    check_base(gemma, Reading())
    labels, _ = run_work(label_work(for_router, oracle, params.shard_size))
    with underway("train the router"):
        router = train_router(gemma, for_router, labels, Reading(), seed)
    return Inputs(for_head, router, gemma)
