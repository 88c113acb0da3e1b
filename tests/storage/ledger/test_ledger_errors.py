import pickle

import pytest

from routecal.storage.errors import StorageError
from routecal.storage.ledger import ledger_errors as ledger_errors

FACTS = {
    "LedgerUrlInvalid": ("mysql", "it is no file"),
    "LedgerNeedsPackage": ("psycopg", "postgres"),
    "LedgerNewer": ("ledger.sqlite", "7", 1),
    "LedgerLocked": ("ledger.sqlite", 30.0),
    "LedgerUnreachable": ("postgresql://ann:***@db/paid", "connection refused"),
    "LedgerFull": ("ledger.sqlite",),
    "JobHeld": (12, "host"),
    "LedgerNotWritable": ("ledger.sqlite", "read-only"),
    "LedgerDamaged": ("ledger.sqlite", "file is not a database"),
}


def test_every_error_is_listed():
    tree = {n for n, e in vars(ledger_errors).items() if isinstance(e, type) and issubclass(e, StorageError)}
    assert tree - {"StorageError", "LedgerError"} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_says_its_facts_in_one_sentence_and_survives_pickling(name):
    error = getattr(ledger_errors, name)(*FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    for fact in FACTS[name]:
        for part in fact if isinstance(fact, tuple) else (fact,):
            assert f"{part:g}" if isinstance(part, float) else str(part) in str(error)
    assert "\n" not in str(error)
