"""The Hugging Face Hub, as far as a head needs it: one snapshot down, or the files of its cache.

`huggingface_hub.ModelHubMixin` is not used: it would write its own config.json and card over ours, store the
constructor's arguments only, and ask the Hub about a local folder's name.
"""

from pathlib import Path

from routecal.calib.checkpoint_errors import CheckpointMissing


def fetch(
    repo_id: str,
    files: tuple[str, ...],
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | None = None,
    endpoint: str | None = None,
) -> Path:
    """Folder of the local cache with these files of a repository, downloaded unless they are there.

    Offline (HF_HUB_OFFLINE=1, or the Hub out of reach) the cache alone is asked.

    Raises:
        CheckpointMissing: no such repository or revision, or out of reach and not in the cache; the message says which.
    """
    # Imported here: it takes a third of a second, and local folders need none of it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(
            repo_id,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            endpoint=endpoint,
            allow_patterns=list(files),
        )
    except HFValidationError:
        raise CheckpointMissing(repo_id, "confidence head (neither a folder here nor a name of the Hub)") from None
    except OSError as error:  # what the Hub answers and what the network does are both OSErrors there
        reason = " ".join(str(error).split())[:300]
        raise CheckpointMissing(repo_id, f"confidence head (no such folder, and from the Hub: {reason})") from error
    return Path(found)
