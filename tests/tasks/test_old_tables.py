"""Tables as routecal 0.1 wrote them, whose ids are rough, beside tables of now."""

import json
import pickle
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.manifest import Manifest, write_manifest
from routecal.storage.query_identity import query_id, rough_half, rough_id
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.errors import NothingInCommon, OldIds
from routecal.tasks.load_examples import join
from routecal.tasks.night.label_history import EXAMPLES, QUERIES, LabelHistory
from routecal.tasks.night.night_result import KEY
from routecal.tasks.old_tables import digest_for_job, has_rough_ids, under_one_identity
from routecal.tasks.oracle.api_labels import Labelled
from routecal.tasks.oracle.label_shards import store_labelled, unlabelled
from tests.tasks.made import store_labels, store_queries, texts

N = 6
ASKED = [*texts(N - 2), "How many W is 5 MW?", "Which element is CO?"]
POLICIES = ["Standard_Query", "Complex_Query", "Ambiguous_Query"] * 2


def as_before(table: Artifact, **metadata: str) -> Artifact:
    """The same table as 0.1 stored it."""
    rows = read_table(table)
    place = rows.schema.get_field_index("query_id")
    ids = pa.array([rough_half(name) for name in rows["query_id"].to_pylist()])
    old = rows.set_column(place, rows.schema.field(place), ids)
    return write_table(old, table.kind, home=Home.from_env(), metadata=read_metadata(table) | metadata)


def store_features(asked: list[str]) -> Artifact:
    rows = [
        {"query_id": query_id(text), "router_policy": "Standard_Query", "logits": [1.0, 0.0, 0.0], "hidden": [0.5]}
        | {"n_tokens": 3, "truncated": False}
        for text in asked
    ]
    return write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["features"]), "features", home=Home.from_env())


def record(name: str, **artifacts: Artifact) -> None:
    write_manifest(Home.from_env(), name, artifacts)


def replayed(labels: Artifact) -> Artifact:
    rows = [row | {"oracle": "replay"} for row in read_table(labels).to_pylist()]
    return write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]), "labels", home=Home.from_env())


@pytest.fixture
def now() -> dict[str, Artifact]:
    return {"queries": store_queries(ASKED), "labels": store_labels(ASKED, POLICIES), "features": store_features(ASKED)}


@pytest.fixture
def before(now: dict[str, Artifact]) -> dict[str, Artifact]:
    return {kind: as_before(table) for kind, table in now.items()}


def test_tables_of_one_version_are_used_as_they_are(now: dict[str, Artifact], before: dict[str, Artifact]) -> None:
    assert not any(map(has_rough_ids, now.values()))
    assert all(map(has_rough_ids, before.values()))
    assert under_one_identity(**now) == now
    assert under_one_identity(**before) == before
    assert join.fn(**before).rows == join.fn(**now).rows == N


@pytest.mark.parametrize(
    "old", [("labels",), ("features",), ("labels", "features"), ("queries",), ("queries", "labels")]
)
def test_what_was_paid_for_is_carried_over(
    old: tuple[str, ...], now: dict[str, Artifact], before: dict[str, Artifact]
) -> None:
    record("label-1", queries=before["queries"], labels=before["labels"])
    record("extract-1", queries=before["queries"], features=before["features"])
    mixed = {kind: before[kind] if kind in old else table for kind, table in now.items()}
    found = under_one_identity(**mixed)
    # every value is as it was, and the table as if it were made now
    assert found == now
    assert join.fn(**found).rows == N


def test_contexts_and_reasons_are_carried_over_too(now: dict[str, Artifact]) -> None:
    contexts = [f"read {i}" for i in range(N)]
    queries = store_queries(ASKED, context=contexts)
    ids = read_table(queries)["query_id"].to_pylist()
    rows = [row | {"query_id": ids[i]} for i, row in enumerate(read_table(now["labels"]).to_pylist())][1:]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["labels"])
    labels = store_labelled(Labelled(table, {ids[0]: "no ground truth"}))
    old = as_before(labels, unlabelled=json.dumps({rough_id(ASKED[0]): "no ground truth"}))
    record("label-1", queries=as_before(queries), labels=old)
    found = under_one_identity(queries, old, now["features"])["labels"]
    assert found == labels
    assert unlabelled(found) == {ids[0]: "no ground truth"}


