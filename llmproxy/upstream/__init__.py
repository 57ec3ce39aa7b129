"""One attempt at a provider, from its request to the end of its answer."""
