"""The command `routecal`, also as `python -m routecal`."""

import sys
from importlib import import_module

# What is deployed, with the extra that it needs; the other commands run flows, which know nothing of deployments.
DEPLOYED = {
    "serve": ("routecal.deployments.serve", "serve"),
    "deploy": ("routecal.deployments.setup", "serve"),
    "serve-router": ("routecal.deployments.router_service.command", "router"),
}


def console() -> None:
    """Run the command of `sys.argv` and end the process with its exit code."""
    if sys.argv[1:2] and sys.argv[1] in DEPLOYED:
        from routecal.tasks.errors import ExtraMissing
        from routecal.tasks.extras import require

        module, extra = DEPLOYED[sys.argv[1]]
        try:
            require(extra)
        except ExtraMissing as missing:
            print(f"routecal: {missing}", file=sys.stderr)
            sys.exit(2)
        sys.exit(import_module(module).main(sys.argv[2:]))
    from routecal.flows.cli import console

    console()


if __name__ == "__main__":
    console()
