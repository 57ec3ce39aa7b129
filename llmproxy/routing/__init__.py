"""From the name of a model to the providers that serve it."""
