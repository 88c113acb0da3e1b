"""Files that only one of several writers can make, on disks and in object stores."""

import os
import uuid
from functools import cache

from routecal.storage.atomic import disk_errors, flush, local_path, staging
from routecal.storage.errors import RegistryChanged
from routecal.storage.remote import code_of, resolve, store_errors
from routecal.storage.store_errors import NoConditionalWrites


def create_once(url: str, content: bytes) -> None:
    """Make a file that must not exist yet, whole or not at all.

    Raises:
        RegistryChanged: it exists, or somebody else made it meanwhile.
        NoConditionalWrites: the store cannot tell.
        DiskFull, HomeNotWritable: it cannot be stored.
    """
    local = local_path(url)
    try:
        if local is None:
            check_exclusive(url.rpartition("/")[0])
            _put_new(url, content)
            return
        with staging(url.rpartition("/")[0]) as staged, disk_errors(url):
            staged.write_bytes(content)
            flush(staged)
            try:
                os.link(staged, local)
            except FileExistsError as error:
                raise RegistryChanged(url) from error
            flush(local.parent)
    except FileExistsError as error:
        raise RegistryChanged(url) from error


def _put_new(url: str, content: bytes) -> None:
    """Make a remote file that must not exist yet: FileExistsError if it does."""
    fs, path = resolve(url)
    with store_errors(url):
        try:
            fs.pipe_file(path, content, mode="create")
        except OSError as error:
            # Amazon's answer to the slower of two at the same moment.
            if code_of(error) == "ConditionalRequestConflict":
                raise FileExistsError(path) from error
            raise


@cache
def check_exclusive(folder: str) -> None:
    """Write a file twice, which must fail: stores there are that overwrite it all the same.

    Raises:
        NoConditionalWrites: this one does.
    """
    probe = f"{folder}/.probe-{uuid.uuid4().hex}"
    fs, path = resolve(probe)
    _put_new(probe, b"routecal")
    try:
        _put_new(probe, b"routecal")
    except FileExistsError:
        return
    finally:
        with store_errors(probe):
            fs.rm_file(path)
    raise NoConditionalWrites(folder)
