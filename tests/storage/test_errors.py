import pickle

import pytest

from storage import errors

FACTS = {
    "ArtifactMissing": ("s3://home/labels/0.parquet",),
    "ArtifactCorrupt": ("labels/0.parquet", "aa", "bb"),
    "WrongKind": ("labels/0.parquet", "features", "labels"),
    "SchemaMismatch": ("labels", ("missing judge",)),
    "UnknownName": ("query", "x", ("cost", "grades")),
    "HomeNotWritable": ("/home", "Permission denied"),
    "DiskFull": ("/home",),
    "InputMissing": ("q.csv",),
    "InputEmpty": ("q.csv",),
    "InputUnreadable": ("q.parquet", "no footer"),
    "BadLine": ("q.jsonl", 7, "not JSON"),
    "MissingColumn": ("q.csv", "query", ("question", "id")),
    "ConflictingId": ("q.csv", "a1", 2, 9),
    "UnknownGrade": ("o.csv", 3, "right", ("CORRECT",)),
    "UnknownFormat": ("q.txt", (".csv",)),
    "DuplicateRows": ("labels", "query_id", "ab"),
    "NoOutcomeMatches": ("o.parquet", 12),
    "RegistryCorrupt": ("registry/000001.json", "it is not an entry"),
    "RegistryChanged": ("registry/000002.json",),
}


def test_every_error_is_listed():
    tree = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, errors.StorageError)}
    assert tree - {"StorageError"} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_says_its_facts_in_one_sentence_and_survives_pickling(name):
    error = getattr(errors, name)(*FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    for fact in FACTS[name]:
        for part in fact if isinstance(fact, tuple) else (fact,):
            assert str(part) in str(error)
    assert "\n" not in str(error)


def test_a_missing_artifact_says_how_to_get_it_back():
    assert "re-run with --refresh" in str(errors.ArtifactMissing("x"))
