"""Requests decided together: each gets its own result, a bad one harms no other, and who left costs nothing (24)."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from routecal.deployments.router_service.batcher import Batcher, Overloaded


def run(play: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(play(), 20)

    asyncio.run(limited())


class Doubles:
    """Twice each number, slowly; remembers its lists. 13 is refused."""

    def __init__(self, seconds: float = 0.3) -> None:
        self.lists: list[list[int]] = []
        self.threads: set[int] = set()
        self._seconds = seconds

    def __call__(self, numbers: list[int]) -> list[int]:
        self.lists.append(numbers)
        self.threads.add(threading.get_ident())
        time.sleep(self._seconds)
        if 13 in numbers:
            raise ValueError("13 is unlucky")
        return [2 * n for n in numbers]


def test_what_comes_while_one_is_decided_goes_together() -> None:
    async def play() -> None:
        doubles = Doubles()
        batcher = Batcher(doubles, at_most=4)
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0.005)
        rest = [asyncio.create_task(batcher.ask(i)) for i in range(1, 8)]
        assert await asyncio.gather(first, *rest) == [2 * i for i in range(8)]
        assert doubles.lists == [[0], [1, 2, 3, 4], [5, 6, 7]]
        assert len(doubles.threads) == 1
        batcher.close()

    run(play)


def test_one_that_is_refused_harms_no_other() -> None:
    async def play() -> None:
        batcher = Batcher(Doubles(0.0))
        found = await asyncio.gather(*(batcher.ask(i) for i in range(10, 18)), return_exceptions=True)
        assert [one for one in found if isinstance(one, int)] == [20, 22, 24, 28, 30, 32, 34]
        assert str(found[3]) == "13 is unlucky"
        assert await batcher.ask(5) == 10
        batcher.close()

    run(play)


def test_who_left_is_not_decided() -> None:
    async def play() -> None:
        doubles = Doubles()
        batcher = Batcher(doubles)
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0.005)
        rest = [asyncio.create_task(batcher.ask(i)) for i in range(1, 9)]
        await asyncio.sleep(0)
        rest[3].cancel()
        found = await asyncio.gather(first, *rest, return_exceptions=True)
        assert isinstance(found[4], asyncio.CancelledError)
        assert doubles.lists == [[0], [1, 2, 3, 5, 6, 7, 8]]
        batcher.close()

    run(play)


def test_one_that_leaves_while_it_is_decided_changes_nothing_for_the_others() -> None:
    async def play() -> None:
        batcher = Batcher(Doubles())
        tasks = [asyncio.create_task(batcher.ask(i)) for i in range(8)]
        await asyncio.sleep(0.01)
        tasks[2].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one for one in found if isinstance(one, int)] == [2 * i for i in range(8) if i != 2]
        assert await batcher.ask(9) == 18
        batcher.close()

    run(play)


def test_more_than_may_wait_are_refused_at_once() -> None:
    async def play() -> None:
        batcher = Batcher(Doubles(), at_most=1, waiting=2)
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0.005)
        waiting = [asyncio.create_task(batcher.ask(i)) for i in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await batcher.ask(3)
        assert await asyncio.gather(first, *waiting) == [0, 2, 4]
        batcher.close()

    run(play)


def test_a_function_that_gives_too_few_results_is_found_out() -> None:
    async def play() -> None:
        batcher: Batcher[int, int] = Batcher(lambda numbers: [])
        with pytest.raises(RuntimeError, match="0 results for 1 items"):
            await batcher.ask(1)
        batcher.close()

    run(play)
