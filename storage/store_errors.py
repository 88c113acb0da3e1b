"""The errors of object stores: what was found, what is allowed, what to do."""

from routecal.plain_text import plain
from routecal.storage.errors import StorageError

# The variables that credentials come from, by the start of a URL.
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_NAMES = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}


def credentials_of(url: str) -> str:
    """The variables that name credentials for a URL, as a clause.

    >>> credentials_of("gcs://bucket/home")
    'GOOGLE_APPLICATION_CREDENTIALS'
    """
    protocol = url.partition("://")[0]
    return _CREDENTIALS.get(_NAMES.get(protocol, protocol), "those that its fsspec plug-in reads")


class PluginMissing(StorageError, ImportError):
    """A URL whose kind of store needs a package that is not installed."""

    url: str
    package: str
    install: str
    sentence = "{url} needs the package {package}, which is not installed; run `pip install {install}`"


class BucketMissing(StorageError, FileNotFoundError):
    """The bucket (container) of a URL is not there."""

    url: str
    bucket: str
    sentence = "there is no bucket {bucket} for {url}; create it, or correct the URL: routecal creates none"


class StoreRefuses(StorageError, PermissionError):
    """The store knows who asks, and does not allow it; or does not know the credentials."""

    url: str
    reason: str

    def __str__(self) -> str:
        return (
            f"access to {plain(self.url)} is denied ({plain(self.reason)}); allow these credentials to read, write, "
            f"list and delete there, or set others ({credentials_of(self.url)})"
        )


class CredentialsMissing(StorageError, PermissionError):
    """No credentials were found for a store that wants some."""

    url: str
    reason: str

    def __str__(self) -> str:
        return (
            f"there are no usable credentials for {plain(self.url)} ({plain(self.reason)}); "
            f"set {credentials_of(self.url)}"
        )


class StoreUnreachable(StorageError, ConnectionError):
    """Nothing answers where the store should be, or it stopped answering."""

    url: str
    reason: str
    sentence = (
        "the object store of {url} does not answer ({reason}); check the network and the endpoint (AWS_ENDPOINT_URL of "
        "an S3 server of your own), and repeat: what is finished is kept"
    )


class StoreFailed(StorageError, OSError):
    """A store, or its plug-in, fails in a way that has no error of its own here."""

    url: str
    reason: str
    sentence = "the object store of {url} failed ({reason}); repeat the command: what is finished is kept"


class NoConditionalWrites(StorageError, RuntimeError):
    """A store that overwrites where it is told not to: of two decisions at once one would be lost."""

    url: str
    sentence = (
        "the object store of {url} overwrites objects that it is asked to keep (it ignores If-None-Match), so "
        "decisions about the champion could be lost; set ROUTECAL_HOME to a store that does not, or to a folder"
    )
