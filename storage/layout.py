"""Where artifacts live: `<home>/<kind>/<digest>…` and `<home>/runs/<run_id>.json`.

What is stored in a home refers to the rest of it relative to its root, so that it can be moved, copied and mounted.
"""

import os
import uuid
from typing import Self

from pydantic import BaseModel, Field, JsonValue, field_validator

from routecal.storage.atomic import local_path, write_chunks
from routecal.storage.errors import HomeNotWritable, StorageError
from routecal.storage.remote import is_store, names_in, resolve, store_errors

VARIABLE = "ROUTECAL_HOME"
DEFAULT = "./artifacts"


class Home(BaseModel, frozen=True):
    """The root of all artifacts; a local one is made absolute, so that a run may change its folder."""

    root: str = Field(description="a local folder, or any fsspec URL (s3://…, gs://…)")

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: str) -> str:
        if "://" in root and not root.startswith("file://"):
            return root.rstrip("/")
        return str(local_path(os.path.expanduser(root)) or root)

    @classmethod
    def from_env(cls) -> Self:
        """The home that ROUTECAL_HOME names, else ./artifacts."""
        return cls(root=os.environ.get(VARIABLE) or DEFAULT)

    @property
    def absence(self) -> str:
        """What to say beside "nothing is there yet" where the folder is not there either; empty where it is."""
        local = local_path(self.root)
        if local is None or local.is_dir():
            return ""
        return f"there is no folder {local}; name the one that you mean with {VARIABLE} (default {DEFAULT})"

    def folder(self, kind: str) -> str:
        """The folder, or URL prefix, of one kind of artifact."""
        return f"{self.root}/{kind}"

    def relative(self, uri: str) -> str:
        """`uri` from the root on if it lies in this home, else as it is.

        >>> Home(root="s3://bucket/home").relative("s3://bucket/home/labels/ab.parquet")
        'labels/ab.parquet'
        """
        # A path that was resolved on the way may lie behind a link that the root goes through.
        roots = (self.root,) if "://" in self.root else (self.root, os.path.realpath(self.root))
        return next((uri[len(root) + 1 :] for root in roots if uri.startswith(f"{root}/")), uri)

    def absolute(self, reference: str) -> str:
        """Where something lies now that `relative` named.

        >>> Home(root="/srv/home").absolute("labels/ab.parquet")
        '/srv/home/labels/ab.parquet'
        """
        is_whole = "://" in reference or os.path.isabs(reference)
        return reference if is_whole else f"{self.root}/{reference}"

    def portable(self, value: JsonValue) -> JsonValue:
        """A JSON value in which every string that is a place in this home is relative to its root."""
        match value:
            case str():
                return self.relative(value)
            case dict():
                return {key: self.portable(one) for key, one in value.items()}
            case list() | tuple():
                return [self.portable(one) for one in value]
        return value

    def check_readable(self) -> None:
        """Look into a home in an object store: whoever finds nothing there would be told to make it first.

        Raises:
            StorageError: the store is not there, refuses, or does not answer.
        """
        if is_store(self.root):
            names_in(self.root)

    def check_writable(self) -> None:
        """Write a few bytes and remove them: before a run spends anything, not after.

        Raises:
            HomeNotWritable: they cannot be written, with the reason.
            DiskFull: there is no space even for them.
            StorageError: the object store is not there, refuses, or does not answer.
        """
        probe = f"{self.root}/.probe-{uuid.uuid4().hex}"
        try:
            write_chunks(probe, [b"routecal"])
            fs, path = resolve(probe)
            with store_errors(probe):
                fs.rm_file(path)
        # All that is raised there names the probe first.
        except StorageError as error:
            raise type(error)(self.root, *error.args[1:]) from error
        # Remote file systems are plug-ins with error types of their own (credentials, network, buckets).
        except Exception as error:
            raise HomeNotWritable(self.root, f"{type(error).__name__}: {error}") from error
