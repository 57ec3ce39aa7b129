"""The built-in adapters, loaded by entry point like any other."""
