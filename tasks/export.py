"""What a run stored, written for other programs: examples to train on, or a router that a gateway reads."""

from typing import Literal, NamedTuple

from routecal.storage.atomic import write_chunks
from routecal.storage.example_join import export_jsonl
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.runs import run_with

# What is written where no file is named.
FILES = {"jsonl": "sft_data.jsonl", "switchyard": "router.pt"}


class ExportedExamples(NamedTuple):
    """Examples that were written.

    Attributes:
        run_id: whose.
        path: where they are.
        n: rows written.
        n_held_out: test rows that were left out.
    """

    run_id: str
    path: str
    n: int
    n_held_out: int

    @property
    def lines(self) -> list[str]:
        """How many, whose, where to, and how many were held back."""
        left_out = f"; {self.n_held_out} held-out rows left out (--held-out writes them too)" if self.n_held_out else ""
        return [f"{self.n} examples of run {self.run_id} written to {self.path}{left_out}"]


class ExportedRouter(NamedTuple):
    """A router that was written.

    Attributes:
        router: the packed folder.
        path: where it is.
        encoder: where its reader looks for the checkpoint of the frozen router.
        targets: names of the models, in the order that its reader wants.
        n_bytes: of the file.
    """

    router: str
    path: str
    encoder: str
    targets: tuple[str, ...]
    n_bytes: int

    @property
    def lines(self) -> list[str]:
        """Whose, where to, and what its reader must be told."""
        return [
            f"{self.router} written to {self.path} ({self.n_bytes / 1e6:.1f} MB)",
            f"encoder  {self.encoder}",
            f"targets  the targets of {' and '.join(self.targets)}, in this order",
        ]


def export(
    to: Literal["jsonl", "switchyard"] = "jsonl",
    output_file: str | None = None,
    run: str | None = None,
    *,
    held_out: bool = False,
    head: str | None = None,
    encoder: str | None = None,
) -> ExportedExamples | ExportedRouter:
    """Write the examples of one run as the method's JSONL, or its router as a gateway reads it.

    Args:
        to: which.
        output_file: where to; None takes the name in `FILES`.
        run: its id; None takes the newest that made what is written.
        held_out: of the examples write test rows too, and the split of every row.
        head: a packed folder, in place of the run's.
        encoder: where the gateway finds the frozen router's checkpoint; None: where it is now.

    Raises:
        OptionMissing, RunUnknown, RunLacks: there are no examples, or no packed folder.
        NotExportable: the gateway cannot decide as this folder does; says why and what to do.
    """
    path = output_file or FILES[to]
    if to == "jsonl":
        run_id, found = run_with("examples", run_id=run)
        return ExportedExamples(run_id, path, *export_jsonl(found["examples"], path, held_out=held_out))
    # Here: examples are written without torch, which takes seconds to load.
    from routecal.calib import switchyard
    from routecal.calib.calibrated_router import CalibratedRouter

    folder = head or str(local_folder(run_with("calibrated", run_id=run)[1]["calibrated"]))
    router = CalibratedRouter.from_pretrained(folder, device="cpu")
    encoder = encoder or str(router.router.path.resolve())
    checkpoint = switchyard.checkpoint_of(router, encoder=encoder, path=folder)
    content = switchyard.as_bytes(checkpoint)
    write_chunks(path, [content])
    return ExportedRouter(folder, path, encoder, tuple(checkpoint["models"]), len(content))
