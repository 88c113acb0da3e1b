"""A router that is calibrated for Switchyard is exported by a command; a default one is refused."""

import shlex
from pathlib import Path

import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.flows import cli
from routecal.storage.folder_artifact import folder_at
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import join
from routecal.tasks.pack import copy_packed, pack_router
from routecal.tasks.runs import record_run
from routecal.tasks.train import recalibrate_head, train_sft
from tests.calib.switchyard_loader import SwitchyardRouter
from tests.calib.switchyard_made import checkpoint, opened
from tests.tasks.made import policies_for, store_labels, store_queries, texts


def test_a_packed_router_is_written_and_decides_there_as_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = checkpoint("gemma3", tmp_path / "chat")
    reading, asked = Reading(template=opened(folder).template, outcome_layers=()), texts(120)
    router, queries = folder_at(str(folder), "routers"), store_queries(asked)
    features = extract_shard.fn(queries, router, reading).features
    examples = join.fn(queries, store_labels(asked, policies_for(asked, folder)), features)
    plan = CrossFitPlan(folds=3, hidden_units=8, activation="relu", residual=False)
    head = recalibrate_head.fn(examples, features, train_sft.fn(examples, features, plan, SFTConfig(epochs=3, lr=0.1)))
    packed = pack_router.fn(head, router, reading, ServingRule(threshold=0.45))
    record_run("calibrate-1", calibrated=packed)

    assert cli.main(shlex.split("export --to switchyard")) == 0
    said = capsys.readouterr().out
    assert f"encoder  {folder.resolve()}\ntargets  the targets of large and medium, in this order\n" in said
    there = SwitchyardRouter(tmp_path / "router.pt", ["large", "medium"])
    here = CalibratedRouter.from_pretrained(packed.uri)
    assert len(here.head.head.heads) == 3
    output = here.router.read(asked)
    p = here.head.confidence(output.hidden, output.logits)
    scores = there.scores(asked)
    kept = output.policy != 1
    assert abs(here.head.recalibrator(scores[kept, 1].astype(float)) - p[kept]).max() < 1e-5
    assert there.choose(scores) == ["large" if low or up else "medium" for low, up in zip(p < 0.45, ~kept, strict=True)]

    # a copy of the folder, named, and the router under another name
    copy_packed(packed, str(tmp_path / "mine"))
    assert cli.main(shlex.split("export --to switchyard --head mine --encoder me/router --output-file other.pt")) == 0
    assert "mine written to other.pt" in capsys.readouterr().out
    assert (tmp_path / "other.pt").is_file()

    # what calibrate makes by default
    plain = train_sft.fn(examples, features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=1))
    record_run("calibrate-2", calibrated=pack_router.fn(plain, router, reading, ServingRule(threshold=0.45)))
    assert cli.main(shlex.split("export --to switchyard --output-file third.pt")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written for Switchyard: its head reads the router's outputs" in line
    assert "train one with --activation relu" in line
    assert not (tmp_path / "third.pt").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--to switchyard --held-out", "--to switchyard does not read --held-out; leave it out, or change --to"),
        ("--head mine", "--to jsonl does not read --head; leave it out, or change --to"),
        ("--encoder mine", "--to jsonl does not read --encoder; leave it out, or change --to"),
        ("--to switchyard --head mine --run x", "--head takes the place of --run; give one of the two"),
        ("--to switchyard", "no calibrated: run `routecal calibrate` first"),
        ("--to onnx", "--to is 'onnx': give one of jsonl, switchyard"),
    ],
)
def test_options_that_do_not_fit(options: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", *shlex.split(options)]) == 2
    assert capsys.readouterr().err == f"routecal: {sentence}\n"
