"""Several workers: where each of them is, and how they ask one another. May import conversations and what is below."""