def test_a_label_of_another_question_is_not_taken(now: dict[str, Artifact]) -> None:
    old = as_before(store_labels(["How many W is 5 MW?"], ["Standard_Query"]))
    record("label-1", queries=as_before(store_queries(["How many W is 5 MW?"])), labels=old)
    asked = ["How many W is 5 mW?"]
    queries, features = store_queries(asked), store_features(asked)
    found = under_one_identity(queries, old, features)
    with pytest.raises(NothingInCommon):
        join.fn(**found)


def test_outcomes_that_0_1_replayed_are_refused(now: dict[str, Artifact], before: dict[str, Artifact]) -> None:
    old = replayed(before["labels"])
    record("label-1", queries=before["queries"], labels=old)
    for others in (now, before):
        with pytest.raises(OldIds) as caught:
            under_one_identity(**others | {"labels": old})
        said = str(caught.value)
        assert said.startswith(
            f"the labels {old.uri} were written by routecal 0.1, which took texts that differ in case"
        )
        assert "may have given a query the recorded outcome of another; run `routecal label` on the same file" in said
        assert str(pickle.loads(pickle.dumps(caught.value))) == said
    assert under_one_identity(**now | {"labels": replayed(now["labels"])})


@pytest.mark.parametrize("kind", ["labels", "features"])
def test_what_cannot_be_carried_over_is_refused(
    kind: str, now: dict[str, Artifact], before: dict[str, Artifact]
) -> None:
    mixed = now | {kind: before[kind]}
    with pytest.raises(OldIds, match=r"left no record of the queries that they are of; run `routecal (label|extract)`"):
        under_one_identity(**mixed)
    record("run-1", queries=as_before(store_queries(ASKED[1:])), **{kind: before[kind]})
    with pytest.raises(OldIds, match=f"the {kind} .* recorded other queries beside them"):
        under_one_identity(**mixed)


def test_features_of_other_queries_are_refused_with_what_to_do(now: dict[str, Artifact]) -> None:
    with pytest.raises(NothingInCommon) as caught:
        join.fn(now["queries"], now["labels"], store_features(["Another?"]))
    assert str(caught.value) == (
        "no query is among the 6 queries, the 6 labels and the 1 features alike; run `routecal label` and `routecal "
        "extract` on the same file, or name tables of the same queries"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_job_that_0_1_began_keeps_its_name(now: dict[str, Artifact], before: dict[str, Artifact]) -> None:
    assert digest_for_job(now["queries"]) == before["queries"].sha256 == digest_for_job(before["queries"])
    # it merged what it could not tell apart
    both = store_queries(["5 MW?", "5 mW?", "Who?", "Who?"], context=[None, None, "a", "b"])
    merged = as_before(store_queries(["5 MW?", "Who?"], context=[None, "a"]))
    assert digest_for_job(both) == merged.sha256
    assert digest_for_job(now["labels"]) == now["labels"].sha256


def night(examples: Artifact, **artifacts: Artifact) -> Manifest:
    made = {EXAMPLES: examples} | artifacts
    return Manifest(run_id="recalibrate-1", written_at=datetime.now(UTC), artifacts=made, facts={KEY: "k"})


def test_queries_that_nights_of_0_1_labelled_are_known(now: dict[str, Artifact]) -> None:
    contexts = ["read this", *[None] * (N - 1)]
    queries = store_queries(ASKED, context=contexts)
    examples = join.fn(**now)
    ids = set(read_table(queries)["query_id"].to_pylist())
    # the context is in the queries alone; one that got no label is not known
    few = as_before(write_table(read_table(examples).slice(1), "examples", home=Home.from_env()))
    without = set(read_table(few)["query_id"].to_pylist())
    known = LabelHistory((night(few, **{QUERIES: as_before(queries)}),)).labelled
    assert known == {name for name in ids if rough_half(name) in without}
    assert len(known) == N - 1
    assert LabelHistory((night(examples),)).labelled == set(read_table(now["queries"])["query_id"].to_pylist())
