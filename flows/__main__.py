"""`python -m routecal.flows COMMAND` is `routecal COMMAND`."""

from routecal.flows.cli import console

if __name__ == "__main__":
    console()
