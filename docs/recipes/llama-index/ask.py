"""Ask a router over two query engines, one for each model: which of them answers.

python ask.py [--async] 'Which lake is the deepest?' …
"""

import asyncio
import os
import sys

from llama_index.core import Document, SummaryIndex
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai_like import OpenAILike
from routecal_selector import RoutecalSelector

llms = {
    "medium": OpenAILike(
        model="flash", api_base=os.environ["MEDIUM_URL"], api_key=os.environ["MEDIUM_KEY"], is_chat_model=True
    ),
    "large": OpenAILike(
        model="pro", api_base=os.environ["LARGE_URL"], api_key=os.environ["LARGE_KEY"], is_chat_model=True
    ),
}
index = SummaryIndex.from_documents([Document(text="Lake Baikal is 1,642 m deep.")])
tools = [
    QueryEngineTool.from_defaults(index.as_query_engine(llm=llm), name=name, description=f"the {name} model")
    for name, llm in llms.items()
]
selector = RoutecalSelector(
    url=os.environ["ROUTECAL_URL"],
    key=os.environ.get("ROUTECAL_KEY"),
    timeout_s=float(os.environ.get("ROUTECAL_TIMEOUT_S", "0.5")),
)
# `llm` joins answers of several engines, which this selector never picks; without it llama-index asks for OpenAI's.
engine = RouterQueryEngine(selector=selector, query_engine_tools=tools, llm=llms["large"])


async def aask(queries):
    return [await engine.aquery(query) for query in queries]


is_async, queries = sys.argv[1] == "--async", [word for word in sys.argv[1:] if word != "--async"]
said = asyncio.run(aask(queries)) if is_async else [engine.query(query) for query in queries]
for query, one in zip(queries, said, strict=True):
    selected = one.metadata["selector_result"]
    print(f"{tools[selected.ind].metadata.name}\t{selected.reason}\t{query}")
