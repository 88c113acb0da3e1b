"""Which nights count, and how old the serving head is in them."""

from datetime import UTC, datetime, timedelta

import pytest

from routecal.storage.artifact import Artifact
from routecal.storage.manifest import Manifest
from routecal.tasks.night.label_history import DOUBTED, EXAMPLES, NIGHT, LabelHistory

WHEN = datetime(2026, 11, 1, tzinfo=UTC)


def night(number: int, *, labels: bool = True, **facts: bool) -> Manifest:
    names = (NIGHT, *((EXAMPLES, "features", "labels") if labels else ()))
    artifacts = {name: Artifact(kind=name, uri=f"/{name}/{number}", sha256=f"{number:064d}", rows=1) for name in names}
    return Manifest(run_id=f"run-{number}", written_at=WHEN + timedelta(days=number), artifacts=artifacts, facts=facts)


def test_a_head_is_as_old_as_the_nights_that_labelled_something_since() -> None:
    known = LabelHistory((night(1), night(2), night(3, labels=False), night(4)))
    assert [known.labelled_after(f"run-{n}") for n in (1, 2, 3, 4)] == [2, 1, 1, 0]
    assert known.labelled_after(None) == known.labelled_after("another") == 3


def test_quiet_nights_are_counted_since_one_that_labelled_something() -> None:
    assert LabelHistory((night(1), night(2, labels=False), night(3, labels=False))).quiet == 2
    assert LabelHistory((night(1, labels=False),)).quiet == 1
    assert LabelHistory((night(1),)).quiet == LabelHistory(()).quiet == 0


@pytest.mark.parametrize(("accepted", "n"), [(frozenset(), 1), (frozenset({"run-2"}), 2)])
def test_doubted_nights_are_left_out_until_a_person_promotes_what_they_made(accepted: frozenset[str], n: int) -> None:
    known = LabelHistory((night(1), night(2, **{DOUBTED: True})), accepted)
    assert len(known.labelling) == n
