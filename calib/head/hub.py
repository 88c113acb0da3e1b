"""The Hugging Face Hub, as far as a head needs it: one commit up, one snapshot down.

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


def push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None,
    revision: str | None,
    message: str,
    token: str | None,
    url: str | None,
) -> str:
    """Upload the files of `folder` as one commit to a repository, made if need be; returns the commit's URL.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the Hub refused.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=url, token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    commit = api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision, commit_message=message)
    return str(commit.commit_url)
