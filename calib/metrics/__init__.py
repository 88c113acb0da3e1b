"""Metrics over (p, y)."""
