"""What a person can promote: a candidate that waits; one that was refused only by force and by its number."""

import re
from pathlib import Path

import pytest

from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import ALARM, PROMISE, Action, append_entry, history
from routecal.storage.layout import Home
from routecal.tasks.errors import NothingToPromote
from routecal.tasks.night import manual_decisions


@pytest.fixture
def heads(tmp_path: Path) -> list[Artifact]:
    return [Artifact(uri=str(tmp_path), sha256=str(i) * 64, rows=1, kind="calibrated") for i in range(10)]


def write(heads: list[Artifact], *entries: tuple[Action, int]) -> None:
    """Entries about these candidates; the last promoted one serves."""
    serving = None
    for number, (action, candidate) in enumerate(entries):
        if action == "promoted":
            serving = heads[candidate]
        reasons = [f"because of {candidate}"]
        append_entry(
            Home.from_env(), action, champion=serving, candidate=heads[candidate], after=number, reasons=reasons
        )


def check_refused(sentence: str, number: int | None = None, *, force: bool = False) -> None:
    before = history(Home.from_env())
    with pytest.raises(NothingToPromote, match=re.escape(sentence)):
        manual_decisions.promote(number, force=force)
    assert history(Home.from_env()) == before


def test_promote_takes_the_newest_candidate_that_waits_and_no_refused_one(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1), ("waiting", 2), ("refused", 3))
    promoted = manual_decisions.promote()
    assert promoted.champion == heads[2]
    assert promoted.reasons[1:] == ("the candidate of entry 2 waits no more",)
    # The older one waits no more, since another head serves now.
    check_refused("no candidate waits; entry 4 was refused, and `routecal promote --entry 4 --force`")
    assert manual_decisions.promote(2).champion == heads[1]


def test_a_refused_candidate_needs_force_and_its_number(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("refused", 1))
    check_refused("no candidate waits; entry 2 was refused")
    check_refused("the candidate of entry 2 was refused (because of 1); `routecal promote --entry 2 --force`", 2)
    check_refused("name it with --entry", force=True)
    promoted = manual_decisions.promote(2, force=True)
    assert promoted.champion == heads[1]
    assert promoted.reasons == ("promoted by hand; entry 2 said: because of 1",)


def test_a_declined_candidate_needs_force_though_its_entry_waited(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1), ("refused", 1))
    check_refused("no candidate waits; entry 3 was refused")
    check_refused("the candidate of entry 2 was refused", 2)
    assert manual_decisions.promote(2, force=True).champion == heads[1]


def test_a_candidate_is_promoted_once(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1))
    manual_decisions.promote()
    check_refused("no candidate waits")
    check_refused("the candidate of entry 2 serves already", 2)


def test_a_candidate_that_was_overtaken_is_promoted_by_its_number_alone(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1), ("promoted", 2))
    check_refused("entry 2 did until entry 3 put another head in force; `routecal promote --entry 2`")
    assert manual_decisions.promote(2).champion == heads[1]


def test_of_two_people_in_terminals_at_the_same_moment_one_decides(
    heads: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(heads, ("promoted", 0), ("waiting", 1))
    seen = history(Home.from_env())
    manual_decisions.promote()
    # The second has read the registry before the first wrote.
    monkeypatch.setattr("routecal.storage.head_registry.history", lambda _: seen)
    with pytest.raises(RuntimeError, match="another decision about the champion was written at the same time"):
        manual_decisions.promote()


@pytest.mark.parametrize("number", [1, 7])
def test_an_entry_without_such_a_candidate_is_refused(number: int, heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("promoted", 1))
    check_refused(f"entry {number} holds no candidate that waits or was refused", number)


def test_a_head_that_was_rolled_back_is_put_back_by_rollback_and_promoted_by_nobody(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1), ("promoted", 1))
    assert manual_decisions.roll_back().champion == heads[0]
    check_refused("no candidate waits")
    for force in (False, True):
        check_refused(
            "was taken out of service since; `routecal rollback --entry 3` puts it in force again", 2, force=force
        )
    before = history(Home.from_env())
    for number, sentence in (
        (None, "the head that serves was the first, so none served before it; `routecal rollback --entry 3`"),
        (1, "the head of entry 1 serves already"),
        (2, "entry 2 put no head in force"),
    ):
        with pytest.raises(NothingToPromote, match=re.escape(sentence)):
            manual_decisions.roll_back(number)
    assert history(Home.from_env()) == before
    assert manual_decisions.roll_back(3).champion == heads[1]


def test_a_rollback_says_what_waits_no_more(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("promoted", 1), ("waiting", 2))
    said = "rolled back by hand to the head of entry 1", "the candidate of entry 3 waits no more"
    assert manual_decisions.roll_back().reasons == said


def test_decline_refuses_what_waits_once_and_leaves_the_serving_head(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1), ("waiting", 2))
    declined = manual_decisions.decline(note="too dear")
    assert (declined.action, declined.candidate, declined.champion) == ("refused", heads[2], heads[0])
    assert declined.reasons == ("declined by hand: too dear", "because of 2")
    assert [row["decision"] for row in manual_decisions.heads().rows] == [
        "refused",
        "waited until 4",
        "waiting",
        "promoted",
    ]
    assert manual_decisions.decline(2).reasons == ("declined by hand", "because of 1")
    before = history(Home.from_env())
    for number, sentence in (
        (None, "no candidate waits"),
        (3, "the candidate of entry 3 does not wait any more"),
        (4, "the candidate of entry 4 does not wait any more"),
        (1, "entry 1 holds no candidate"),
    ):
        with pytest.raises(NothingToPromote, match=re.escape(sentence)):
            manual_decisions.decline(number)
    assert history(Home.from_env()) == before


def test_an_empty_home_is_told_in_words_where_heads_would_be_listed() -> None:
    (row,) = manual_decisions.heads().rows
    assert row[""].startswith(
        f"there is no folder {Home.from_env().root}; name the one that you mean with ROUTECAL_HOME"
    )
    Path(Home.from_env().root).mkdir()
    (row,) = manual_decisions.heads().rows
    assert "nothing was decided" in row[""]
    check_refused("no candidate waits")


def test_heads_tells_what_waits_from_what_waited(heads: list[Artifact]) -> None:
    write(heads, ("promoted", 0), ("waiting", 1), ("refused", 1), ("waiting", 2))
    assert [row["decision"] for row in manual_decisions.heads().rows] == [
        "waiting",
        "refused",
        "waited until 3",
        "promoted",
    ]


def test_heads_lists_what_is_promised_and_what_speaks_against_it(heads: list[Artifact]) -> None:
    lineage = {PROMISE: "At most 1 point", ALARM: "queries drifted"}
    append_entry(Home.from_env(), "refused", champion=None, after=0, reasons=["it is worse"], lineage=lineage)
    assert manual_decisions.heads().rows[0]["why"] == "promise: At most 1 point; alarm: queries drifted; it is worse"
