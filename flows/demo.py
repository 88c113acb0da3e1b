"""Flows `demo` and `demo-night`: the pipeline and a night on world facts and a real Gemma, by the steps a user runs."""

from typing import Any, NamedTuple

from prefect import flow

from routecal.calib.settings import Reading
from routecal.flows.calibrate import calibrate
from routecal.flows.demo_params import DemoInputs, DemoNightParams, DemoParams
from routecal.flows.errors import OtherRouterServes
from routecal.flows.evaluate import Evaluated, with_headline
from routecal.flows.night_lock import one_night
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.param_checks import check
from routecal.flows.params import CalibrateParams, HeadParams
from routecal.flows.recalibrate import end_night, night_of
from routecal.flows.threshold_params import EscalationParams
from routecal.storage.artifact import Artifact
from routecal.storage.layout import Home
from routecal.tasks import runs
from routecal.tasks.make_router import check_base, convert_gemma, refer_checkpoint, train_router
from routecal.tasks.night import head_decisions
from routecal.tasks.night.night_result import Night
from routecal.tasks.oracle import LocalOracle, label_work, prompts_sha256, run_work
from routecal.tasks.progress import underway
from routecal.tasks.queries import inbox_of, make_world_facts, set_apart

MODEL = "Gemma-3-270M"
ROUTER_SHARE = 1 / 3


@flow(name="demo", flow_run_name="demo on {params.questions} world facts")
def demo(params: DemoParams) -> Evaluated:
    """Prepare questions, a model and a router; then calibrate that router."""
    check(params)
    runs.start("demo")
    chosen = {name: getattr(params, name) for form in (HeadParams, EscalationParams) for name in form.model_fields}
    inputs = demo_inputs(params, seed=params.seed)
    own = {"queries": inputs.queries.uri, "shard_size": params.shard_size, **inputs.params}
    return with_headline(calibrate(CalibrateParams(**own, **chosen)))


@flow(name="demo-night", flow_run_name="a night on {params.questions} world facts")
def demo_night(params: DemoNightParams) -> Night:
    """Prepare what the demo runs on; then one night, by the same steps as a real one.

    Raises:
        OtherRouterServes: the registry serves a head of another router, which this night could replace.
    """
    check(params)
    with one_night():
        runs.start("demo-night")
        inputs = demo_inputs(params, seed=params.seed)
        serving, own = head_decisions.in_force(), refer_checkpoint(inputs.router.uri).sha256
        # A promotion would put the demo's router in the place of the one that serves.
        if serving is not None and serving.lineage.get("router_sha256") != own:
            raise OtherRouterServes(Home.from_env().root, serving.number)
        prices = {name: DemoParams.model_fields[name].default for name in EscalationParams.model_fields}
        chosen = params.model_dump(exclude={"questions"})
        night = RecalibrateParams(inbox=inbox_of(inputs.queries).uri, **inputs.params, **prices, **chosen)
        check(night)
        # No flow run of its own: an approval is asked for, and given, on the page of this run.
        return end_night(night_of(night))


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
