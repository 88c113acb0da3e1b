"""Everything that runs routecal on a Prefect server: deployments, set-up, and `routecal serve`."""
