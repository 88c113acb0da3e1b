"""`--on modal`: a task runner under which some steps run on Modal, each as the Prefect task that it is here.

The flow, its cache and its state stay on this machine. Every step that is not finished sends its arguments, references
to artifacts and settings, and gets a reference back; the artifacts themselves lie in a home that both sides reach.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any, Self

from prefect.task_runners import ThreadPoolTaskRunner

from routecal.deployments.modal_errors import (
    ModalHomeLocal,
    ModalSecretMissing,
    ModalStepFailed,
    ModalTokenMissing,
    ModalUnusable,
)
from routecal.root_error import RoutecalError
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.atomic import local_path
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.extras import require
from routecal.tasks.remote_steps import run_remotely

_storing = threading.Lock()


def check() -> None:
    """Refuse what cannot work, without asking Modal: before a run starts.

    Raises:
        ExtraMissing: the package is not installed.
        ModalHomeLocal: Modal's machines could not read the artifacts.
        ModalTokenMissing: nobody is logged in here.
    """
    require("modal")
    from modal.config import config

    home = Home.from_env().root
    if "://" not in home:
        raise ModalHomeLocal(home)
    if not ((config.get("token_id") and config.get("token_secret")) or config.get("oauth_client_id")):
        raise ModalTokenMissing()


class ModalTaskRunner(ThreadPoolTaskRunner[Any]):
    """Runs submitted tasks in threads, which wait for Modal where it does their step.

    Args:
        gpu: that reads texts, as H100; None takes the app's own.
        max_workers: steps at once; None takes as many as the app has containers.
    """

    def __init__(self, gpu: str | None = None, max_workers: int | None = None) -> None:
        from routecal.deployments.modal_app import MAX_CONTAINERS

        super().__init__(max_workers=max_workers or MAX_CONTAINERS)
        self.n_workers = max_workers or MAX_CONTAINERS
        self._gpu = gpu
        self._app = ExitStack()

    def duplicate(self) -> "ModalTaskRunner":
        """The same, not started."""
        return type(self)(self._gpu, self.n_workers)

    def __enter__(self) -> Self:
        from routecal.deployments import modal_app

        check()
        self._app.enter_context(_started())
        self._app.enter_context(run_remotely(modal_app.FUNCTION_OF.keys(), self._execute))
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        # First the app: threads that wait for a function end with it, and an interrupted run costs nothing more.
        try:
            self._app.close()
        finally:
            super().__exit__(exc_type, exc_value, traceback)

    def _execute(self, step: str, arguments: Mapping[str, Any]) -> Any:
        from routecal.deployments import modal_app

        function = modal_app.FUNCTION_OF[step]
        if self._gpu is not None and function is modal_app.read_router:
            function = function.with_options(gpu=self._gpu)
        result = called(function, step, {name: in_home(value) for name, value in arguments.items()})
        if isinstance(result, RoutecalError):
            raise result
        return result


def called(function: Any, step: str, arguments: Mapping[str, Any]) -> Any:
    """What a function of Modal's returns.

    Raises:
        ModalStepFailed: it raised, ran out of time, or Modal lost it.
    """
    try:
        return function.remote(step, arguments)
    # Modal has errors of its own, and raises those of the function as they are.
    except Exception as error:
        raise ModalStepFailed(step, _reason(error)) from error


@contextmanager
def _started() -> Iterator[None]:
    """The app runs for as long as the block does.

    Raises:
        ModalTokenMissing, ModalSecretMissing, ModalUnusable: it does not start.
    """
    import modal

    from routecal.deployments.modal_app import NAME, app

    with ExitStack() as stack:
        try:
            stack.enter_context(app.run())
        except modal.exception.AuthError as error:
            raise (ModalTokenMissing() if "missing" in str(error) else ModalUnusable(_reason(error))) from error
        except modal.exception.NotFoundError as error:
            raise (
                ModalSecretMissing(NAME) if "secret" in str(error).lower() else ModalUnusable(_reason(error))
            ) from error
        except (modal.exception.Error, OSError) as error:
            raise ModalUnusable(_reason(error)) from error
        yield


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(":. ")


def in_home(value: Any) -> Any:
    """The same argument with every artifact in it in the home, stored there if it lay on this machine alone."""
    if isinstance(value, Artifact):
        if local_path(value.uri) is None:
            return value
        with _storing:
            return _stored(value, Home.from_env())
    if isinstance(value, Mapping):
        return {name: in_home(one) for name, one in value.items()}
    return [in_home(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _stored(artifact: Artifact, home: Home) -> Artifact:
    path = Path(artifact.uri)
    if not path.is_dir():
        return write_table(read_table(artifact), artifact.kind, home=home, metadata=read_metadata(artifact))

    def copy(folder: Path) -> None:
        copytree(local_folder(artifact), folder, dirs_exist_ok=True)

    return write_folder(artifact.kind, copy, home=home)
