"""What labels and costs of served decisions say: does a promise hold, what would another rule be worth, what was saved."""
