"""What labels of served decisions say: whether a promise still holds, and what another rule would be worth."""
