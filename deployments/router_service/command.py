"""`routecal serve-router`: the service on this machine, until Ctrl-C."""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from routecal.deployments.router_service.service_settings import SettingsRefused, read_settings

HELP = """Decide which of two models answers, and relay its answer: an OpenAI-compatible service in front of both.

Ask it for the model `auto` and it picks; ask `routecal-judge`, /v1/route, /v1/decisions or /v1/systemone and it only
says what it would pick. Every decision is written to the folder --log before its answer begins.

example
  routecal serve-router --medium-url http://127.0.0.1:8001/v1 --medium-model flash \\
                        --large-url https://api.example.com/v1 --large-model pro --large-key-env EXAMPLE_API_KEY
  curl -s localhost:4280/v1/route -H 'Content-Type: application/json' -d '{"query": "Which lake is the deepest?"}'

A YAML file holds the same and more (--config); options go over it. Keys are read from the environment, never from it.
"""

OPTIONS = (
    ("--medium-url", "medium.base_url", str, "URL of the medium model's server, up to and with /v1"),
    ("--medium-model", "medium.model", str, "name of the medium model there"),
    ("--medium-key-env", "medium.api_key_env", str, "environment variable that holds its key (default: no key)"),
    ("--large-url", "large.base_url", str, "URL of the large model's server"),
    ("--large-model", "large.model", str, "name of the large model there"),
    ("--large-key-env", "large.api_key_env", str, "environment variable that holds its key (default: no key)"),
    ("--head", "head", str, "champion (default): the registry's; else a folder, or owner/name of the Hub"),
    ("--threshold", "threshold", float, "of the head, in place of its own; its guarantee is void then"),
    ("--host", "host", str, "address to listen on (default 127.0.0.1); others need keys in --config"),
    ("--port", "port", int, "port to listen on (default 4280)"),
    ("--log", "log", str, "folder of the decision log (default ./served)"),
    ("--logged", "logged", str, "text (default): queries are kept, so that a night can label them; hash: a digest"),
    ("--mode", "mode", str, "active (default), or shadow: decide and log; the large model answers all"),
    ("--explore", "explore", float, "share of queries whose model is drawn, so that the log can teach (default 0)"),
    ("--reads", "reads", str, "which text of a conversation is routed: last_user (default), first_user, all_user"),
    ("--unlike", "unlike", str, "queries unlike those of the calibration: large (default), flag or off"),
)


def main(arguments: Sequence[str]) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code."""
    parser = argparse.ArgumentParser(
        "routecal serve-router", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with these settings and more")
    for option, setting, kind, text in OPTIONS:
        parser.add_argument(option, dest=setting, type=kind, help=text)
    given = vars(parser.parse_args(list(arguments)))
    # Before torch is loaded: threads that wait for each other sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)

    from routecal.calib.errors import CalibError
    from routecal.storage.errors import StorageError
    from routecal.tasks.errors import TaskError

    try:
        return _serve(given.pop("config"), given)
    except (CalibError, StorageError, TaskError) as error:
        print(f"routecal: {error}", file=sys.stderr)
        return 2


def _serve(config: Path | None, options: dict[str, object]) -> int:
    import uvicorn

    settings = read_settings(config, options)
    from routecal.deployments.router_service.app import application
    from routecal.deployments.router_service.decider import Decider
    from routecal.deployments.router_service.decision_log import DecisionLog
    from routecal.deployments.router_service.service import Service

    print("opening the head and its router …", flush=True)
    decider = Decider(settings)
    keeps_text = settings.logged == "text"
    log = DecisionLog(settings.log, keeps_text=keeps_text, retention_days=settings.retention_days)
    app = application(Service(settings, decider, log))
    options_of_server = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=30, server_header=False
    )
    listening = _listening(settings.host, settings.port)

    class Server(uvicorn.Server):
        """Says where it is once it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                host = f"[{settings.host}]" if ":" in settings.host else settings.host
                where = f"http://{host}:{listening.getsockname()[1]}"
                print(f"ready: {where}/v1  (page {where}/, API {where}/docs, Ctrl-C stops)", flush=True)

    server = Server(options_of_server)
    server.run([listening])
    return 0 if server.started else 2


def _listening(host: str, port: int) -> socket.socket:
    """A socket at this address.

    Raises:
        SettingsRefused: it cannot be had; says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise SettingsRefused("options", f"port {port} of {host} cannot be used ({error.strerror})") from error
    listening.set_inheritable(True)
    return listening
