"""The nouns of the gateway, without I/O."""
