"""Ask routecal for the model `auto`: which model answers, and what.

python ask.py [--stream] 'Which lake is the deepest?' …
"""

import os
import sys

from openai import APIConnectionError, OpenAI, Timeout

routecal = OpenAI(
    base_url=f"{os.environ['ROUTECAL_URL']}/v1",
    api_key=os.environ.get("ROUTECAL_KEY", "none"),
    # The first is of the model's answer.
    timeout=Timeout(600, connect=float(os.environ.get("ROUTECAL_TIMEOUT_S", "0.5"))),
    max_retries=0,
)
large = OpenAI(base_url=os.environ["LARGE_URL"], api_key=os.environ["LARGE_KEY"])


def ask(query, *, stream):
    """(which model answers, its answer): the large one, asked itself, where routecal is not there."""
    messages = [{"role": "user", "content": query}]
    try:
        said = routecal.chat.completions.with_raw_response.create(model="auto", messages=messages, stream=stream)
    except APIConnectionError:
        said = large.chat.completions.with_raw_response.create(model="pro", messages=messages, stream=stream)
    answer = said.parse()
    text = (
        "".join(one.choices[0].delta.content or "" for one in answer) if stream else answer.choices[0].message.content
    )
    return said.headers.get("x-routecal-model", "pro, without routecal"), text


is_stream, queries = sys.argv[1] == "--stream", [word for word in sys.argv[1:] if word != "--stream"]
for query in queries:
    model, text = ask(query, stream=is_stream)
    print(f"{model}\t{text}\t{query}")
