"""Oracles: what finds a query's true policy."""

from tasks.oracle import local, replay

# name -> (queries, spec, matrix) -> labels
ORACLES = {"local": local.label, "replay": replay.label}
