"""The frozen router: its checkpoint checked and opened, queries tokenised; policy, logits, hidden states read off."""
