"""Running and remembered requests."""
