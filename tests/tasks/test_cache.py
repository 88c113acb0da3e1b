"""What makes a finished step stale."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from routecal.calib.errors import UnknownName
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import cache_on, files_of, stands


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two importable modules, `named_in_the_policy` and `not_named`."""
    for name in ("named_in_the_policy", "not_named"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def key(**inputs: object) -> str | None:
    policy = cache_on("named_in_the_policy", "tasks.cache")
    return policy.compute_key(task_ctx=None, inputs=inputs, flow_parameters={})  # type: ignore[arg-type]


def test_only_inputs_and_the_named_modules_count(modules: Path) -> None:
    first = key(seed=1)
    assert first is not None
    assert key(seed=1) == first
    assert key(seed=2) != first
    (modules / "not_named.py").write_text("x = 2\n")
    assert key(seed=1) == first
    (modules / "named_in_the_policy.py").write_text("x = 2\n")
    assert key(seed=1) != first
    (modules / "named_in_the_policy.py").write_text("x = 1\n")
    assert key(seed=1) == first


def test_a_package_counts_with_all_its_files(modules: Path) -> None:
    (modules / "named_in_the_policy.py").unlink()
    (inner := modules / "named_in_the_policy" / "inner").mkdir(parents=True)
    for folder in (inner.parent, inner):
        (folder / "__init__.py").write_text("")
    (inner / "leaf.py").write_text("x = 1\n")
    first = key(seed=1)
    (inner / "leaf.py").write_text("x = 2\n")
    assert key(seed=1) != first


def test_what_is_imported_counts_and_what_only_types_need_does_not() -> None:
    names = {file.name for file in files_of("routecal.calib.learn.cross_fit")}
    assert {"cross_fit.py", "examples.py", "model.py", "residual_start.py", "temperature.py"} <= names
    assert not names & {"sft.py", "rl_config.py", "errors.py", "checkpoint_errors.py", "boosted.py"}
    # A step's own module counts with its own text: it imports for all of its steps.
    assert {file.name for file in files_of("routecal.tasks.train")} == {"train.py"}


def test_a_misspelt_module_is_an_error() -> None:
    with pytest.raises(UnknownName, match=r"'routecal\.calib\.haed' is not a known module"):
        cache_on(__name__, "calib.haed")


def test_a_result_stands_while_all_it_refers_to_is_there(tmp_path: Path) -> None:
    home = Home(root=str(tmp_path))
    one = write_folder("heads", lambda folder: (folder / "a").write_text("1") and None, home=home)
    two = write_folder("heads", lambda folder: (folder / "a").write_text("2") and None, home=home)

    class Result(BaseModel):
        heads: dict[str, Artifact]
        names: tuple[str, ...] = ("x",)

    results = [one, [one, two], Result(heads={"one": one, "two": two}), {"deep": [(two,)]}]
    assert all(map(stands, [*results, 3, "text", None]))
    (Path(two.uri) / "a").unlink()
    Path(two.uri).rmdir()
    assert list(map(stands, results)) == [True, False, False, False]
