"""What a night begins with."""

from typing import NamedTuple

from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import RegistryEntry
from routecal.tasks.night.inbox import Gathered
from routecal.tasks.night.label_history import ROWS, RUN, LabelHistory, NightRows
from routecal.tasks.night.night_result import KEY
from routecal.tasks.oracle.oracle_spec import OracleSpec


class NightContext(NamedTuple):
    """What a night reads before it changes anything.

    Attributes:
        run_id: of the night.
        router: the frozen router.
        oracle: who labels.
        key: whose nights belong together, see `key_of`.
        history: the nights before.
        before: the registry's newest entry; a decision is made upon it.
        in_force: the entry that put the serving head in its place.
        gathered: new queries.
    """

    run_id: str
    router: Artifact
    oracle: OracleSpec
    key: str
    history: LabelHistory
    before: RegistryEntry | None
    in_force: RegistryEntry | None
    gathered: Gathered

    @property
    def champion(self) -> Artifact | None:
        """The calibrated router that serves, if it is one of this router and these models."""
        return self.in_force.champion if self.in_force is not None and self._is_ours else None

    @property
    def learned(self) -> NightRows | None:
        """What the serving head learned from."""
        return (
            NightRows.model_validate(self.in_force.lineage[ROWS])
            if self.in_force is not None and self._is_ours
            else None
        )

    @property
    def displaced(self) -> str | None:
        """What serves that no head of this night can be compared with, in a sentence; None if nothing of the kind."""
        if self.in_force is None or self._is_ours:
            return None
        return (
            f"entry {self.in_force.number} serves another router, or was labelled by other models, so the new head was "
            "compared with a constant alone"
        )

    @property
    def age(self) -> int:
        """Nights that labelled something since the serving head was trained, tonight included if it does."""
        run_id = None if self.in_force is None else self.in_force.lineage.get(RUN)
        return self.history.labelled_after(run_id) + 1

    @property
    def _is_ours(self) -> bool:
        return self.in_force is not None and self.in_force.lineage.get(KEY) == self.key
