"""What `routecal serve-router` adds to the router that decides: CPU, time to a decision, queries per second, relaying.

The service is a process of its own, and so is the model server behind it. Of CPU, the service's own is counted, by the
system, over hundreds of requests; what the router itself takes for the same queries in the same batches is measured
beside it and taken off. That is done with a router of one small layer, since 1.5 ms could not be told beside the 100
and more that a real one takes. Times are those of a router of the real Gemma-3-270M. Needs the extras `demo`, `router`:

    python -m tests.bench.router [REQUESTS]
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import numpy as np
import psutil
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.policy import POLICIES, OracleMatrix
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.make_router import convert_gemma
from routecal.tasks.worldfacts import world_facts
from tests.bench.bars import Bar, constant, report
from tests.calib.packed import trained
from tests.deployments.router_service.raw_upstream import STREAM_HEAD, Asked, Line, event, raw_upstream
from tests.deployments.router_service.raw_upstream import answers as whole_answers

CHUNKS, IN_FLIGHT, ROUNDS = 100, 16, 5


def tiny_router(base: Path, folder: Path) -> None:
    """One layer of 32 numbers, with Gemma's own tokenizer."""
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 1}
    labels = {i: policy.value for i, policy in enumerate(POLICIES)}
    of_labels = {"num_labels": len(labels), "id2label": labels, "label2id": {name: i for i, name in labels.items()}}
    config = AutoConfig.from_pretrained(base, **sizes, num_key_value_heads=1, head_dim=32, **of_labels)
    config.layer_types = ["full_attention"]
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def packed(router_path: Path, folder: Path, queries: Sequence[str]) -> Path:
    """A head that decides by the gain, with weights of chance."""
    router = FrozenRouter(router_path, outcome_layers=None)
    output, cells = router.read(queries), Cells.of(OracleMatrix())
    blocks = {name: output.blocks[name].astype(np.float32) for name in router.outcome_blocks}
    drawn = np.random.default_rng(0).integers(0, len(cells), len(queries))
    outcome = fit_outcome(blocks, output.logits, drawn, np.arange(len(queries)) % 5, cells).head
    serving = Serving(router=str(router_path), threshold=0.0, decides_by="gain", outcome_layers=None)
    pack(trained(router), serving, folder, outcome)
    return folder


async def _stream(asked: Asked, line: Line) -> None:
    if not asked.json.get("stream"):
        return await whole_answers(asked, line)
    await line.send(STREAM_HEAD)
    # Each a chunk of its own, as they come from a model.
    for i in range(CHUNKS):
        await line.chunk(event(f"word {i} "))
        await asyncio.sleep(0)
    await line.chunk(b"data: [DONE]\n\n")
    await line.end()


@contextmanager
def upstream() -> Iterator[str]:
    """A model server in a process of its own; its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.router", "--upstream"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@contextmanager
def served(head: Path, folder: Path, model_url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The service; its address and its process."""
    both = ["--medium-url", model_url, "--medium-model", "flash", "--large-url", model_url, "--large-model", "pro"]
    options = ["serve-router", *both, "--head", str(head), "--port", "0", "--log", str(folder / "served")]
    with subprocess.Popen(
        [sys.executable, "-m", "routecal", *options], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("ready: "))
        yield line.split()[1], psutil.Process(process.pid)
        process.terminate()
        process.wait(60)


def cpu_s(process: psutil.Process) -> float:
    """That it has taken."""
    times = process.cpu_times()
    return times.user + times.system


async def ask(url: str, queries: Sequence[str], *, at_once: int, path: str = "route") -> list[float]:
    """Seconds of each request, of which so many are in flight at any time."""
    waiting, seconds = asyncio.Semaphore(at_once), []

    async def one(session: aiohttp.ClientSession, query: str) -> None:
        said: dict[str, object] = {"query": query}
        if path != "route":
            said = {"model": "auto", "stream": path == "stream", "messages": [{"role": "user", "content": query}]}
        target = f"{url}/{'route' if path == 'route' else 'chat/completions'}"
        async with waiting:
            began = time.perf_counter()
            async with session.post(target, json=said) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            seconds.append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session, query) for query in queries))
    return seconds


