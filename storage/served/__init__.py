"""What a serving router wrote down: its decisions, how they were answered, and what came back about them."""
