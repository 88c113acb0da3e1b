import pytest

from routecal.storage.ledger.ledger_errors import LedgerUrlInvalid
from routecal.storage.ledger.url import locate, scrub, url_for_display


@pytest.fixture(autouse=True)
def _no_url(monkeypatch):
    monkeypatch.delenv("ROUTECAL_LEDGER_URL", raising=False)


def test_the_home_then_the_variable_then_the_argument(tmp_path, monkeypatch):
    assert url_for_display(locate()) == str(tmp_path / "artifacts" / "ledger.sqlite")
    monkeypatch.setenv("ROUTECAL_LEDGER_URL", "")
    assert url_for_display(locate()) == str(tmp_path / "artifacts" / "ledger.sqlite")
    monkeypatch.setenv("ROUTECAL_LEDGER_URL", f"sqlite:///{tmp_path}/env.sqlite")
    assert url_for_display(locate()) == str(tmp_path / "env.sqlite")
    assert url_for_display(locate(f"sqlite:///{tmp_path}/given.sqlite")) == str(tmp_path / "given.sqlite")


def test_a_home_elsewhere_has_its_ledger_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROUTECAL_HOME", "memory://home")
    assert url_for_display(locate()) == str(tmp_path / "artifacts" / "ledger.sqlite")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_servers(scheme):
    url = locate(f"{scheme}://ann:pa%40ss@db:5433/paid?sslmode=require")
    assert (url.drivername, url.password, url.query["sslmode"]) == ("postgresql+psycopg", "pa@ss", "require")
    assert url_for_display(url) == "postgresql://ann:***@db:5433/paid"


def test_a_relative_file_stays_where_it_was_when_the_run_began(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert url_for_display(locate("sqlite:///some/l.sqlite")) == str(tmp_path / "some" / "l.sqlite")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ledger.sqlite", "it is not a URL"),
        ("s3cret", "it is not a URL"),
        ("postgresql://ann:s3cret@db:port/paid", "it is not a URL"),
        ("mysql://ann:s3cret@db/paid", "'mysql' is neither sqlite nor postgresql"),
        ("sqlite+aiosqlite:///l.sqlite", "'sqlite\\+aiosqlite' is neither"),
        ("postgresql+asyncpg://ann:s3cret@db/paid", "is neither sqlite nor postgresql"),
        ("postgresql://ann:pa@s3cret@db/paid", "more than one @"),
        ("postgresql://ann:p@x/s3cret@db/paid", "more than one @"),
        ("sqlite://", "it does not name a file on this machine"),
        ("sqlite:///:memory:", "it does not name a file on this machine"),
        ("sqlite:///file:l?mode=memory&uri=true", "it does not name a file on this machine"),
        ("sqlite://folder/l.sqlite", "it does not name a file on this machine"),
    ],
)
def test_what_cannot_be_used(url, reason):
    with pytest.raises(LedgerUrlInvalid, match=reason) as caught:
        locate(url)
    said = str(caught.value)
    assert "s3cret" not in said or url == "s3cret"
    assert "set ROUTECAL_LEDGER_URL to sqlite:////folder/ledger.sqlite or postgresql://" in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_scrub():
    url = locate("postgresql://ann:s3cret@db/paid?sslpassword=other")
    assert scrub(url, "FATAL: s3cret\n  and other\n") == "FATAL: *** and ***"
