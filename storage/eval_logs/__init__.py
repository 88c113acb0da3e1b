"""Logs of other evaluation tools, read into recorded outcomes of a medium and a large model."""
