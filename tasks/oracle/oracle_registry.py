"""The oracles by name."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal

from routecal.tasks.oracle.oracle_spec import Oracle

# Each module declares an `ORACLE`. Forms list them in this order.
_MODULES = (
    "replay_oracle",
    "local_oracle",
    "gemini_oracle",
    "openai_oracle",
)

ORACLES: dict[str, Oracle] = {
    oracle.name: oracle for oracle in (import_module(f"routecal.tasks.oracle.{name}").ORACLE for name in _MODULES)
}

if TYPE_CHECKING:
    OracleName = str
    ApiName = str
else:
    OracleName = Literal[*ORACLES]
    ApiName = Literal[*(name for name, oracle in ORACLES.items() if oracle.api)]
