"""A run foretold: calls, tokens, cost and time, before anything is paid."""
