"""Prefect's server for the length of one command: `python -P flows/temporary_server.py PARENT SOCKET`.

SOCKET is the number of a bound one, which this process inherits. The server ends with the process that started it,
however that ended: after kill -9 nobody else would end it, and the next command would find its database locked.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time

LOOKS_EVERY_S = 0.5
ENDS_WITHIN_S = 2.0


def end_with(parent: int) -> None:
    """End this process once `parent` has ended: as SIGTERM does, or at once where that takes too long."""
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ENDS_WITHIN_S)
    os._exit(0)


if __name__ == "__main__":
    # Before what takes seconds to import.
    threading.Thread(target=end_with, args=[int(sys.argv[1])], daemon=True).start()

    # What is imported stays: to look for garbage in it takes a sixth longer.
    gc.disable()
    import uvicorn

    app = "prefect.server.api.server:create_app"
    config = uvicorn.Config(app, factory=True, log_level="error", lifespan="on")
    config.load()
    gc.freeze()
    gc.enable()
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
    sys.exit(0 if server.started else 1)
