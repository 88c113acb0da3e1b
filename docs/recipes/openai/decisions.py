"""Ask routecal for the decision alone, as a decision model.

python decisions.py 'Which lake is the deepest?' …
"""

import os
import sys

from openai import OpenAI

routecal = OpenAI(
    base_url=f"{os.environ['ROUTECAL_URL']}/v1",
    api_key=os.environ.get("ROUTECAL_KEY", "none"),
    timeout=float(os.environ.get("ROUTECAL_TIMEOUT_S", "0.5")),
    max_retries=0,
)
questions = [
    {"type": "predicate", "name": "medium_is_enough", "instructions": "Is the medium model enough?"},
    {
        "type": "choice",
        "name": "model",
        "instructions": "Which model serves?",
        "choices": [{"value": "medium"}, {"value": "large"}],
    },
]
for query in sys.argv[1:]:
    enough, model = routecal.decisions.create(model="routecal", input=query, questions=questions).answers
    print(f"{model.choice}\t{enough.probability:.6f}\t{query}")
