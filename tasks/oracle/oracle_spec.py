"""What an oracle declares: what it is made of, which options it reads, and how it labels.

Forms and `--help` are built from declarations, so a module that holds one imports nothing heavy but inside functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pyarrow as pa

    from routecal.calib.policy import OracleMatrix
    from routecal.storage.artifact import Artifact as Artifact
    from routecal.tasks.oracle.engine.pace import Pace
    from routecal.tasks.oracle.engine.sender import Provider
else:
    # For specifications: the module it comes from brings pyarrow.
    Artifact = Any


class OracleSpec(BaseModel):
    """What an oracle is made of, resolved: everything that decides its labels, and so is part of their cache key."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(description="name of the oracle")

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the labels must know: `Medium model`, `Large model` and `Judge`, each in words."""
        raise NotImplementedError


@dataclass(frozen=True)
class Api:
    """How an oracle reaches paid models; the engine asks them, within quotas and budget.

    Attributes:
        provider: parameters of a form -> `Call.provider`.
        connect: (oracle or judges, pace) -> what makes its providers, inside the event loop that will use them. A key
            is looked for at once.
    """

    provider: Callable[[Any], str]
    connect: "Callable[[Any, Pace], Callable[[], list[Provider]]]"


@dataclass(frozen=True)
class Oracle:
    """An oracle as forms, checks and flows know it; its module holds one as `ORACLE`.

    Attributes:
        name: value of `--oracle`.
        does: what it does, as a clause that follows the name in the form.
        resolve: (parameters of a form, the queries' path) -> its specification, inputs read.
        label: (queries, specification, matrix) -> a table `labels`; without a row for queries that it cannot label.
            None for an oracle with an `api`.
        api: None for an oracle that asks no paid model.
        reads: options, among those of `flows.oracle_params`, that it reads and some other oracle does not.
        options: model of further options that it alone reads; each has a default and a description.
        check: refuses parameters that cannot work with it: an error says what to do.
    """

    name: str
    does: str
    resolve: Callable[[Any, str], OracleSpec]
    label: "Callable[[pa.Table, Any, OracleMatrix], pa.Table] | None" = None
    api: Api | None = None
    reads: tuple[str, ...] = ()
    options: type[BaseModel] | None = None
    check: Callable[[Any], None] = lambda params: None
