"""The app on Modal: what its functions do, on which machines, in which image. Without account, and without network."""

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import modal
import pytest
from modal._serialization import deserialize, serialize
from modal._utils.async_utils import synchronizer
from packaging.utils import canonicalize_name

from routecal.calib.errors import NonFinite
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.settings import Reading
from routecal.deployments import modal_app, modal_image
from routecal.deployments.modal_errors import NightFailed
from routecal.root_error import RoutecalError
from routecal.storage.artifact import Artifact
from routecal.tasks import cache
from routecal.tasks.extract import extract_shard
from routecal.tasks.train import recalibrate_head, train_rl, train_sft
from tests.tasks.conftest import made
from tests.tasks.made import Made
from tests.test_layering import ROOT

__all__ = ["made"]

HOME = "s3://bucket/routecal"


@pytest.fixture(autouse=True)
def _no_volume_here() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The .* function is executing locally and will not have access")
        yield


def local(function: modal.Function, step: str, **arguments: Any) -> Any:
    """What a function returns of arguments that went the way of Modal's, and back."""
    sent = deserialize(serialize(((step, arguments), {})), None)
    return deserialize(serialize(function.local(*sent[0], **sent[1])), None)


def translated(outer: Any) -> Any:
    """What Modal keeps behind an object of its interface; neither image nor function says what it is made of."""
    return synchronizer._translate_in(outer)


def spec(function: modal.Function) -> Any:
    """Image, machine, volumes and secrets that the function asks for."""
    return translated(function)._spec


def layers(image: Any) -> list[str]:
    """Every line of the Dockerfiles that Modal would build of an image, from the base on."""
    inner = inspect.getclosurevars(image._load).nonlocals
    bases = [inner["base_image"]] if "base_image" in inner else list((inner.get("base_images") or {}).values())
    below = [line for base in bases for line in layers(base)]
    make: Callable[[str], Any] | None = inner.get("dockerfile_function")
    return below + (make("2025.06").commands if make is not None else [])


def test_a_shard_is_read_as_the_step_reads_it(made: Made) -> None:
    there = local(modal_app.read_router, "extract", queries=made.queries, router=made.router, reading=Reading())
    here = extract_shard.fn(made.queries, made.router, Reading())
    assert there.features == here.features == made.features
    assert there.features.uri == here.features.uri


def test_a_head_is_trained_as_the_steps_train_it(made: Made) -> None:
    data = {"examples": made.examples, "features": made.features}
    plan, sft = CrossFitPlan(folds=3, members=1), SFTConfig(epochs=1)
    start = local(modal_app.train_head, "SFT", **data, plan=plan, cfg=sft)
    assert start == train_sft.fn(**data, plan=plan, cfg=sft)
    rl = local(modal_app.train_head, "RL", **data, start=start, cfg=RLConfig(epochs=1))
    assert rl == train_rl.fn(**data, start=start, cfg=RLConfig(epochs=1))
    assert local(modal_app.train_head, "recalibrate", **data, head=rl) == recalibrate_head.fn(**data, head=rl)


def test_what_routecal_refuses_is_a_result_so_that_modal_does_not_try_it_again(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise NonFinite("the logits", (1, 2), 3)

    monkeypatch.setattr(modal_app.TASKS["fit methods"], "fn", refuse)
    refused = local(modal_app.fit_cell, "fit methods")
    assert isinstance(refused, RoutecalError)
    assert str(refused) == str(NonFinite("the logits", (1, 2), 3))


def test_a_night_prints_what_the_command_prints_and_fails_with_its_sentence() -> None:
    assert modal_app.recalibrate.local("--help").startswith("usage: routecal recalibrate")
    with pytest.raises(NightFailed) as failed:
        modal_app.recalibrate.local("--inbox", "nowhere", "--router-path", "nowhere")
    assert str(failed.value).startswith("routecal recalibrate ended with code 2: routecal: ")
    assert str(deserialize(serialize(failed.value), None)) == str(failed.value)
    # Without options it reads those of the volume, of which there is none here.
    with pytest.raises(NightFailed, match=modal_app.NIGHT):
        modal_app.recalibrate.local()


def test_every_step_that_modal_takes_is_one_that_flows_run() -> None:
    assert set(modal_app.FUNCTION_OF) == {
        *("extract", "train router", "SFT", "SFT from the champion", "RL", "recalibrate", "fit outcome head"),
        *("fit methods", "fit decisions", "fit router", "choose block"),
    }
    assert all(isinstance(task, cache.Task) for task in modal_app.TASKS.values())


def test_texts_are_read_on_a_gpu_and_all_else_on_processors() -> None:
    found = {name: spec(getattr(modal_app, name)) for name in ("read_router", "train_head", "fit_cell", "recalibrate")}
    assert {name: one.gpus for name, one in found.items()} == {
        **dict.fromkeys(("train_head", "fit_cell", "recalibrate")),
        "read_router": "L4",
    }
    assert all(str(next(iter(one.volumes))) == "/routecal" for one in found.values())


@pytest.mark.parametrize(
    ("home", "there"), [(HOME, HOME), ("gs://b/x", "gs://b/x"), ("/srv/artifacts", "/routecal/artifacts")]
)
def test_the_home_is_the_url_of_both_sides_or_the_volume(home: str, there: str) -> None:
    assert modal_app.variables(home)["ROUTECAL_HOME"] == there


def test_the_image_holds_this_environment_at_its_versions_and_names_the_commit() -> None:
    lines = layers(translated(modal_image.image(HOME, "0123456789ab")))
    assert lines[0].startswith(f"FROM python:{sys.version_info.major}.{sys.version_info.minor}.")
    (install,) = (line for line in lines if " pip install " in line and "torch" in line)
    pins = [word.strip("'") for word in install.split() if "==" in word]
    lines_locked = (line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    locked = {f"{canonicalize_name(name)}=={version}" for name, version in lines_locked}
    assert {one.partition("==")[0] for one in pins} > {"torch", "transformers", "prefect", "pyarrow", "packaging"}
    assert "torch==2.13.0" in pins
    assert not [one for one in pins if "+" in one]
    assert {one for one in pins if not one.startswith("setuptools")} <= locked
    assert any("ROUTECAL_COMMIT=0123456789ab" in line for line in lines)
    assert not any("ROUTECAL_COMMIT" in line for line in layers(translated(modal_image.image(HOME, None))))


def test_the_code_in_a_container_is_the_code_here() -> None:
    found = {target: Path(folder) for folder, target in modal_image.sources()}
    metadata = {target for target in found if target.endswith(".dist-info")}
    assert found.keys() - metadata == {f"/root/{name.replace('.', '/')}" for name in modal_image.PACKAGES}
    assert len(metadata) == 1
    for room in ("calib", "storage", "tasks", "flows", "deployments"):
        assert found[f"/root/routecal/{room}"].resolve() == (ROOT / room).resolve()
    assert (found["/root/routecal"] / "root_error.py").is_file()
    assert (found[metadata.pop()] / "METADATA").read_text().splitlines()[1] == "Name: routecal"


def test_references_settings_and_errors_survive_the_way() -> None:
    artifact = Artifact(uri=f"{HOME}/features/ab.parquet", sha256="ab", rows=3, kind="features")
    for value in (artifact, {"targets": {"one": artifact}}, Reading(layers=(1, -1)), NonFinite("p", (0,), 1)):
        back = deserialize(serialize(value), None)
        assert type(back) is type(value)
        assert str(back) == str(value)
    assert deserialize(serialize(artifact), None).uri == artifact.uri
