"""A head as a folder: weights in safetensors, everything else in config.json, a model card beside them. No pickle."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from routecal.calib.checkpoint_errors import CheckpointMissing, HeadUnusable
from routecal.calib.errors import UnknownName
from routecal.calib.head import hub
from routecal.calib.head.card import model_card
from routecal.calib.head.config import HeadConfig
from routecal.calib.recalibrate import Recalibrator, from_json, to_json

WEIGHTS, CONFIG, CARD = "head.safetensors", "config.json", "README.md"

Kind = TypeVar("Kind", bound="StoredHead")


class StoredHead(ABC):
    """What can be saved as a head folder, shared on the Hugging Face Hub, and read back the same to the last bit."""

    config: "HeadConfig"
    recalibrator: Recalibrator
    lineage: dict[str, Any]
    metrics: dict[str, float]
    folds: int = 0

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Weights and inputs by name."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, config: "HeadConfig", members: int, tensors: Mapping[str, Tensor], *, folds: int = 0) -> Self:
        """Made of `tensors()` again; any error says why it cannot be."""

    @property
    def members(self) -> int:
        """Heads in it."""
        return 1

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        recalibrator: Recalibrator | None = None,
        lineage: dict[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> Path:
        """Write head.safetensors, config.json and README.md (a model card) into `folder`, made if need be; return it.

        What is not given is the head's own.

        Args:
            folder: where; the caller makes it atomic.
            recalibrator: what `load` gives back beside the head.
            lineage: JSON of where all this comes from, the training's hyperparameters among it; kept as it is under
                "lineage".
            metrics: name -> value on held-out rows, for the card.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "head": self.config.model_dump(),
            "members": self.members,
            "folds": self.folds,
            "recalibrator": to_json(self.recalibrator if recalibrator is None else recalibrator),
            "metrics": dict(self.metrics if metrics is None else metrics),
            "lineage": self.lineage if lineage is None else lineage,
        }
        # Not `save_file`, which makes a file that nobody but its owner may read, whatever the umask.
        weights = save({name: t.detach().cpu().contiguous() for name, t in self.tensors().items()})
        (folder / WEIGHTS).write_bytes(weights)
        (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (folder / CARD).write_text(model_card(config), encoding="utf-8")
        return folder

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | None = None,
        endpoint: str | None = None,
    ) -> Self:
        """Read a head back, recalibrator, lineage and metrics attached: `confidence` is then the calibrated one.

        Args:
            name: a local folder, read without any network; otherwise a repository of the Hub, "owner/name".
            revision: branch, tag or commit of the repository.
            cache_dir: where downloads are kept; default: the Hub client's own cache.
            token: for private repositories; default: the one `hf auth login` stored.
            endpoint: URL of another Hub than huggingface.co.

        Raises:
            CheckpointMissing: neither such a folder nor such a repository can be read, or a file is missing in it.
            HeadUnusable: what is there is damaged, or is not this kind of head.
        """
        local = Path(name).expanduser()
        if not local.is_dir():
            local = hub.fetch(str(name), (WEIGHTS, CONFIG), revision, cache_dir, token, endpoint)
        stored = read_head(local)
        head = stored.build(cls)
        head.recalibrator, head.lineage = stored.recalibrator, stored.config.get("lineage", {})
        head.metrics = stored.config.get("metrics", {})
        return head

    def push_to_hub(
        self,
        repo_id: str,
        *,
        recalibrator: Recalibrator | None = None,
        lineage: dict[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        private: bool | None = None,
        revision: str | None = None,
        message: str = "Upload a confidence head",
        token: str | None = None,
        endpoint: str | None = None,
    ) -> str:
        """Save and upload as one commit; the repository is made if need be. Returns the commit's URL.

        Args:
            repo_id: "owner/name".
            recalibrator, lineage, metrics: as in `save_pretrained`. Lineage and metrics become as public as the
                repository is.
            private: of a repository made here; default: the owner's setting.
            revision: branch to commit to; default: main.
            message: first line of the commit message.
            token: with the right to write; default: the one `hf auth login` stored.
            endpoint: URL of another Hub than huggingface.co.

        Raises:
            huggingface_hub.errors.HfHubHTTPError: the Hub refused; its message says why.
        """
        from huggingface_hub import HfApi  # here: it takes a third of a second, and local folders need none of it

        with TemporaryDirectory() as scratch:
            self.save_pretrained(scratch, recalibrator=recalibrator, lineage=lineage, metrics=metrics)
            api = HfApi(endpoint=endpoint, token=token)
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            commit = api.upload_folder(repo_id=repo_id, folder_path=scratch, revision=revision, commit_message=message)
        return str(commit.commit_url)


@dataclass(frozen=True)
class StoredFolder:
    """What lies in a head folder, checked but not yet a head.

    Attributes:
        path: the folder.
        config: all of config.json.
        tensors: all of head.safetensors.
        recalibrator: built from config.json.
    """

    path: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    recalibrator: Recalibrator

    @property
    def members(self) -> int:
        """Heads in it: more than one in an ensemble."""
        return int(self.config.get("members", 1))

    def build(self, kind: type[Kind]) -> Kind:
        """The head or ensemble in it.

        Raises:
            HeadUnusable: it is not of that kind, or shapes and names of the tensors do not fit the configuration.
        """
        try:
            config, folds = HeadConfig(**self.config["head"]), int(self.config.get("folds", 0))
            return kind.from_tensors(config, self.members, self.tensors, folds=folds)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise HeadUnusable(str(self.path), _one_line(error)) from error


def read_head(folder: Path) -> StoredFolder:
    """Read and check a head folder.

    Raises:
        CheckpointMissing: it lacks head.safetensors or config.json.
        HeadUnusable: one of them is damaged, or is not a head's.
    """
    if missing := [name for name in (WEIGHTS, CONFIG) if not (folder / name).is_file()]:
        raise CheckpointMissing(str(folder), f"confidence head ({', '.join(missing)})")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:  # UnicodeDecodeError is one, too
        raise HeadUnusable(str(folder), f"{CONFIG} is not JSON ({_one_line(error)})") from error
    if not isinstance(config, dict) or not {"head", "recalibrator"} <= config.keys():
        raise HeadUnusable(str(folder), f"{CONFIG} lacks 'head' or 'recalibrator': it is another kind of model's")
    if not isinstance(members := config.get("members", 1), int) or members < 1:
        raise HeadUnusable(str(folder), f"members is {members!r}, not a count")
    try:
        recalibrator = from_json(dict(config["recalibrator"]))
        recalibrator([0.5])  # parameters of a wrong type show up in use only
    except (UnknownName, TypeError, ValueError, KeyError) as error:
        raise HeadUnusable(str(folder), f"its recalibrator cannot be built ({_one_line(error)})") from error
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise HeadUnusable(str(folder), f"{WEIGHTS} is damaged ({_one_line(error)})") from error
    if bad := [name for name, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]:
        raise HeadUnusable(str(folder), f"{WEIGHTS} holds NaN or infinity in {', '.join(bad)}")
    return StoredFolder(folder, config, tensors, recalibrator)


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return " ".join(f"{type(error).__name__}: {error}".split())
