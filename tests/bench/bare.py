"""The bare SDK as fast as its documentation lets one write it: the yardstick of the engine's throughput."""

import asyncio
import time

import aiohttp
from google import genai
from google.genai import types

from tests.bench.workload import KEY, MEDIUM


async def calls_per_s(url: str, n: int, *, concurrency: int) -> float:
    """Rate of n answer calls by workers that share a client; responses are parsed, nothing is stored or limited."""
    config = types.GenerateContentConfig(
        system_instruction="Answer briefly.",
        max_output_tokens=4096,
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
    )
    async with aiohttp.ClientSession(trust_env=False, connector=aiohttp.TCPConnector(limit=0)) as session:
        options = types.HttpOptions(
            base_url=url, aiohttp_client=session, retry_options=types.HttpRetryOptions(attempts=1)
        )
        client = genai.Client(api_key=KEY, http_options=options)
        numbers = iter(range(n))

        async def work() -> None:
            for i in numbers:
                prompt = f"Which of the {i} benchmarked questions is this one, in words?"
                answer = await client.aio.models.generate_content(model=MEDIUM, contents=prompt, config=config)
                assert answer.text

        await client.aio.models.generate_content(model=MEDIUM, contents="first", config=config)
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        return n / (time.perf_counter() - began)
