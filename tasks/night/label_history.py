"""What a night begins with: what earlier nights labelled, who serves, and new queries."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from routecal.calib.night.row_roles import may_teach, memory, window
from routecal.calib.settings import EscalationTerms, Reading
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.head_registry import RegistryEntry, history
from routecal.storage.layout import Home
from routecal.storage.manifest import Manifest, manifests
from routecal.storage.query_identity import is_rough
from routecal.tasks.night.inbox import Gathered
from routecal.tasks.night.night_result import FLOW, KEY
from routecal.tasks.old_tables import ids_of_now
from routecal.tasks.oracle.oracle_spec import OracleSpec
from routecal.tasks.sharding import joined

# Names in a night's manifest: its published row, the examples and the queries.
NIGHT, EXAMPLES, QUERIES = "night", "examples", "queries"
# A fact of a night whose outcomes changed without a reason; and in an entry of the registry, the run that wrote it.
DOUBTED, RUN = "doubted", "run_id"
# In an entry of the registry: the rows that its head learned from, and what its threshold was asked to keep.
ROWS, TERMS = "rows", "terms"


def key_of(router: Artifact, reading: Reading, oracle: OracleSpec) -> str:
    """Nights of one router and one pair of models belong together; labels of other pairs mean something else."""
    models = [getattr(getattr(oracle, who, None), "model", getattr(oracle, f"{who}_model", "")) for who in _PAIR]
    facts = (router.sha256, reading.model_dump_json(exclude={"outcome_layers"}), oracle.kind, *models)
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]


_PAIR = ("medium", "large")


class NightRows(BaseModel, frozen=True):
    """Examples, and the labels and features that they were joined from; those may hold more."""

    examples: Artifact
    features: Artifact
    labels: Artifact


class LabelHistory(NamedTuple):
    """The nights before this one, oldest first, of the same router and models."""

    nights: tuple[Manifest, ...]
    accepted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, home: Home, key: str) -> Self:
        """Every night that ended; one that was interrupted left labels where the next one finds them for nothing."""
        nights = tuple(m for m in manifests(home, FLOW) if m.facts.get(KEY) == key)
        return cls(nights, frozenset(str(e.lineage.get(RUN)) for e in history(home) if e.action == "promoted"))

    @property
    def labelling(self) -> list[NightRows]:
        """What each night that labelled something made, as far as it may teach (`calib.night.row_roles.may_teach`)."""
        labelling = [
            m.artifacts
            for m in self.nights
            if EXAMPLES in m.artifacts
            and may_teach(is_doubted=bool(m.facts.get(DOUBTED)), is_accepted=m.run_id in self.accepted)
        ]
        return [NightRows(**{kind: artifacts[kind] for kind in NightRows.model_fields}) for artifacts in labelling]

    @property
    def records(self) -> list[Artifact]:
        """The row that every night published, oldest first."""
        return [m.artifacts[NIGHT] for m in self.nights]

    @property
    def labelled(self) -> frozenset[str]:
        """Ids of all queries with a label, doubted ones too: the same question would get the same stored answer."""
        return frozenset(name for m in self.nights if EXAMPLES in m.artifacts for name in _ids(m))

    @property
    def quiet(self) -> int:
        """Nights since one labelled something."""
        flags = [EXAMPLES in m.artifacts for m in reversed(self.nights)]
        return flags.index(True) if True in flags else len(flags)

    def labelled_after(self, run_id: object) -> int:
        """How many nights labelled something after the night of this run; all of them where it is not known."""
        after = itertools.takewhile(lambda m: m.run_id != run_id, reversed(self.nights))
        return sum(EXAMPLES in m.artifacts for m in after)


def _ids(night: Manifest) -> list[str]:
    """The ids that the queries a night labelled have now."""
    ids = read_table(night.artifacts[EXAMPLES], columns=["query_id"], verify=False)["query_id"].to_pylist()
    if not any(map(is_rough, ids)) or QUERIES not in night.artifacts:
        return list(ids)
    now = ids_of_now(night.artifacts[QUERIES])
    return [now.get(name, name) for name in ids]


def remembered(nights: Sequence[NightRows], *, at_most: int) -> Sequence[NightRows]:
    """The newest nights, which a head learns from, see `calib.night.row_roles.memory`."""
    return nights[-memory((rows.examples.rows for rows in reversed(nights)), at_most=at_most) :]


def held_out(nights: Sequence[NightRows], *, at_least: int) -> NightRows:
    """The test rows of the newest nights, which no head has learned from, see `calib.night.row_roles.window`.

    Args:
        nights: at least one, oldest first.
        at_least: rows from which on no older night is read.
    """
    tests: list[pa.Table] = []

    def sizes() -> Iterator[int]:
        for rows in reversed(nights):
            table = read_table(rows.examples)
            tests.insert(0, table.filter(pc.field("split") == "test"))
            yield tests[0].num_rows

    used = nights[-window(sizes(), at_least=at_least) :]
    examples = write_table(pa.concat_tables(tests), "examples", home=Home.from_env())
    return together(used).model_copy(update={"examples": examples})


def together(nights: Sequence[NightRows]) -> NightRows:
    """All rows of these nights."""
    return NightRows(**{kind: joined([getattr(rows, kind) for rows in nights]) for kind in NightRows.model_fields})


class NightContext(NamedTuple):
    """What a night reads before it changes anything.

    Attributes:
        run_id: of the night.
        router: the frozen router.
        oracle: who labels.
        key: whose nights belong together, see `key_of`.
        history: the nights before.
        labelling: what those of them made that labelled something and may teach, oldest first.
        before: the registry's newest entry; a decision is made upon it.
        in_force: the entry that put the serving head in its place.
        gathered: new queries.
    """

    run_id: str
    router: Artifact
    oracle: OracleSpec
    key: str
    history: LabelHistory
    labelling: tuple[NightRows, ...]
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
    def terms(self) -> EscalationTerms | None:
        """What the serving head's threshold was asked to keep; None where that was not entered."""
        found = None if self.in_force is None else self.in_force.lineage.get(TERMS)
        return None if found is None else EscalationTerms.model_validate(found)

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
