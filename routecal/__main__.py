"""The command `routecal`, also as `python -m routecal`."""

import sys
from importlib import import_module

# What works on a Prefect server; the other commands run flows, which know nothing of deployments.
ON_A_SERVER = {"serve": "routecal.deployments.serve", "deploy": "routecal.deployments.setup"}


def console() -> None:
    """Run the command of `sys.argv` and end the process with its exit code."""
    if sys.argv[1:2] and sys.argv[1] in ON_A_SERVER:
        from routecal.tasks.errors import ExtraMissing
        from routecal.tasks.extras import require

        try:
            require("serve")
        except ExtraMissing as missing:
            print(f"routecal: {missing}", file=sys.stderr)
            sys.exit(2)
        sys.exit(import_module(ON_A_SERVER[sys.argv[1]]).main(sys.argv[2:]))
    from routecal.flows.cli import console

    console()


if __name__ == "__main__":
    console()
