"""What is there at a URL, and what a store's plug-in raises as errors of ours.

fsspec's `isfile`, `isdir` and `exists` say no of a store that refuses or does not answer; what is here raises then, so
that nobody takes a closed bucket for an empty one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
from fsspec.implementations.local import LocalFileSystem

from routecal.storage.errors import HomeNotWritable, StorageError
from routecal.storage.store_errors import (
    BucketMissing,
    CredentialsMissing,
    PluginMissing,
    StoreFailed,
    StoreRefuses,
    StoreUnreachable,
)

# Package and extra of each kind of object store.
PLUGINS = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "routecal[s3]")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "routecal[gcs]")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("adlfs", "routecal[azure]")),
}
_LIBRARIES = {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "requests", "s3fs"}
# Errors of the plug-ins' libraries, by name: none of them is imported here, nor need be installed.
_NO_CREDENTIALS = {
    "CredentialRetrievalError",
    "CredentialUnavailableError",
    "DefaultCredentialsError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RefreshError",
}
_REFUSES = {"ClientAuthenticationError", "PermissionError"}
_UNREACHABLE = {
    "ClientConnectorError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "EndpointConnectionError",
    "HTTPClientError",
    "ReadTimeoutError",
    "ServiceRequestError",
    "ServiceResponseError",
}
# By process, protocol and what else of a URL they depend on.
clients: dict[tuple[object, ...], fsspec.AbstractFileSystem] = {}
_NO_BUCKET = {"ContainerNotFound", "NoSuchBucket"}


def resolve(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system behind `url`, and the path in it.

    Raises:
        PluginMissing: its kind of store needs a package that is not installed.
        CredentialsMissing: the package takes no store without any.
        HomeNotWritable: the protocol is unknown.
    """
    protocol = _protocol(url)
    try:
        fs, path = _client(protocol, url) if protocol in PLUGINS else fsspec.core.url_to_fs(url)
    except ImportError as error:
        if protocol not in PLUGINS:
            raise HomeNotWritable(url, str(error)) from error
        raise PluginMissing(url, *PLUGINS[protocol]) from error
    except ValueError as error:
        if protocol in PLUGINS:  # as adlfs says it
            raise CredentialsMissing(url, _reason(error)) from error
        raise HomeNotWritable(url, str(error)) from error
    except Exception as error:
        if protocol not in PLUGINS or (found := _error_of(url, error)) is None:
            raise
        raise found from error
    return fs, path


def _client(protocol: str, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """One client for all threads: fsspec makes one for each, which takes a second of CPU; all run in one event loop."""
    cls = fsspec.get_filesystem_class(protocol)
    options = cls._get_kwargs_from_urls(url)
    key = (os.getpid(), protocol, tuple(sorted(options.items())))
    if key not in clients:
        # Other processes write too: a listing that was kept would hide what they did.
        clients[key] = cls(**options, use_listings_cache=False)
    return clients[key], cls._strip_protocol(url)


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn what the plug-in of an object store raises into errors of ours.

    A file that is not there stays FileNotFoundError, one that is there where none may be FileExistsError. Of local
    paths, and of kinds of stores that are none of `PLUGINS`, everything passes.
    """
    try:
        yield
    except (StorageError, ImportError):
        raise
    except Exception as error:
        if not is_store(url):
            raise
        if (found := _error_of(url, error)) is None:
            raise
        raise found from error


def is_file(url: str) -> bool:
    """Whether there is a file, and not a folder, at a path or URL.

    Raises:
        StorageError: the store cannot say.
    """
    return _type(url) == "file"


def is_folder(url: str) -> bool:
    """Whether there is a folder: in an object store, whether any name begins so; errors as `is_file`."""
    return _type(url) == "directory"


def is_there(url: str) -> bool:
    """Whether there is a file or a folder; errors as `is_file`."""
    return _type(url) is not None


def names_in(url: str) -> list[str]:
    """The paths of what lies in a folder, sorted; none if there is no folder. Errors as `is_file`."""
    fs, path = resolve(url)
    # Of stores whose listings are kept.
    fs.invalidate_cache()
    with store_errors(url):
        try:
            return sorted(found for found in fs.ls(path, detail=False) if found.rstrip("/") != path.rstrip("/"))
        except (FileNotFoundError, NotADirectoryError) as error:
            if code_of(error) in _NO_BUCKET:
                raise
            return []


def _type(url: str) -> str | None:
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        return "file" if fs.isfile(path) else "directory" if fs.isdir(path) else None
    with store_errors(url):
        try:
            return str(fs.info(path)["type"])
        except FileNotFoundError as error:
            if code_of(error) in _NO_BUCKET:
                raise
            return None


def is_store(url: str) -> bool:
    """Whether a URL is of an object store.

    >>> is_store("s3://bucket/home"), is_store("/srv/home")
    (True, False)
    """
    return _protocol(url) in PLUGINS


def bucket_of(url: str) -> str:
    """The bucket, or container, that a URL names.

    >>> bucket_of("s3://bucket/home/labels")
    'bucket'
    """
    return url.partition("://")[2].partition("/")[0]


def _protocol(url: str) -> str:
    return url.partition("://")[0] if "://" in url else ""


def _error_of(url: str, error: Exception) -> StorageError | None:
    """Ours for one of a plug-in's; None for those that callers know, and for faults of the code within."""
    chain = list(_chain(error))
    if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _LIBRARIES:
        return None
    names, reason = {cls.__name__ for one in chain for cls in type(one).__mro__}, _reason(error)
    if any(code_of(one) in _NO_BUCKET for one in chain):
        return BucketMissing(url, bucket_of(url))
    if isinstance(error, FileNotFoundError | FileExistsError):
        return None
    if names & _NO_CREDENTIALS:
        return CredentialsMissing(url, reason)
    if names & _REFUSES:
        return StoreRefuses(url, reason)
    if names & _UNREACHABLE or isinstance(error, ConnectionError | TimeoutError):
        return StoreUnreachable(url, reason)
    return StoreFailed(url, reason)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__


def code_of(error: BaseException) -> str:
    """What a store calls an error: in botocore's `response`, or azure's `error_code`; "" if it does not say."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else getattr(one, "error_code", None)
        if code:
            return str(getattr(code, "value", code))
    return ""


def _reason(error: Exception) -> str:
    code, text = code_of(error), " ".join(str(error).split())
    return ": ".join(filter(None, (code or type(error).__name__, text)))
