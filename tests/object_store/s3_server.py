"""moto's S3 on loopback, spoken to over HTTP as Amazon's is; it notes what it was asked, and can hold answers back."""

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import fsspec
import pytest

from routecal.storage import remote
from routecal.storage.remote import resolve

KEY = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret"}
# What a machine may have set for stores of its own.
FOREIGN = re.compile(r"(AWS|FSSPEC)_")


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        method: GET, PUT …
        path: `/bucket/key`.
        query: what follows the question mark.
        span: first and last byte of a range that was asked for; None for the whole object.
    """

    method: str
    path: str
    query: str
    span: tuple[int, int] | None = None

    @property
    def n_bytes(self) -> int:
        """How many bytes the range holds."""
        assert self.span is not None, self
        return self.span[1] - self.span[0] + 1


@dataclass(frozen=True)
class Answer:
    """An error in place of moto's answer: `409 Conflict`, its code, and a text."""

    status: str
    code: str
    message: str = "said the test"


def _answer_nothing(_asked: Asked) -> None:
    return None


class S3Server:
    """A server with its buckets.

    Attributes:
        url: its address.
        asked: every request, oldest first.
        meets: is shown each request before it is answered, in the thread of that request: may wait, or answer instead.
        heeds_conditions: whether it refuses what was to be written only if it is not there; some servers do not.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.asked: list[Asked] = []
        self.meets: Callable[[Asked], Answer | None] = _answer_nothing
        self.heeds_conditions = True
        # Looking whether a name is free and taking it is one step in Amazon's S3, and two in moto.
        self._writing = threading.Lock()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", environ.get("HTTP_RANGE", ""))
        asked = Asked(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ.get("QUERY_STRING", ""),
            (int(span[1]), int(span[2])) if span else None,
        )
        self.asked.append(asked)
        if (answer := self.meets(asked)) is not None:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            body = f"<Error><Code>{answer.code}</Code><Message>{answer.message}</Message></Error>".encode()
            start(answer.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [] if asked.method == "HEAD" else [body]
        if not self.heeds_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with self._writing if asked.method == "PUT" else nullcontext():
            return self._moto(environ, start)  # type: ignore[no-any-return]

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which s3fs finds the server and may do everything; no machine of Amazon's is asked."""
        return KEY | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @contextmanager
    def with_iam(self, **allowed: object) -> Iterator[dict[str, str]]:
        """Check every signature and permission, as Amazon does; the variables of a new user, who may do `allowed`."""
        import boto3

        client = boto3.client("iam", endpoint_url=self.url, region_name="us-east-1")
        client.create_user(UserName="ann")
        if allowed:
            policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **allowed}]}
            client.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=json.dumps(policy))
        key = client.create_access_key(UserName="ann")["AccessKey"]
        self._check_from(0)
        try:
            yield self.environment | {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
        finally:
            self._check_from(float("inf"))
            client.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
            if allowed:
                client.delete_user_policy(UserName="ann", PolicyName="own")
            client.delete_user(UserName="ann")

    def _check_from(self, n: float) -> None:
        """Let so many requests pass, then check them."""
        from moto import settings
        from moto.core.authorization import ActionAuthenticatorMixin

        settings.INITIAL_NO_AUTH_ACTION_COUNT, ActionAuthenticatorMixin.request_count = n, 0

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def surroundings(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables and no other of a store; no client is used that was made outside."""
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(FOREIGN.match, list(os.environ)):
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(fsspec.get_filesystem_class("s3"), "_cache", {})
        patch.setattr(remote, "clients", {})
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One for all tests; skipped where moto or s3fs is not installed."""
    for package in ("moto", "flask", "s3fs"):
        pytest.importorskip(package)
    server = S3Server()
    # Clients keep the variables that they were made under; making one takes a second, so there is one for all tests.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        resolve("s3://bucket")[0].mkdir("bucket")
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server with an empty bucket `bucket`, under the variables by which clients find it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    fs, _ = resolve("s3://bucket")
    s3_server.asked.clear()
    yield s3_server
    s3_server.meets, s3_server.heeds_conditions = _answer_nothing, True
    if kept := fs.find("bucket"):
        fs.rm(kept)
