"""Ask an agent: which model answers.

python ask.py [--async] 'Which lake is the deepest?' …
"""

import asyncio
import os
import sys

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from routecal_langchain import RoutecalMiddleware

medium = ChatOpenAI(model="flash", base_url=os.environ["MEDIUM_URL"], api_key=os.environ["MEDIUM_KEY"])
large = ChatOpenAI(model="pro", base_url=os.environ["LARGE_URL"], api_key=os.environ["LARGE_KEY"])
routed = RoutecalMiddleware(
    medium,
    large,
    url=os.environ["ROUTECAL_URL"],
    key=os.environ.get("ROUTECAL_KEY"),
    timeout_s=float(os.environ.get("ROUTECAL_TIMEOUT_S", "0.5")),
)
agent = create_agent(large, middleware=[routed])


async def aask(conversations):
    return [await agent.ainvoke(conversation) for conversation in conversations]


is_async, queries = sys.argv[1] == "--async", [word for word in sys.argv[1:] if word != "--async"]
conversations = [{"messages": [{"role": "user", "content": query}]} for query in queries]
said = asyncio.run(aask(conversations)) if is_async else [agent.invoke(one) for one in conversations]
for query, one in zip(queries, said, strict=True):
    print(f"{one['messages'][-1].response_metadata['model_name']}\t{query}")
