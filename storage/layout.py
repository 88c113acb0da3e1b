"""Where artifacts live: `<home>/<kind>/<digest>…` and `<home>/runs/<run_id>.json`."""

import os
import uuid
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from storage.atomic import local_path, resolve, write_chunks
from storage.errors import DiskFull, HomeNotWritable, StorageError

VARIABLE = "ROUTECAL_HOME"
DEFAULT = "./artifacts"


class Home(BaseModel):
    """The root of all artifacts; a local one is made absolute, so that a run may change its folder."""

    model_config = ConfigDict(frozen=True)

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

    def folder(self, kind: str) -> str:
        """The folder, or URL prefix, of one kind of artifact."""
        return f"{self.root}/{kind}"

    def check_writable(self) -> None:
        """Write a few bytes and remove them: before a run spends anything, not after.

        Raises:
            HomeNotWritable: they cannot be written, with the reason.
            DiskFull: there is no space even for them.
        """
        probe = f"{self.root}/.probe-{uuid.uuid4().hex}"
        try:
            write_chunks(probe, [b"routecal"])
            fs, path = resolve(probe)
            fs.rm_file(path)
        except (HomeNotWritable, DiskFull) as error:
            raise type(error)(self.root, *error.args[1:]) from error
        except StorageError:
            raise
        # Remote file systems are plug-ins with error types of their own (credentials, network, buckets).
        except Exception as error:
            raise HomeNotWritable(self.root, f"{type(error).__name__}: {error}") from error
