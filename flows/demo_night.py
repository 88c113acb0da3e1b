"""Flow `demo-night`: a night of recalibration on the demo's queries, router and oracle."""

from prefect import flow

from routecal.flows.demo_inputs import demo_inputs
from routecal.flows.demo_params import DemoNightParams, DemoParams
from routecal.flows.errors import OtherRouterServes
from routecal.flows.night_lock import one_night
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.param_checks import check
from routecal.flows.params import EscalationParams
from routecal.flows.recalibrate import night_of, with_headline
from routecal.storage.artifact import Artifact
from routecal.storage.layout import Home
from routecal.tasks import runs
from routecal.tasks.make_router import refer_checkpoint
from routecal.tasks.night import head_decisions
from routecal.tasks.night.night_result import Night
from routecal.tasks.queries import inbox_of


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
        _check_registry(refer_checkpoint(inputs.router.uri))
        prices = {name: DemoParams.model_fields[name].default for name in EscalationParams.model_fields}
        chosen = params.model_dump(exclude={"questions"})
        night = RecalibrateParams(inbox=inbox_of(inputs.queries).uri, **inputs.params, **prices, **chosen)
        check(night)
        # No flow run of its own: an approval is asked for, and given, on the page of this run.
        return with_headline(night_of(night))


def _check_registry(router: Artifact) -> None:
    """A promotion would put the demo's router in the place of the one that serves."""
    serving = head_decisions.in_force()
    if serving is not None and serving.lineage.get("router_sha256") != router.sha256:
        raise OtherRouterServes(Home.from_env().root, serving.number)
