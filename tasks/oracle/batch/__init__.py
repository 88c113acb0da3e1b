"""Labelling at half price: the provider's batch jobs, made once, followed, and brought home into the ledger."""
