"""The session's Prefect server, and a home of its own for every test."""

from tests.flows.conftest import prefect_server

__all__ = ["prefect_server"]
