"""`python -m routecal` is the command `routecal`."""

from routecal.flows.cli import console

if __name__ == "__main__":
    console()
