"""A home in an object store that is not there, refuses, or does not answer: one sentence, and nothing is lost."""

import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import pytest
from fsspec.registry import _registry as clients

from routecal.flows import cli
from routecal.storage.errors import StorageError
from routecal.storage.ingest import read_queries
from routecal.storage.input_errors import InputMissing
from routecal.storage.layout import Home
from routecal.storage.remote import is_there
from routecal.storage.store_errors import BucketMissing, StoreRefuses
from tests.object_store.s3_server import S3Server, surroundings

# Each makes clients of its own, which takes seconds of CPU.
pytestmark = pytest.mark.served
Capture = pytest.CaptureFixture[str]
Surroundings = Callable[[S3Server], AbstractContextManager[Mapping[str, str]]]


def said_of(capsys: Capture, *argv: str) -> str:
    """What a refused command says."""
    assert cli.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


NOBODY = {"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "guessed"}
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
CASES: dict[str, tuple[str, Surroundings, str]] = {
    "no bucket": (
        "s3://nobucket/home",
        lambda s3: nullcontext(s3.environment),
        "there is no bucket nobucket for s3://nobucket/home; create it, or correct the URL: routecal creates none",
    ),
    "no permission": (
        "s3://bucket/home",
        lambda s3: s3.with_iam(Action="s3:CreateBucket"),
        "access to s3://bucket/home is denied (AccessDenied: ",
    ),
    "unknown key": (
        "s3://bucket/home",
        lambda s3: nullcontext(s3.environment | NOBODY),
        "access to s3://bucket/home is denied (InvalidAccessKeyId: ",
    ),
    "no credentials": (
        "s3://bucket/home",
        lambda s3: nullcontext({name: value for name, value in s3.environment.items() if name not in KEYS}),
        "there are no usable credentials for s3://bucket/home (NoCredentialsError: Unable to locate credentials); set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    "no server": (
        "s3://bucket/home",
        lambda s3: nullcontext(
            s3.environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}", "AWS_MAX_ATTEMPTS": "1"}
        ),
        "the object store of s3://bucket/home does not answer (EndpointConnectionError: Could not connect to the ",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_store_that_cannot_be_used_is_one_sentence_to_read_and_to_write(
    case: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    home, variables, said = CASES[case]
    monkeypatch.setenv("ROUTECAL_HOME", home)
    with s3.with_iam() if case == "unknown key" else nullcontext(), variables(s3) as found, surroundings(found):
        assert said_of(capsys, "heads").startswith(f"routecal: {said}")
        with pytest.raises(StorageError) as caught:
            Home(root=home).check_writable()
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("url", "package", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("abfs", "adlfs", "azure")]
)
def test_a_plugin_that_is_not_installed(
    url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delitem(clients, url, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("ROUTECAL_HOME", f"{url}://bucket/home")
    assert said_of(capsys, "heads") == (
        f"routecal: {url}://bucket/home needs the package {package}, which is not installed; run `pip install "
        f"routecal[{extra}]`"
    )


def test_who_may_only_read_is_refused_before_anything_is_spent(s3: S3Server) -> None:
    with s3.with_iam(Action=["s3:GetObject", "s3:ListBucket"]) as found, surroundings(found):
        with pytest.raises(StoreRefuses, match=r"access to s3://bucket/home is denied \(AccessDenied"):
            Home(root="s3://bucket/home").check_writable()
        assert not is_there("s3://bucket/home")


@pytest.mark.parametrize("path", ["s3://nobucket/q.jsonl", "s3://bucket/q.jsonl"])
def test_a_file_of_queries_that_is_not_there(path: str, s3: S3Server) -> None:
    with pytest.raises(InputMissing if "nobucket" not in path else BucketMissing, match=path):
        read_queries(path)
