"""Oracles: what finds a query's true policy."""
