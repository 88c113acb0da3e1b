"""Cached, retryable steps: read an artifact, call calib, write an artifact, return it."""
