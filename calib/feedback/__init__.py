"""What labels and costs of served decisions say: of a promise, of another rule's worth, and of what was saved."""
