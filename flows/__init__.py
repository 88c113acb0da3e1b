"""Prefect flows that chain the tasks, and the command line over them."""

import logging
import os

# Prefect shows on a run's page what these loggers say, but leaves them at Python's WARNING: no progress, no decision.
for _name in os.environ.get("PREFECT_LOGGING_EXTRA_LOGGERS", "").split(","):
    if _name.strip():
        logging.getLogger(_name.strip()).setLevel(os.environ.get("PREFECT_LOGGING_LEVEL", "INFO"))
