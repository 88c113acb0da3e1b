"""The plan of a labelling run: what it would ask and cost, and nothing else happens."""

import json
import os
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.flows import Flow

from routecal.flows import cli
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.tasks.oracle.planning.plan import LabellingPlan
from tests.flows.api_labels import LARGE, MEDIUM, N, file_of, label_argv
from tests.flows.refusal import Capture, refused
from tests.gemini_server.server import GeminiServer

pytestmark = pytest.mark.usefixtures("_own_results")


def test_a_dry_run_takes_no_key_no_server_and_makes_no_ledger(
    file: str, server: GeminiServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    # From the command line it is no flow run, for which a server of Prefect would have to be started.
    monkeypatch.setattr(Flow, "__call__", lambda *_, **__: pytest.fail("a flow was run"))
    assert cli.main(label_argv(file, server, "--dry-run", "--rpm", "60")) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{N} queries\n")
    assert [line.split()[:3] for line in out.splitlines()[2:4]] == [["medium", MEDIUM, "20"], ["large", LARGE, "20"]]
    assert "what binds is rpm of gemini-3.8-flash" in out
    assert server.requests() == 0
    assert sorted(f.name for f in Path(os.environ["ROUTECAL_HOME"]).iterdir()) == ["queries"]


def test_a_plan_leaves_out_what_is_paid(file: str, server: GeminiServer, capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(label_argv(file, server)) == 0
    asked = server.requests()
    capsys.readouterr()
    assert cli.main(label_argv(file_of(tmp_path / "more.jsonl", N + 5), server, "--dry-run")) == 0
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines()[2:4]] == [["medium", MEDIUM, "5"], ["large", LARGE, "5"]]
    assert f"{2 * N} answers are in the ledger" in out
    # Asked in another way they are other calls.
    assert cli.main(label_argv(file, server, "--dry-run", "--medium-thinking", "high")) == 0
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines()[2:4]] == [["medium", MEDIUM, "20"], ["large", LARGE, "0"]]
    assert server.requests() == asked


def test_a_dry_run_in_prefect_publishes_the_plan(file: str, server: GeminiServer) -> None:
    plan = label(LabelParams(queries=file, oracle="gemini", dry_run=True))
    assert isinstance(plan, LabellingPlan)
    assert (plan.queries, plan.stages[0].calls.likely, server.requests()) == (N, N, 0)
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["label-plan"])))
    assert [artifact.type for artifact in found] == ["markdown"]
    assert f"{N} queries\n" in str(found[0].data)
    assert "Spend tier: Tier 1" in str(found[0].data)


def test_a_model_cannot_break_out_of_the_plan(file: str, server: GeminiServer, tmp_path: Path) -> None:
    hostile = "m\n```\n<script>alert(1)</script>\x1b]0;x\x07"
    prices = tmp_path / "prices.toml"
    price = {"model": hostile, "input_usd": 0.0, "output_usd": 0.0}
    rows = [f"{name} = {json.dumps(value)}" for name, value in price.items()]
    prices.write_text("\n".join(["[[price]]", *rows, "valid_from = 2026-01-01", ""]))
    label(LabelParams(queries=file, oracle="gemini", dry_run=True, medium_model=hostile, prices=str(prices)))
    with get_client(sync_client=True) as client:
        key = ArtifactFilter(key=ArtifactFilterKey(any_=["label-plan"]))
        (found,) = client.read_artifacts(artifact_filter=key, sort=ArtifactSort.CREATED_DESC, limit=1)
    lines = str(found.data).splitlines()
    assert [i for i, line in enumerate(lines) if line.lstrip().startswith("```")] == [0, len(lines) - 1]
    assert r"m\n```\n<script>" in str(found.data)
    assert "\x1b" not in str(found.data)


def test_a_refusal_of_several_lines_keeps_them(file: str, server: GeminiServer, capsys: Capture) -> None:
    assert cli.main(label_argv(file, server, "--medium-model", "m\x1b]0;x\x07")) == 2
    said = capsys.readouterr().err
    assert "\n[[price]]\n" in said
    assert r"no price of m\x1b]0;x\x07 is known" in said
    assert not {"\x1b", "\x07"} & set(said)


@pytest.mark.parametrize("oracle", ["replay", "local"])
def test_what_costs_nothing_has_no_plan(oracle: str, file: str, capsys: Capture) -> None:
    said = refused(capsys, "label", "--queries", file, "--oracle", oracle, "--dry-run")
    assert said == f"the {oracle} oracle calls no paid model and costs nothing; label without --dry-run"
