"""TLS in front of a server: nginx on loopback, configured as the documentation says."""

import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.test_layering import ROOT

MEANT = re.compile(r"^( +)server \{\n.*?^\1\}$", re.MULTILINE | re.DOTALL)


@contextmanager
def tls_front(folder: Path, upstream: str, port: int) -> Iterator[str]:
    """The address of a front that hands on to `upstream`; who trusts `folder/certificate.pem` trusts it."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed: make debian, as root")
    make_certificate(folder)
    said = MEANT.search((ROOT / "deployments/README.md").read_text())
    assert said is not None
    server = said[0]
    for documented, ours in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/prefect/", f"{folder}/"),
        ("http://127.0.0.1:4200", upstream),
    ):
        assert documented in server
        server = server.replace(documented, ours)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    http = f"http {{ access_log {folder}/access.log; {places}\n{server}\n}}"
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/pid; {user} events {{ }}\n{http}\n")
    process = subprocess.Popen([nginx, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")])
    address = f"https://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 30
        while not _answers(address, folder / "certificate.pem"):
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def make_certificate(folder: Path) -> None:
    """A certificate of 127.0.0.1 that vouches for itself, for a day; and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _answers(address: str, certificate: Path) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/health", context=ssl.create_default_context(cafile=certificate)):
            return True
    # 401 is an answer; 502 says that the server behind is not there yet.
    except urllib.error.HTTPError as error:
        return error.code != 502
    except OSError:
        return False
