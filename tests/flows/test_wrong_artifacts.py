"""Artifacts of another kind, of other queries, of another home, or gone: a sentence, and nothing is made."""

import os
import shutil
from pathlib import Path

import pytest

from routecal.flows import cli
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from tests.flows.refusal import Capture, refused
from tests.tasks.made import outcome_rows, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results", "plain_report")


def made(tmp_path: Path, name: str, asked: list[str], policies: list[str], router: Path) -> dict[str, Artifact]:
    """Queries, labels and features of some questions, in the home of now."""
    path = write_jsonl(tmp_path / f"{name}.jsonl", outcome_rows(asked, policies))
    assert cli.main(["label", "--queries", path]) == 0
    assert cli.main(["extract", "--queries", path, "--router-path", str(router)]) == 0
    return {kind: runs.newest_artifact(kind) for kind in ("queries", "labels", "features")}


def test_wrong_artifacts(
    asked: list[str],
    policies: list[str],
    router_checkpoint: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = made(tmp_path, "some", asked[:40], policies[:40], router_checkpoint)
    home = Path(os.environ["ROUTECAL_HOME"])
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "other"))
    others = made(tmp_path, "others", asked[40:80], policies[40:80], router_checkpoint)
    monkeypatch.setenv("ROUTECAL_HOME", str(home))

    # another kind
    said = refused(capsys, "train", "--features", some["labels"].uri)
    assert said.startswith(f"{some['labels'].uri} holds labels, where features are wanted; name a file under features/")
    assert "holds features, where labels are wanted" in refused(capsys, "train", "--labels", some["features"].uri)
    assert "holds labels, where queries are wanted" in refused(capsys, "train", "--queries", some["labels"].uri)
    for file in ("some.jsonl", "cut.parquet"):
        (tmp_path / "cut.parquet").write_bytes(Path(some["labels"].uri).read_bytes()[:-9])
        assert "is not an artifact that routecal wrote, where labels are wanted" in refused(
            capsys, "train", "--labels", str(tmp_path / file)
        )
    assert "where labels are wanted" in refused(capsys, "rejudge", "--labels", some["queries"].uri)

    # other queries
    for kind in ("labels", "features", "queries"):
        said = refused(capsys, "train", f"--{kind}", others[kind].uri)
        assert said.startswith(
            "no query is among the 40 queries, the 40 labels and the 40 features alike; run `routecal"
        )
    assert not (home / "heads").exists()

    # gone
    Path(some["features"].uri).unlink()
    assert "does not exist any more; if it was moved" in refused(capsys, "train")
    shutil.rmtree(home / "labels")
    assert "does not exist any more" in refused(capsys, "stats")
    assert "does not exist any more" in refused(capsys, "train", "--features", others["features"].uri)
    assert not (home / "heads").exists()
