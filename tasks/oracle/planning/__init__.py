"""A run planned: calls, tokens, cost and time, before anything is paid."""
