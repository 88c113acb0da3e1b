"""Entry point of the image: `python -m routecal.deployments.container_entry COMMAND …` becomes that command.

It runs in the environment that server, worker and command line share (`environment`), with secrets read from the files
that an orchestrator mounts: GEMINI_API_KEY_FILE=/run/secrets/gemini stands for GEMINI_API_KEY.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from routecal.deployments.environment import complaint, environment

# PGPASSWORD is what both clients of PostgreSQL take where a URL has no password.
SECRETS = (
    "GEMINI_API_KEY",
    "OPENAI_API_KEY",
    "PGPASSWORD",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "ROUTECAL_LEDGER_URL",
    "ROUTECAL_WEBHOOK_URL",
)


def main(argv: Sequence[str]) -> int:
    """Become the command; the exit code where it cannot be."""
    if not argv:
        return _refuse("name a command, as routecal --help")
    given = dict(os.environ)
    if unreadable := [f"{name}_FILE={given[f'{name}_FILE']}" for name in SECRETS if _is_unreadable(name, given)]:
        return _refuse(
            f"the files of these secrets cannot be read: {', '.join(unreadable)}; mount them, or unset these"
        )
    env = environment(with_secrets(given))
    if wrong := complaint(env):
        return _refuse(wrong)
    try:
        os.execvpe(argv[0], list(argv), env)
    except FileNotFoundError:
        return _refuse(f"there is no program {argv[0]} in this image; its own are routecal, prefect and python")


def with_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """The variables, with each secret that is named by its file in place of that name; one that is set stays."""
    files = {name: given[f"{name}_FILE"] for name in SECRETS if given.get(f"{name}_FILE")}
    read = {name: Path(file).read_text(encoding="utf-8").strip() for name, file in files.items()}
    rest = {name: value for name, value in given.items() if name not in {f"{name}_FILE" for name in files}}
    return read | rest


def _is_unreadable(name: str, given: Mapping[str, str]) -> bool:
    file = given.get(f"{name}_FILE")
    return bool(file) and not os.access(str(file), os.R_OK)


def _refuse(sentence: str) -> int:
    print(f"routecal: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
