"""The registry's last entry is what serves; nothing overwrites what somebody else decided."""

import json
import multiprocessing
from pathlib import Path

import pytest

from routecal.storage.artifact import Artifact, within
from routecal.storage.errors import ArtifactMissing, RegistryChanged, RegistryCorrupt, RegistryNewer
from routecal.storage.folder_artifact import write_folder
from routecal.storage.head_registry import (
    ALARM,
    alarm_against_champion,
    append_entry,
    champion,
    champions,
    history,
)
from routecal.storage.layout import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(root=str(tmp_path / "home"))


def head(home: Home, text: str) -> Artifact:
    return write_folder("calibrated", lambda folder: (folder / "head").write_text(text) and None, home=home)


def test_nothing_serves_at_first(home: Home) -> None:
    assert history(home) == []
    assert champion(home) is None


def test_the_last_entry_is_in_force(home: Home) -> None:
    one, two = head(home, "1"), head(home, "2")
    append_entry(home, "promoted", champion=one, candidate=one, after=0, reasons=["first"], lineage={"code": "abc"})
    append_entry(home, "refused", champion=one, candidate=two, after=1, reasons=["worse"])
    assert champion(home) == one
    append_entry(home, "promoted", champion=two, candidate=two, after=2)
    append_entry(home, "rolled back", champion=one, after=3)
    assert champion(home) == one
    assert [e.action for e in history(home)] == ["promoted", "refused", "promoted", "rolled back"]
    assert history(home)[0].lineage == {"code": "abc"}
    assert [e.number for e in champions(history(home))] == [1, 3, 4]


def test_who_decides_on_an_older_state_is_refused(home: Home) -> None:
    one, two = head(home, "1"), head(home, "2")
    append_entry(home, "promoted", champion=one, after=0)
    with pytest.raises(RegistryChanged, match="another decision"):
        append_entry(home, "promoted", champion=two, after=0)
    assert champion(home) == one
    assert not [p for p in Path(home.folder("registry")).iterdir() if p.name.startswith(".tmp-")]


def _race(home: Home, one: Artifact, results: "multiprocessing.Queue[bool]") -> None:
    try:
        append_entry(home, "promoted", champion=one, after=0)
        results.put(True)
    except RegistryChanged:
        results.put(False)


def test_of_many_at_once_one_wins(home: Home) -> None:
    one = head(home, "1")
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    racers = [context.Process(target=_race, args=(home, one, results)) for _ in range(8)]
    for racer in racers:
        racer.start()
    won = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join()
    assert sum(won) == 1
    assert len(history(home)) == 1


def test_a_head_that_is_not_there_is_never_pointed_to(home: Home) -> None:
    gone = Artifact(uri=f"{home.root}/calibrated/none", sha256="0" * 64, rows=1, kind="calibrated")
    with pytest.raises(ArtifactMissing):
        append_entry(home, "promoted", champion=gone, after=0)
    assert history(home) == []


@pytest.mark.parametrize("damage", ["", "{}", "not json"])
def test_damage_is_named_not_guessed_around(home: Home, damage: str) -> None:
    append_entry(home, "promoted", champion=head(home, "1"), after=0)
    append_entry(home, "refused", champion=head(home, "1"), after=1)
    Path(f"{home.folder('registry')}/000001.json").write_text(damage)
    with pytest.raises(RegistryCorrupt, match="000001"):
        history(home)
    # What serves is in the newest file, and does not wait until an older one is mended.
    assert champion(home) is not None
    Path(f"{home.folder('registry')}/000002.json").write_text(damage)
    with pytest.raises(RegistryCorrupt, match="000002"):
        champion(home)


def test_a_missing_entry_is_noticed(home: Home) -> None:
    append_entry(home, "promoted", champion=head(home, "1"), after=0)
    append_entry(home, "refused", champion=head(home, "1"), after=1)
    Path(f"{home.folder('registry')}/000001.json").unlink()
    with pytest.raises(RegistryCorrupt, match="entry 1 was expected"):
        history(home)


def test_other_files_do_not_matter(home: Home) -> None:
    append_entry(home, "promoted", champion=head(home, "1"), after=0)
    (Path(home.folder("registry")) / ".tmp-left-by-a-killed-process").write_text("{")
    (Path(home.folder("registry")) / "notes.txt").write_text("mine")
    assert len(history(home)) == 1


def test_it_lives_on_other_file_systems() -> None:
    home = Home(root="memory://registry-test")
    one = head(home, "1")
    append_entry(home, "promoted", champion=one, after=0)
    assert champion(home) == one


def written(home: Home, **changes: object) -> Path:
    """The only entry of a registry, with other fields."""
    append_entry(home, "promoted", champion=head(home, "1"), after=0)
    path = Path(home.folder("registry")) / "000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_an_entry_in_a_format_of_later_is_not_read_as_one_of_now(home: Home) -> None:
    path = written(home, format=3, action="promoted by a vote", champion=["several"])
    with pytest.raises(
        RegistryNewer, match=r"a newer routecal wrote .*000001.json \(format 3, this one reads 2\); upgrade"
    ):
        champion(home)
    path.write_text(path.read_text().replace('"format": 3', '"format": 2'))
    with pytest.raises(RegistryCorrupt, match="it is not an entry"):
        champion(home)


def test_only_an_alarm_is_more_than_earlier_versions_read(home: Home) -> None:
    one = head(home, "1")
    append_entry(home, "promoted", champion=one, after=0)
    append_entry(home, "alarm", champion=one, after=1, lineage={ALARM: "queries drifted"})
    append_entry(home, "refused", champion=one, after=2)
    assert [entry.format for entry in history(home)] == [1, 2, 1]
    assert alarm_against_champion(history(home)) == "queries drifted"


def test_what_other_versions_add_or_lack_is_no_damage(home: Home) -> None:
    path = written(home, votes=3)
    assert champion(home) is not None
    entry = json.loads(path.read_text())
    del entry["format"]
    path.write_text(json.dumps(entry))
    assert champion(home) is not None


def test_no_clock_decides_what_serves(home: Home) -> None:
    written(home, at="2199-01-01T00:00:00Z")
    two = head(home, "2")
    append_entry(home, "promoted", champion=two, after=1)
    assert champion(home) == two


@pytest.mark.parametrize("content", [b"", b'{"number": 1, "at"', b"[]", b"null", b"\xff\xfe"])
def test_half_an_entry_is_told_with_a_way_out(home: Home, content: bytes) -> None:
    written(home).write_bytes(content)
    with pytest.raises(RegistryCorrupt, match="if it is the last one, remove it"):
        champion(home)


def test_the_registry_holds_no_place_of_its_home(home: Home) -> None:
    one = head(home, "1")
    lineage = {"report": f"{home.root}/reports/a.html", "rows": {"labels": one.model_dump(context=within(home))}}
    append_entry(home, "promoted", champion=one, candidate=one, after=0, lineage=lineage)
    assert home.root not in (Path(home.folder("registry")) / "000001.json").read_text()
    (entry,) = history(home)
    assert entry.champion is not None
    assert entry.champion.uri == one.uri
    assert entry.lineage["report"] == "reports/a.html"
