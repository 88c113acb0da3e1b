"""Scores of one set's decision rules: cells and outcomes in, one folder of numbers out."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.escalation import Outcomes
from routecal.calib.trial.decision_rows import Answer, Decided
from routecal.calib.trial.decision_scores import DecisionScore, Sample, SeedDecision, oracle, score_rule
from routecal.storage.artifact import Artifact, read_metadata, read_table
from routecal.tasks.benchmark.question_counts import counts_by_division
from routecal.tasks.benchmark.scored_folder import read_scores, write_scores
from routecal.tasks.cache import step

# What an answer costs where outcomes have no costs of their own; only the ratio matters.
MEDIUM_PRICE, LARGE_PRICE = 1.0, 20.0
ORACLE = "oracle"


class DecisionsScored(NamedTuple):
    """Every rule of one set and router at one number of labels.

    Attributes:
        name, kind: of the set and of the router.
        asked, n_labelled: labels asked for, and rows that there were, mean over divisions and seeds.
        n: test rows, mean over divisions.
        divisions: how many there are.
        priced: whether costs are those recorded with the outcomes; else one price for each model.
        rules: score by rule, in their order; the oracle last.
    """

    name: str
    kind: str
    asked: int
    n_labelled: float
    n: int
    divisions: int
    priced: bool
    rules: dict[str, DecisionScore]


@step(
    "score decisions",
    "score decisions of {name}, {kind} router",
    on=(
        "tasks.benchmark.question_counts",
        "tasks.benchmark.scored_folder",
        "calib.trial.decision_scores",
        "calib.comparison",
    ),
)
def score_decisions(
    name: str,
    kind: str,
    cells: list[Artifact],
    divisions: list[Artifact],
    family: str,
    relatives: list[list[Artifact]],
) -> Artifact:
    """Scores of every rule in `cells` on the test rows of their divisions.

    Args:
        name, kind: see `DecisionsScored`.
        cells: of all divisions and seeds, at one number of labels.
        divisions: rows of the set, by division.
        family: of the set.
        relatives: rows of every set of that family by division: what they share is resampled alike.
    """
    ordered = sorted(cells, key=lambda cell: tuple(int(read_metadata(cell)[key]) for key in ("division", "seed")))
    facts = [read_metadata(cell) for cell in ordered]
    tables = [read_table(rows).sort_by("query_id") for rows in divisions]
    own_rows = [tables[int(fact["division"])] for fact in facts]
    answers, samples = zip(*map(_read, ordered, own_rows), strict=True)
    tested = [table.filter(pa.compute.field("part") == "test")["query_id"].to_pylist() for table in tables]
    counts = counts_by_division(tested, name, family, relatives)
    own = [counts[int(fact["division"])] for fact in facts]
    rules = {
        rule: score_rule([answer[rule] for answer in answers], samples, own, divisions=len(divisions))
        for rule in answers[0]
    }
    rules[ORACLE] = score_rule([oracle(sample) for sample in samples], samples, own, divisions=len(divisions))
    whole = {
        "name": name,
        "kind": kind,
        "asked": int(facts[0]["asked"]),
        "n_labelled": float(np.mean([int(fact["labels"]) for fact in facts])),
        "n": round(float(np.mean([len(sample.test) for sample in samples]))),
        "divisions": len(divisions),
        "priced": _costs(tables[0]) is not None,
        "seeds": {rule: [one.model_dump() for one in score.seeds] for rule, score in rules.items()},
    }
    return write_scores("benchmark_decisions_scored", whole, {rule: score.resampled for rule, score in rules.items()})


def read_decisions_scored(artifact: Artifact) -> DecisionsScored:
    """What `score_decisions` wrote."""
    facts, resampled = read_scores(artifact)
    rules = {
        rule: DecisionScore(tuple(SeedDecision(**one) for one in seeds), resampled[rule])
        for rule, seeds in facts.pop("seeds").items()
    }
    return DecisionsScored(**facts, rules=rules)


def _read(cell: Artifact, rows: pa.Table) -> tuple[Mapping[str, Answer], Sample]:
    """What every rule says, in the order of the ids, and the outcomes that it is judged by."""
    table = read_table(cell)
    rules, parts = np.array(table["rule"].to_pylist()), np.array(table["part"].to_pylist())

    def said(rule: str, part: str) -> pa.Table:
        return table.filter(pa.array((rules == rule) & (parts == part))).sort_by("query_id")

    names = list(dict.fromkeys(rules.tolist()))
    answers = {rule: Answer(_decided(said(rule, "labelled")), _decided(said(rule, "test"))) for rule in names}
    place = {query_id: i for i, query_id in enumerate(rows["query_id"].to_pylist())}
    labelled, test = (
        rows.take(pa.array([place[i] for i in said(names[0], part)["query_id"].to_pylist()]))
        for part in ("labelled", "test")
    )
    costs = (_costs(rows) and _costs(test)) or (MEDIUM_PRICE, LARGE_PRICE)
    taught, judged = (
        Outcomes.of(
            one["medium_grade"].to_pylist(), one["large_grade"].to_pylist(), medium_cost=medium, large_cost=large
        )
        for one, (medium, large) in ((labelled, (MEDIUM_PRICE, LARGE_PRICE)), (test, costs))
    )
    correct = said(names[0], "test")["is_correct"].to_numpy(zero_copy_only=False).astype(np.float64)
    return answers, Sample(taught.medium_right - taught.large_right, judged, correct)


def _costs(table: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Costs of both models where every row has them."""
    columns = [table[f"{model}_cost_usd"] for model in ("medium", "large")]
    if any(column.null_count for column in columns):
        return None
    medium, large = (column.to_numpy() for column in columns)
    return medium, large


def _decided(table: pa.Table) -> Decided:
    stated = [None if table[f].null_count else table[f].to_numpy() for f in Decided._fields[1:]]
    return Decided(table["need"].to_numpy(), *stated)
