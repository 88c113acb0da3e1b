"""Labelling at half price: the provider's batch jobs, made once, followed, and stored in the ledger."""
