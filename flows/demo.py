"""Flow `demo`: the whole pipeline on world facts and a real Gemma, ending in the same `calibrate` a user runs."""

from prefect import flow

from routecal.flows.calibrate import calibrate
from routecal.flows.demo_inputs import demo_inputs
from routecal.flows.demo_params import DemoParams
from routecal.flows.evaluate import Evaluated, with_headline
from routecal.flows.param_checks import check
from routecal.flows.params import CalibrateParams, EscalationParams, HeadParams
from routecal.tasks import runs


@flow(name="demo", flow_run_name="demo on {params.questions} world facts")
def demo(params: DemoParams) -> Evaluated:
    """Prepare questions, a model and a router; then calibrate that router."""
    check(params)
    runs.start("demo")
    chosen = {name: getattr(params, name) for form in (HeadParams, EscalationParams) for name in form.model_fields}
    inputs = demo_inputs(params, seed=params.seed)
    own = {"queries": inputs.queries.uri, "shard_size": params.shard_size, **inputs.params}
    return with_headline(calibrate(CalibrateParams(**own, **chosen)))
