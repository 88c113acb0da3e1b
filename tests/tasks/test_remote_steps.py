"""Steps whose bodies somebody else runs: which, with which arguments, and for how long."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import cloudpickle
import pytest
from prefect.tasks import Task

import routecal.tasks
from routecal.tasks.cache import step
from routecal.tasks.remote_steps import run_remotely


@step("double", "double {n}", on=None)
def double(n: int, times: int = 1, version: str = "1") -> int:
    """n * 2 ** times."""
    return n * 2**times


@step("halve", "halve {n}", on=None)
def halve(n: int) -> float:
    """n / 2."""
    return n / 2


def sent_by(steps: set[str], sent: list[Any]) -> Any:
    def execute(name: str, arguments: Mapping[str, Any]) -> Any:
        sent.append((name, dict(arguments)))
        return "from afar"

    return run_remotely(steps, execute)


def test_a_step_that_is_taken_is_sent_with_every_argument_by_name() -> None:
    sent: list[Any] = []
    with sent_by({"double"}, sent):
        assert double.fn(3, version="2") == "from afar"
        assert halve.fn(3) == 1.5
    assert sent == [("double", {"n": 3, "times": 1, "version": "2"})]


def test_steps_run_here_again_afterwards_however_the_block_ends() -> None:
    with pytest.raises(ZeroDivisionError), sent_by({"double"}, []):
        raise ZeroDivisionError
    assert double.fn(3) == 6


def test_a_thread_with_the_context_of_a_flow_sends_too_and_another_does_not() -> None:
    sent: list[Any] = []
    with sent_by({"double"}, sent), ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, double.fn, 4).result() == "from afar"
        assert pool.submit(double.fn, 4).result() == 8
    assert len(sent) == 1


def test_the_task_is_the_one_that_it_was() -> None:
    assert isinstance(double, Task)
    assert (double.name, double.fn.__name__, double.fn.__module__) == ("double", "double", __name__)
    assert "n * 2**times" in (double.source_code or "")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'n'"):
        double.fn()


def tasks_of(package: ModuleType) -> dict[str, Task]:
    modules = [import_module(one.name) for one in walk_packages(package.__path__, f"{package.__name__}.")]
    return {task.name: task for module in modules for task in vars(module).values() if isinstance(task, Task)}


def test_workers_of_ray_and_dask_can_be_sent_every_task() -> None:
    """They get it by value, with every global that its function names: a lock among them would be refused there."""
    tasks = tasks_of(routecal.tasks)
    assert {"extract", "SFT", "predict"} <= tasks.keys()
    for task in tasks.values():
        assert cloudpickle.loads(cloudpickle.dumps(task)).name == task.name
