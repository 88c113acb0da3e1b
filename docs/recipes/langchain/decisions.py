"""Ask routecal for the decision alone, as a decision model.

python decisions.py 'Which lake is the deepest?' …
"""

import os
import sys

from langchain_openai.decisions import Choice, OpenAIDecisions, Predicate

routecal = OpenAIDecisions(
    model="routecal",
    base_url=f"{os.environ['ROUTECAL_URL']}/v1",
    api_key=os.environ.get("ROUTECAL_KEY", "none"),
    timeout=float(os.environ.get("ROUTECAL_TIMEOUT_S", "0.5")),
    max_retries=0,
)
questions = {
    "medium_is_enough": Predicate(instructions="Is the medium model enough?"),
    "model": Choice(instructions="Which model serves?", choices={"medium": None, "large": None}),
}
for query in sys.argv[1:]:
    said = routecal.invoke({"input": query, "questions": questions})
    enough = said.predicates["medium_is_enough"].probability
    print(f"{said.choices['model'].choice}\t{enough:.6f}\t{query}")
