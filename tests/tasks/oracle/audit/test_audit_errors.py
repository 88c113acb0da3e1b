"""Every refusal is one sentence with its facts, and survives pickling."""

import pickle

import pytest

from routecal.tasks.errors import TaskError
from routecal.tasks.oracle.audit import audit_errors

FACTS = {
    "NothingToAudit": (12,),
    "SampleTooSmall": (3, 6),
    "QueryUnknown": ("q7",),
    "AuditIdUnknown": ("a1", 4),
    "AuditIdTwice": ("a1",),
    "HumanGradeUnknown": ("a1", "maybe", 4),
    "TooFewGraded": (3, 10),
    "KindUngraded": ("large", "INCORRECT", 35),
    "AuditUnreadable": ("audit.csv", "it is not UTF-8"),
    "AuditExists": ("audit.csv",),
}


def test_every_error_is_listed() -> None:
    tree = {n for n, e in vars(audit_errors).items() if isinstance(e, type) and issubclass(e, TaskError)}
    assert tree - {"TaskError"} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_says_its_facts_in_one_sentence_and_survives_pickling(name: str) -> None:
    error = getattr(audit_errors, name)(*FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert all(str(fact) in str(error) for fact in FACTS[name])
    assert "\n" not in str(error)
