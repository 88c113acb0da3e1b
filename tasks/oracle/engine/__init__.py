"""Asks and asks again: one event loop per process, what it sends, records and counts, and why it stops."""