def overhead(base: Path, scratch: Path, queries: Sequence[str], model_url: str) -> list[Bar]:
    """CPU per request and per relayed stream, beyond what the tiny router takes."""
    tiny_router(base, scratch / "tiny")
    head = packed(scratch / "tiny", scratch / "tiny head", queries[:50])
    bare = CalibratedRouter.from_pretrained(head)
    bare.route(queries[:20])
    began = time.process_time()
    for query in queries:
        bare.route([query])
    of_router = (time.process_time() - began) / len(queries)
    taken = {}
    with served(head, scratch / "a", model_url) as (url, process):
        for path in ("route", "whole", "stream"):
            asyncio.run(ask(url, queries[:50], at_once=1, path=path))
            before = cpu_s(process)
            asyncio.run(ask(url, queries, at_once=1, path=path))
            taken[path] = (cpu_s(process) - before) / len(queries)
    print(f"     CPU: {of_router * 1e3:.2f} ms by the tiny router; " + _in_ms(taken))
    return [
        Bar("CPU of a routed request beyond the router's: ms", (taken["route"] - of_router) * 1e3, 1.5, True),
        Bar(
            "CPU of relaying a stream of 100 chunks, beyond deciding: ms",
            (taken["stream"] - taken["route"]) * 1e3,
            1,
            True,
        ),
    ]


def beside_gemma(base: Path, scratch: Path, queries: Sequence[str], model_url: str) -> list[Bar]:
    """Time to a decision and queries per second, against the bare router in this process, in turn."""
    weights = np.random.default_rng(0).normal(size=(3, 640)).astype(np.float32)
    attach_routing_head(base, weights, scratch / "gemma")
    head = packed(scratch / "gemma", scratch / "gemma head", queries[:20])
    bare = CalibratedRouter.from_pretrained(head)
    alone: list[float] = []
    routed: list[float] = []
    rates: dict[str, list[float]] = {"bare": [], "served": []}
    some, many = queries[:20], queries[: 4 * IN_FLIGHT]
    with served(head, scratch / "b", model_url) as (url, _):
        bare.route(some)
        asyncio.run(ask(url, some, at_once=1))
        for _ in range(ROUNDS):
            for query in some:
                began = time.perf_counter()
                bare.route([query])
                alone.append(time.perf_counter() - began)
            routed += asyncio.run(ask(url, some, at_once=1))
            began = time.perf_counter()
            for start in range(0, len(many), IN_FLIGHT):
                bare.route(many[start : start + IN_FLIGHT])
            rates["bare"].append(len(many) / (time.perf_counter() - began))
            began = time.perf_counter()
            asyncio.run(ask(url, many, at_once=IN_FLIGHT))
            rates["served"].append(len(many) / (time.perf_counter() - began))
    p50 = {"bare": statistics.median(alone), "served": statistics.median(routed)}
    print(f"     p50: {_in_ms(p50)}; queries/s: " + ", ".join(f"{k} {max(v):.1f}" for k, v in rates.items()))
    constant("ms to a decision, one in flight, two cores", p50["served"] * 1e3)
    return [
        Bar("p50 of a decision, one in flight, over a bare one", p50["served"] / p50["bare"], 1.3, True),
        Bar(
            f"queries/s at {IN_FLIGHT} in flight, over bare batches of as many",
            max(rates["served"]) / max(rates["bare"]),
            0.9,
        ),
    ]


def _in_ms(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value * 1e3:.2f} ms" for name, value in seconds.items())


def main(n: int) -> int:
    """Print a table; 1 where a bar is missed."""
    base = local_folder(convert_gemma.fn())
    queries = [fact.query for fact in world_facts(n, seed=0)]
    with tempfile.TemporaryDirectory() as folder, upstream() as model_url:
        scratch = Path(folder)
        return report([*overhead(base, scratch, queries, model_url), *beside_gemma(base, scratch, queries, model_url)])


if __name__ == "__main__":
    if sys.argv[1:] == ["--upstream"]:
        with raw_upstream(_stream) as server:
            print(server.url, flush=True)
            time.sleep(86_400)
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
