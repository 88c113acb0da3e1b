import pickle

import pytest

from routecal.storage import errors, input_errors, store_errors

FACTS = {
    "LockHeld": ("/home/.night.lock", "process 7"),
    "ArtifactMissing": ("s3://home/labels/0.parquet",),
    "ArtifactCorrupt": ("labels/0.parquet", "aa", "bb"),
    "WrongKind": ("labels/0.parquet", "features", "labels"),
    "SchemaMismatch": ("labels", ("missing judge",)),
    "UnknownName": ("query", "x", ("cost", "grades")),
    "HomeNotWritable": ("/home", "Permission denied"),
    "DiskFull": ("/home",),
    "InputMissing": ("q.csv",),
    "InputEmpty": ("q.csv",),
    "InputChanged": ("q.csv",),
    "InputUnreadable": ("q.parquet", "no footer", "run git lfs pull"),
    "MissingColumn": ("q.csv", "query", ("question", "id"), "--columns query=question"),
    "WrongMapping": ("query", "it is not a pair"),
    "BadRows": ("q.jsonl", 12, ((7, "not JSON"), (9, "blank"))),
    "UnknownFormat": ("q.txt", (".csv",), "unpack it"),
    "DuplicateRows": ("labels", "query_id", "ab"),
    "NoOutcomeMatches": ("o.parquet", 12),
    "RegistryCorrupt": ("registry/000001.json", "it is not an entry"),
    "RegistryNewer": ("registry/000001.json", 2, 1),
    "RegistryChanged": ("registry/000002.json",),
    "PluginMissing": ("s3://home", "s3fs", "routecal[s3]"),
    "BucketMissing": ("s3://home/x", "home"),
    "StoreRefuses": ("s3://home", "AccessDenied"),
    "CredentialsMissing": ("gs://home", "no default credentials"),
    "StoreUnreachable": ("s3://home", "connection refused"),
    "StoreFailed": ("s3://home", "SlowDown"),
    "NoConditionalWrites": ("s3://home/registry",),
}


def test_every_error_is_listed():
    tree = {
        n
        for n, e in {**vars(errors), **vars(input_errors), **vars(store_errors)}.items()
        if isinstance(e, type) and issubclass(e, errors.StorageError)
    }
    assert tree - {"StorageError"} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_says_its_facts_in_one_sentence_and_survives_pickling(name):
    (cls,) = {getattr(module, name) for module in (errors, input_errors, store_errors) if hasattr(module, name)}
    error = cls(*FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    # what was given as a whole need not be said again
    for fact in FACTS[name][name == "WrongMapping" :]:
        for part in _parts(fact):
            assert str(part) in str(error)
    assert "\n" not in str(error)


def _parts(fact):
    return [part for inner in fact for part in _parts(inner)] if isinstance(fact, tuple) else [fact]


def test_five_faulty_rows_are_named_and_all_are_counted():
    faults = [(line, f"fault {line}") for line in range(3, 15)]
    said = str(input_errors.BadRows("q.jsonl", 300, faults))
    assert said == (
        "q.jsonl: 12 of 300 rows cannot be used: line 3: fault 3; line 4: fault 4; line 5: fault 5; line 6: fault 6; "
        "line 7: fault 7; and 7 more; correct or remove them, nothing was read"
    )
    assert str(input_errors.BadRows("q.parquet", 2, faults[:1], "row")) == (
        "q.parquet: 1 of 2 rows cannot be used: row 3: fault 3; correct or remove it, nothing was read"
    )
    assert len(str(input_errors.BadRows("q.jsonl", 9, [(1, "x" * 9000)] * 9))) < 2000


def test_a_missing_artifact_says_how_to_get_it_back():
    assert "set ROUTECAL_HOME to the folder that holds the artifacts now" in str(errors.ArtifactMissing("x"))
