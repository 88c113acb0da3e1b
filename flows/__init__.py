"""Prefect flows that chain the tasks, and the command line over them."""
