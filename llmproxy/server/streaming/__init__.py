"""How an answer goes to its client."""
