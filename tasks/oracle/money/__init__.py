"""What calls cost: dated prices, and a budget that is never exceeded."""
