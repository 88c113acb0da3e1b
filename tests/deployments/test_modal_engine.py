"""`--on modal`: the flow runs here, some steps there; what is refused before, and what is said when Modal fails."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import modal
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from modal._serialization import deserialize, serialize
from modal.config import config
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from routecal.deployments import modal_app, modal_engine
from routecal.deployments.modal_engine import ModalTaskRunner, check, in_home
from routecal.deployments.modal_errors import (
    ModalHomeLocal,
    ModalSecretMissing,
    ModalStepFailed,
    ModalTokenMissing,
    ModalUnusable,
)
from routecal.flows.extract import extract
from routecal.flows.params import ExtractParams
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import folder_at
from routecal.tasks import extras
from routecal.tasks.errors import ExtraMissing, TaskError
from tests.tasks.made import store_queries, texts, write_jsonl
from tests.tasks.test_extras import without

HOME = "memory://modal-home"
Sent = list[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No token of whoever runs the tests; and a home that both sides of one process reach."""
    for name in ("TOKEN_ID", "TOKEN_SECRET", "OAUTH_CLIENT_ID"):
        monkeypatch.delenv(f"MODAL_{name}", raising=False)
    monkeypatch.setattr(modal.config, "_user_config", {})
    monkeypatch.setenv("ROUTECAL_HOME", HOME)
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    modal_engine._stored.cache_clear()


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-nobody")
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-nobody")
    assert config.get("token_id") == "ak-nobody"


@pytest.fixture
def sent(logged_in: None, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What went to Modal, whose part this process plays: the app is up, and functions run here."""
    found: Sent = []

    @contextmanager
    def up() -> Iterator[None]:
        yield

    def call(function: modal.Function, step: str, arguments: Mapping[str, Any]) -> Any:
        found.append((step, dict(arguments)))
        step, arguments = deserialize(serialize((step, dict(arguments))), None)
        # In a context of its own, as in a container, where nobody else runs steps.
        return deserialize(serialize(Context().run(modal_app.run, step, arguments)), None)

    monkeypatch.setattr(modal_engine, "_started", up)
    monkeypatch.setattr(modal_engine, "called", call)
    return found


@pytest.fixture
def on_a_server(prefect_server: None, tmp_path: Path) -> Iterator[None]:
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        yield


@pytest.fixture
def params(router_checkpoint: Path, tmp_path: Path) -> ExtractParams:
    file = write_jsonl(tmp_path / "q.jsonl", [{"query": text} for text in texts(30)])
    return ExtractParams(queries=file, router_path=str(router_checkpoint), shard_size=10)


def test_shards_run_there_once_and_the_cache_is_here(sent: Sent, on_a_server: None, params: ExtractParams) -> None:
    there = params.model_copy(update={"on": "modal:H100"})
    features = extract(there)
    assert [step for step, _ in sent] == ["extract"] * 3
    assert extract(there) == features
    assert len(sent) == 3
    # The step without Modal finds what Modal made, under the same key.
    assert extract(params) == features
    # Nothing that went there lies on this machine.
    assert {own["router"].uri.startswith(f"{HOME}/routers/") for _, own in sent} == {True}
    assert {own["queries"].uri.startswith(f"{HOME}/queries/") for _, own in sent} == {True}


def test_it_makes_what_a_run_here_makes(
    sent: Sent, on_a_server: None, params: ExtractParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = extract(params.model_copy(update={"on": "modal"}))
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "here"))
    assert extract(params) == there
    assert len(sent) == 3


def test_what_routecal_refuses_there_is_said_here(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ExtraMissing("torch", "pipeline")

    monkeypatch.setattr(modal_app.TASKS["extract"], "fn", refuse)
    with pytest.raises(ExtraMissing, match="torch is not installed"), ModalTaskRunner() as runner:
        runner._execute("extract", {})
    assert sent == [("extract", {})]


def test_a_router_is_stored_once_and_what_is_in_the_home_stays(router_checkpoint: Path) -> None:
    router = folder_at(str(router_checkpoint), "routers")
    stored = in_home({"router": router, "rows": [router], "seed": 3, "names": ("a",)})
    assert stored["router"] == stored["rows"][0] == router
    assert stored["router"].uri == f"{HOME}/routers/{router.sha256[:16]}"
    assert (stored["seed"], list(stored["names"])) == (3, ["a"])
    assert in_home(stored["router"]) is stored["router"]
    queries = store_queries(texts(3))
    assert in_home(queries) is queries


def test_a_table_of_this_machine_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "here"))
    queries = store_queries(texts(3))
    monkeypatch.setenv("ROUTECAL_HOME", HOME)
    stored: Artifact = in_home(queries)
    assert stored == queries
    assert stored.uri == f"{HOME}/queries/{queries.sha256[:16]}.parquet"


def test_a_home_of_this_machine_is_refused(logged_in: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path))
    with pytest.raises(ModalHomeLocal, match=f"ROUTECAL_HOME is {tmp_path}, which machines of Modal do not reach; set"):
        check()


def test_a_missing_token_is_one_sentence_before_anything_is_asked() -> None:
    with pytest.raises(ModalTokenMissing) as refused:
        check()
    assert str(refused.value) == (
        "Modal has no token on this machine; run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"
    )
    # Modal itself says the same of a run that begins without the check.
    with pytest.raises(ModalTokenMissing), modal_engine._started():
        pytest.fail("nobody is logged in")


def test_a_flow_without_token_fails_with_the_sentence(on_a_server: None, params: ExtractParams) -> None:
    with pytest.raises(ModalTokenMissing):
        extract.with_options(task_runner=ModalTaskRunner())(params)


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "requires", lambda _: ["modal>=1.6.4; extra == 'modal'"])
    without("modal", monkeypatch)
    with pytest.raises(ExtraMissing, match=r"modal is not installed; run: pip install 'routecal\[modal\]'"):
        check()


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (modal.exception.NotFoundError("Secret 'routecal' not found in environment 'main'"), ModalSecretMissing),
        (modal.exception.NotFoundError("Environment 'x' not found"), ModalUnusable),
        (modal.exception.AuthError("Token validation failed"), ModalUnusable),
        (modal.exception.ConnectionError("Could not connect to the Modal server."), ModalUnusable),
        (modal.exception.InvalidError("unknown GPU type X9"), ModalUnusable),
        (OSError("no route to host"), ModalUnusable),
    ],
)
def test_an_app_that_does_not_start_is_one_sentence(
    raised: Exception, said: type[TaskError], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def fails() -> Iterator[None]:
        raise raised
        yield

    monkeypatch.setattr(modal_app.app, "run", fails)
    with pytest.raises(said) as refused, modal_engine._started():
        pytest.fail("it did not start")
    assert "\n" not in str(refused.value)
    assert "routecal" in str(refused.value) or str(raised).rstrip(".") in str(refused.value)


def test_a_function_that_modal_gives_up_on_is_one_sentence_and_the_run_can_go_on() -> None:
    class Function:
        def remote(self, *_: object) -> None:
            raise modal.exception.FunctionTimeoutError("Task's current input hit its timeout of 3600s\nmore")

    with pytest.raises(ModalStepFailed) as failed:
        modal_engine.called(Function(), "extract", {})
    assert str(failed.value).startswith(
        "the step 'extract' failed on Modal: FunctionTimeoutError: Task's current input hit its timeout of 3600s; "
    )
