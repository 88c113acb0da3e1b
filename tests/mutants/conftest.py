"""Nothing here is a test, and what makes mutants is installed by `make mutants` alone."""

collect_ignore_glob = ["*.py"]
